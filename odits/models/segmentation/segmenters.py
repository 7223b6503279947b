"""Which segmenters there are, and one by its reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from odits.core.downloads import Progress, fetch, no_progress
from odits.core.errors import OditsError
from odits.core.files import cache_home
from odits.data.predictions import Segmenter
from odits.models.segmentation.parameters import NAME, RegionParameters, SamParameters
from odits.models.segmentation.sam_weights import KnownSam

SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything"


@dataclass(frozen=True)
class SegmenterChoice:
    """One segmenter that users can choose.

    Attributes:
        reference: what `load_segmenter` takes.
        title: as shown to users.
        file: the weights' official file name, empty where none are needed.
        megabytes: the size of the download.
        note: a sentence that says what it is.
    """

    reference: str
    title: str
    file: str
    megabytes: int
    note: str

    @property
    def path(self) -> Path | None:
        """Where its weights lie or would lie."""
        return cache_home() / "weights" / self.file if self.file else None

    @property
    def ready(self) -> bool:
        """Whether it works without a download."""
        return self.path is None or self.path.is_file()


SEGMENTERS = (
    SegmenterChoice(
        "embedded",
        NAME,
        "",
        0,
        "Works offline: lines of text by rapidocr's detector, and regions of one colour by classical image processing.",
    ),
    SegmenterChoice("sam:vit_b", "SAM ViT-B", "sam_vit_b_01ec64.pth", 375, "Segment Anything, the smallest model."),
    SegmenterChoice("sam:vit_l", "SAM ViT-L", "sam_vit_l_0b3195.pth", 1250, "Segment Anything, the middle model."),
    SegmenterChoice("sam:vit_h", "SAM ViT-H", "sam_vit_h_4b8939.pth", 2564, "Segment Anything, the largest model."),
)


class SegmenterIdentity(NamedTuple):
    """A segmenter's `name` and `key`, as `odits.data.predictions.Segmenter` has them, without the segmenter."""

    name: str
    key: str


def identify_segmenter(
    reference: str,
    parameters: SamParameters | None = None,
    device: str = "auto",
    progress: Progress = no_progress,
) -> SegmenterIdentity:
    """The identity of the segmenter that `load_segmenter` returns; no model is loaded if it is known already.

    Raises:
        OditsError: as `load_segmenter`.
    """
    if reference == "embedded":
        return SegmenterIdentity(NAME, RegionParameters().key)
    known = KnownSam(_sam_weights(reference, progress), device)
    return SegmenterIdentity(*known.identity(parameters or SamParameters()))


def load_segmenter(
    reference: str,
    parameters: SamParameters | None = None,
    device: str = "auto",
    progress: Progress = no_progress,
    threads: int | None = None,
) -> Segmenter:
    """The segmenter that `reference` names; SAM's official weights are downloaded where they are missing.

    Args:
        reference: "embedded", "sam:vit_b", "sam:vit_l", "sam:vit_h", or "sam:" and the path of a weights file.
        parameters: for SAM; the embedded segmenter has parameters of its own.
        device: "auto", "cpu", "cuda" or "mps"; for SAM.
        progress: called with (bytes here, bytes in all) during a download.
        threads: of the embedded segmenter; all cores by default. SAM has torch's.

    Raises:
        OditsError: an unknown reference, no network, or a file that is not SAM's.
    """
    if reference == "embedded":
        from odits.models.segmentation.regions import RegionSegmenter

        return RegionSegmenter(threads=threads)
    from odits.models.segmentation.sam import SamSegmenter

    return SamSegmenter(_sam_weights(reference, progress), parameters, device)


def _sam_weights(reference: str, progress: Progress) -> Path:
    """The file of SAM's weights that a reference names, downloaded if need be."""
    choice = next((choice for choice in SEGMENTERS if choice.reference == reference), None)
    if choice is not None and choice.path is not None:
        digest = Path(choice.file).stem.rpartition("_")[2]
        # The digest is checked when the file arrives; a file that is there came through that check.
        return choice.path if choice.ready else fetch(f"{SAM_URL}/{choice.file}", choice.path, digest, progress)
    if reference.startswith("sam:") and len(reference) > 4:
        return Path(reference[4:]).expanduser()
    known = ", ".join(choice.reference for choice in SEGMENTERS)
    raise OditsError(f"There is no segmenter {reference!r}: use one of {known}, or sam:FILE.")
