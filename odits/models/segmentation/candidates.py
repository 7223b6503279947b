"""SAM's masks at loose thresholds, kept on disk: computed once an image, so that filters can be tried over them."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odits.core.errors import OditsError
from odits.core.pool import Source
from odits.data.images import open_image
from odits.models.segmentation.parameters import EXACT, SamParameters
from odits.objects.codec import content_of, stored_file

if TYPE_CHECKING:
    from odits.models.segmentation.sam_replay import KeptCandidates


LOOSE_QUALITY, LOOSE_STABILITY = 0.8, 0.85
"""Least predicted IoU and stability of the masks that are kept; stricter filters can be replayed over them."""


def loosened(parameters: SamParameters) -> SamParameters:
    """The parameters at which candidates are computed; equal for all that differ in replayed filters alone.

    Raises:
        OditsError: approximate masks are asked for, which depend on each other.
    """
    if parameters.mode != EXACT:
        raise OditsError("Filters can be replayed over exact masks only: set SAM's mode to exact.")
    return replace(
        parameters,
        pred_iou_thresh=min(parameters.pred_iou_thresh, LOOSE_QUALITY),
        stability_score_thresh=min(parameters.stability_score_thresh, LOOSE_STABILITY),
        box_nms_thresh=SamParameters.box_nms_thresh,
        min_mask_region_area=SamParameters.min_mask_region_area,
        points_per_batch=SamParameters.points_per_batch,
        output_mode=SamParameters.output_mode,
    )


def candidates_file(content: bytes, key: str) -> Path:
    """Where the candidates lie that the SAM of this key (with `loosened` parameters) gives for an image file."""
    return stored_file("candidates", content, key, ".npz")


def compute_candidates(content: bytes, name: str | None, segmenter: Any) -> tuple[KeptCandidates, bytes]:
    """The candidates of an image file, by a `SamSegmenter` with `loosened` parameters, and what is to be stored.

    Raises:
        OditsError: the image cannot be opened, or the weights cannot be had.
    """
    kept = segmenter.candidates(open_image(content, name))
    return kept, kept.to_bytes()


def stored_candidates(source: Source, key: str) -> KeptCandidates | None:
    """The candidates of an image that are stored for the SAM of this key; None where there are none, or damaged ones.

    Raises:
        ImageError: the image's file cannot be read.
    """
    from odits.models.segmentation.sam_replay import KeptCandidates

    try:
        return KeptCandidates.from_bytes(candidates_file(content_of(source), key).read_bytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
