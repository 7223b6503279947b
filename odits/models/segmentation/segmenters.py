"""The segmenter that a reference names, and its identity without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from odits.core import downloads
from odits.core.progress import Progress, no_progress
from odits.data.predictions import Segmenter
from odits.models.reference import ModelRef, parse
from odits.models.segmentation.parameters import RegionParameters, SamParameters
from odits.models.segmentation.sam_weights import SamWeights

SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything"


class SegmenterIdentity(NamedTuple):
    """A segmenter's `name` and `key`, as `odits.data.predictions.Segmenter` has them, without the segmenter."""

    name: str
    key: str


def identify_segmenter(
    reference: ModelRef | str,
    parameters: SamParameters | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> SegmenterIdentity:
    """Return the identity of the segmenter that `load_segmenter` returns; no model is loaded if it is known already.

    Raises:
        OditsError: as `load_segmenter`.
    """
    ref = parse(reference, "segmenter")
    if not ref.is_sam:
        return SegmenterIdentity(ref.name, RegionParameters().key)
    weights = SamWeights(fetch_sam(ref, progress), device)
    return SegmenterIdentity(*weights.identity(parameters or SamParameters()))


def load_segmenter(
    reference: ModelRef | str,
    parameters: SamParameters | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    threads: int | None = None,
) -> Segmenter:
    """Load the segmenter that a reference names; SAM's official weights are downloaded where they are missing.

    Args:
        reference: "embedded", "sam:vit_b", "sam:vit_l", "sam:vit_h", or "sam:" and the path of a weights file.
        parameters: for SAM; the embedded segmenter has parameters of its own.
        device: "auto", "cpu", "cuda" or "mps"; for SAM.
        progress: called with (bytes here, bytes in all) during a download.
        threads: of the embedded segmenter; all cores by default. SAM has torch's.

    Raises:
        OditsError: an unknown reference, no network, or a file that is not SAM's.
    """
    ref = parse(reference, "segmenter")
    if not ref.is_sam:
        from odits.models.segmentation.regions import RegionSegmenter

        return RegionSegmenter(threads=threads)
    from odits.models.segmentation.sam import SamSegmenter

    return SamSegmenter(fetch_sam(ref, progress), parameters, device)


def fetch_sam(ref: ModelRef, progress: Progress | None = None) -> Path:
    """Return the file of SAM's weights that a reference names, downloaded where it is one of the official ones.

    The digest is checked when the file arrives; a file that is there came through that check.

    Raises:
        OditsError: there is no such file, or it can't be downloaded.
    """
    path = ref.weights
    if ref.tag and not path.is_file():
        digest_prefix = path.stem.rpartition("_")[2]
        return downloads.fetch(f"{SAM_URL}/{path.name}", path, digest_prefix, progress or no_progress)
    return path
