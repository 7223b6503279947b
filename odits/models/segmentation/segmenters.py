"""The segmenter that a reference names, and its identity without loading it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeGuard

from odits.core import downloads
from odits.core.errors import OditsError
from odits.core.model_folders import is_repository, weight_names
from odits.core.progress import Progress, no_progress
from odits.data.predictions import Segmenter
from odits.models.reference import ModelRef, parse
from odits.models.segmentation.equal_area import EqualAreaSegmenter, equal_area_key
from odits.models.segmentation.parameters import RegionParameters, Sam3Parameters, SamParameters, parameters_of
from odits.models.segmentation.sam_weights import SamWeights

if TYPE_CHECKING:
    from PIL import Image

    from odits.models.segmentation.sam import PromptMasks

SAM_URL = "https://dl.fbaipublicfiles.com/segment_anything"
"""Where Meta publishes SAM 1; ODITS_SAM_URL names a mirror."""
SAM_DIGESTS = {
    "sam_vit_b_01ec64.pth": "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    "sam_vit_l_0b3195.pth": "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    "sam_vit_h_4b8939.pth": "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
}
"""SHA-256 of Meta's files, whose server names none; of the MD5 their names have six digits."""
RETRIES = 5  # of a connection that breaks off, without anything new


class SegmenterIdentity(NamedTuple):
    """A segmenter's `name` and `key`, as `odits.data.predictions.Segmenter` has them, without the segmenter."""

    name: str
    key: str


class AnyPromptedImage(Protocol):
    """An image that a SAM has encoded once, ready for prompts; safe to share between threads."""

    def predict(
        self,
        points: Sequence[tuple[float, float]] = (),
        negative_points: Sequence[tuple[float, float]] = (),
        box: tuple[float, float, float, float] | None = None,
        multimask: bool = True,
    ) -> PromptMasks:
        """Predict the masks of the object that the prompt means, best first."""
        ...


class PromptedSegmenter(Segmenter, Protocol):
    """A segmenter that takes points and boxes, too: every SAM."""

    def encode(self, image: Image.Image) -> AnyPromptedImage:
        """Encode an RGB image for points and boxes."""
        ...


def takes_prompts(segmenter: Segmenter) -> TypeGuard[PromptedSegmenter]:
    """Return whether a segmenter takes points and boxes, too."""
    return hasattr(segmenter, "encode")


def with_texts(segmenter: Segmenter, texts: Sequence[str]) -> Segmenter:
    """Return a segmenter that finds what these texts name, its weights not loaded again.

    Raises:
        OditsError: it takes no text.
    """
    parameters = getattr(segmenter, "parameters", None)
    if not isinstance(parameters, Sam3Parameters):
        raise OditsError(f"{segmenter.name} takes no text: use sam3.")
    chosen: Segmenter = segmenter.with_parameters(replace(parameters, text=", ".join(texts)))  # type: ignore[attr-defined]
    return chosen


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
    if ref.layout:
        own = identify_segmenter(ref.without_layout(), parameters, device, progress)
        return SegmenterIdentity(ref.name, equal_area_key(own.key, ref.layout))
    if not ref.is_sam:
        return SegmenterIdentity(ref.name, RegionParameters().key)
    chosen = parameters or parameters_of(ref.family)()
    here = fetched_sam(ref, progress)
    if ref.family == "sam":
        return SegmenterIdentity(*SamWeights(here.weights, device).identity(chosen))
    from odits.models.segmentation.hub_sam import HubSam, identity_of

    return SegmenterIdentity(*identity_of(HubSam(here, device), chosen))


def load_segmenter(
    reference: ModelRef | str,
    parameters: SamParameters | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    threads: int | None = None,
) -> Segmenter:
    """Load the segmenter that a reference names; published weights are downloaded where they are missing.

    Args:
        reference: "embedded", "sam:vit_b", "sam2:tiny", "sam3", or another of `odits.models.reference`.
        parameters: of a SAM; the embedded segmenter has parameters of its own.
        device: "auto", "cpu", "cuda" or "mps"; for a SAM.
        progress: called with (bytes here, bytes in all) during a download.
        threads: of the embedded segmenter; all cores by default. A SAM has torch's.

    Raises:
        OditsError: an unknown reference, no network, or a file that is not such a SAM's.
    """
    ref = parse(reference, "segmenter")
    if ref.layout:
        own = load_segmenter(ref.without_layout(), parameters, device, progress, threads)
        return EqualAreaSegmenter(own, ref.layout, ref.name)
    if not ref.is_sam:
        from odits.models.segmentation.regions import RegionSegmenter

        return RegionSegmenter(threads=threads)
    here = fetched_sam(ref, progress)
    if ref.family == "sam":
        from odits.models.segmentation.sam import SamSegmenter

        return SamSegmenter(here.weights, parameters, device)
    from odits.models.segmentation.sam_hub_segmenter import HubSamSegmenter

    return HubSamSegmenter(here, parameters, device)


def sam_url(file: str) -> str:
    """Return the address of one of SAM 1's files, at Meta's or at the mirror that ODITS_SAM_URL names."""
    return f"{os.environ.get('ODITS_SAM_URL', '').strip().rstrip('/') or SAM_URL}/{file}"


def sam_size(ref: ModelRef) -> int:
    """Ask the server how large a SAM's published weights are, in bytes.

    Raises:
        OditsError: it can't be asked, or does not have them.
    """
    if ref.path is not None and not is_repository(ref.tag):
        return downloads.size_of(sam_url(ref.path.name), ref.path.name)
    from odits.models.clip.hub import weights_size

    return weights_size(ref.tag, weight_names(pickles=ref.family == "sam"), ref.name)


def fetched_sam(ref: ModelRef, progress: Progress | None = None) -> ModelRef:
    """Return the reference of a SAM whose weights are on this machine, downloaded where they are published ones.

    The digest is checked when a file arrives; a file that is there came through that check.

    Raises:
        OditsError: there is no such file, or it can't be downloaded.
    """
    if not ref.tag or ref.ready:
        return ref
    if ref.path is not None:
        known = SAM_DIGESTS.get(ref.path.name)
        digest = f"{downloads.SHA256}{known}" if known else ref.path.stem.rpartition("_")[2]
        downloads.fetch(sam_url(ref.path.name), ref.path, digest, progress or no_progress, retries=RETRIES)
        return ref
    from odits.models.clip.hub import fetch_folder

    fetch_folder(ref.tag, weight_names(pickles=ref.family == "sam"), ref.name, progress)
    return parse(ref.reference, "segmenter")
