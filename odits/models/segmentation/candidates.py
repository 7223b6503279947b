"""SAM's masks at loose thresholds, on the disk: computed once an image, so that filters can be tried over them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from odits.core.errors import OditsError
from odits.core.pool import Source
from odits.core.store import FunctionCodec, Store
from odits.data.images import content_of, open_image
from odits.models.segmentation.parameters import Sam3Parameters, SamParameters
from odits.objects.codec import former_result, result_key

if TYPE_CHECKING:
    from odits.models.segmentation.sam_replay import MaskCandidates


LOOSE_QUALITY, LOOSE_STABILITY = 0.8, 0.85
"""Least predicted IoU and stability of the masks that are stored; stricter filters can be replayed over them."""


def loosened(parameters: SamParameters) -> SamParameters:
    """Return the parameters at which candidates are computed; equal for all that differ in replayed filters alone.

    Raises:
        OditsError: SAM 3 is to find what a text names.
    """
    if isinstance(parameters, Sam3Parameters) and parameters.phrases:
        raise OditsError("Filters can be replayed over the masks of points only: leave SAM 3's text empty.")
    return replace(
        parameters,
        pred_iou_thresh=min(parameters.pred_iou_thresh, LOOSE_QUALITY),
        stability_score_thresh=min(parameters.stability_score_thresh, LOOSE_STABILITY),
        box_nms_thresh=SamParameters.box_nms_thresh,
        min_mask_region_area=SamParameters.min_mask_region_area,
        points_per_batch=SamParameters.points_per_batch,
        output_mode=SamParameters.output_mode,
    )


def _pack(candidates: MaskCandidates) -> bytes:
    return candidates.to_bytes()


def _unpack(data: bytes) -> MaskCandidates:
    from odits.models.segmentation.sam_replay import MaskCandidates

    return MaskCandidates.from_bytes(data)


CANDIDATES: Store[MaskCandidates] = Store("candidates", FunctionCodec(".npz", _pack, _unpack))
"""Candidates of image files by a SAM with `loosened` parameters; keys by `odits.objects.codec.result_key`."""


def compute_candidates(content: bytes, name: str | None, segmenter: Any) -> MaskCandidates:
    """Compute the candidates of an image file by a `SamSegmenter` with `loosened` parameters.

    Raises:
        OditsError: the image cannot be opened, or the weights cannot be had.
    """
    found: MaskCandidates = segmenter.candidates(open_image(content, name))
    return found


def stored_candidates(source: Source, key: str) -> MaskCandidates | None:
    """Return the candidates of an image that are stored for the SAM of this key; None where there are none yet.

    Raises:
        ImageError: the image's file cannot be read.
    """
    content = content_of(source)
    return CANDIDATES.get(result_key(content, key), former_result(CANDIDATES, content, key))
