"""The parameters of SAM's mask generator (Table 3.2 of the thesis)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from odits.core.errors import OditsError

SAM_SIDE = 1024
EXACT, APPROXIMATE = MODES = ("exact", "approximate")
OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")

PointGrid = tuple[tuple[float, float], ...]


def _parameter(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class SamParameters:
    """The thesis's parameters of SamAutomaticMaskGenerator (Table 3.2); `metadata["help"]` says each to users.

    Values out of range raise OditsError with a sentence that names the parameter.
    """

    points_per_side: int | None = _parameter(
        32, "Points along one side of the grid that SAM is asked about; the time grows with its square."
    )
    points_per_batch: int = _parameter(
        64,
        "Points that segment-anything asks about at once. The masks do not depend on it; here neither does the time.",
    )
    pred_iou_thresh: float = _parameter(0.88, "Masks whose quality, as SAM itself predicts it, is lower are dropped.")
    stability_score_thresh: float = _parameter(
        0.95, "Masks that change more than this allows when the cutoff shifts are dropped."
    )
    stability_score_offset: float = _parameter(1.0, "How far the cutoff is shifted to measure a mask's stability.")
    box_nms_thresh: float = _parameter(0.7, "Of two masks whose boxes overlap by more than this IoU, the better stays.")
    crop_n_layers: int = _parameter(
        0, "Layers of crops searched besides the whole image (layer i has 4^i crops): finds small objects, takes long."
    )
    crop_nms_thresh: float = _parameter(0.7, "The same as box_nms_thresh, between masks of different crops.")
    crop_overlap_ratio: float = _parameter(
        0.341, "How much neighbouring crops overlap, as a part of the image's shorter side."
    )
    crop_n_points_downscale_factor: int = _parameter(
        1, "The grid of crop layer n has points_per_side divided by this factor to the power n."
    )
    point_grids: tuple[PointGrid, ...] | None = _parameter(
        None, "Grids of points (x, y in 0..1) of your own, one a crop layer, in place of points_per_side."
    )
    min_mask_region_area: int = _parameter(
        0, "Holes and islands smaller than this many pixels (of the image reduced to 1024) are removed; 0 keeps them."
    )
    output_mode: str = _parameter(
        "binary_mask", "How segment-anything keeps masks meanwhile: binary_mask, uncompressed_rle or coco_rle."
    )
    mode: str = _parameter(
        EXACT, "exact: segment-anything's masks. approximate: sooner, but some masks differ and some are missed."
    )

    def __post_init__(self) -> None:
        whole = {
            "points_per_batch": (1, 4096),
            "crop_n_layers": (0, 4),
            "crop_n_points_downscale_factor": (1, 16),
            "min_mask_region_area": (0, SAM_SIDE**2),
        }
        real = {
            "pred_iou_thresh": (0.0, 1.0),
            "stability_score_thresh": (0.0, 1.0),
            "stability_score_offset": (0.0, 10.0),
            "box_nms_thresh": (0.0, 1.0),
            "crop_nms_thresh": (0.0, 1.0),
            "crop_overlap_ratio": (0.0, 0.9),
        }
        if self.points_per_side is not None:
            whole["points_per_side"] = (1, 256)
        for name, (low, high) in whole.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise OditsError(f"{name} must be a whole number from {low} to {high}, but is {value!r}.")
        for name, (least, most) in real.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise OditsError(f"{name} must lie between {least:g} and {most:g}, but is {value!r}.")
        if self.output_mode not in OUTPUT_MODES:
            raise OditsError(f"output_mode must be one of {', '.join(OUTPUT_MODES)}, but is {self.output_mode!r}.")
        if self.mode not in MODES:
            raise OditsError(f"mode must be {' or '.join(MODES)}, but is {self.mode!r}.")
        self._check_points()

    def _check_points(self) -> None:
        if (self.points_per_side is None) == (self.point_grids is None):
            raise OditsError("Exactly one of points_per_side and point_grids must be given.")
        if self.points_per_side is not None:
            if int(self.points_per_side / self.crop_n_points_downscale_factor**self.crop_n_layers) < 1:
                raise OditsError(
                    "crop_n_points_downscale_factor leaves the last crop layer without a point: "
                    "lower it, or raise points_per_side."
                )
            return
        if self.point_grids is None:
            return
        if len(self.point_grids) != self.crop_n_layers + 1:
            raise OditsError(f"point_grids needs {self.crop_n_layers + 1} grids (crop_n_layers + 1).")
        for grid in self.point_grids:
            points = np.asarray(grid, float)
            inside = ((points >= 0) & (points <= 1)).all()
            if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0 or not inside:
                raise OditsError("Every grid of point_grids needs one or more points (x, y) with both in 0..1.")

    @property
    def key(self) -> str:
        """A hexadecimal digest of all values; approximate ones say so."""
        values = asdict(self)
        values.pop("mode")
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
        return digest if self.mode == EXACT else f"{self.mode}_{digest}"

    def generator_arguments(self) -> dict[str, Any]:
        """The keyword arguments of segment_anything.SamAutomaticMaskGenerator."""
        arguments = asdict(self)
        arguments.pop("mode")
        if self.point_grids is not None:
            arguments["point_grids"] = [np.asarray(grid, float) for grid in self.point_grids]
        return arguments


def read_parameters(texts: Sequence[str]) -> SamParameters:
    """Table 3.2's parameters but for those that are given as "name=value".

    Raises:
        OditsError: an unknown name, or a value that it cannot have.
    """
    known = {item.name: item for item in fields(SamParameters) if item.name != "point_grids"}
    values: dict[str, Any] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in known:
            raise OditsError(f"SAM has no parameter {name!r}: use one of {', '.join(known)}.")
        kind: type = type(known[name].default)
        try:
            values[name] = kind(value)
        except ValueError as error:
            needed = "a whole number" if kind is int else "a number"
            raise OditsError(f"{name} must be {needed}, but is {value!r}.") from error
    return SamParameters(**values)


# The parameters of the embedded segmenter.


NAME = "Text regions + colour regions (not SAM)"


@dataclass(frozen=True)
class RegionParameters:
    """What the embedded segmenter can be told; `metadata["help"]` of each field says it to users."""

    side: int = field(
        default=512, metadata={"help": "The image is reduced to this many pixels on its longer side for the regions."}
    )
    superpixel: int = field(default=9, metadata={"help": "Distance of the superpixels' centres, in reduced pixels."})
    smallest: float = field(
        default=0.003, metadata={"help": "Regions smaller than this part of the image are dropped."}
    )
    largest: float = field(default=0.4, metadata={"help": "No region is larger than this part of the image."})
    noise: float = field(
        default=7.0,
        metadata={"help": "Colour differences below this are not taken for a border. Higher: fewer regions."},
    )
    detail: float = field(default=0.93, metadata={"help": "1 favours whole objects, smaller values their parts."})
    min_stability: float = field(
        default=0.1, metadata={"help": "Regions that stand out from their surroundings less than this are dropped."}
    )
    text: bool = field(default=True, metadata={"help": "Find lines of text too."})
    text_side: int = field(
        default=1024, metadata={"help": "The image is reduced to this many pixels on its longer side for the text."}
    )
    text_threshold: float = field(default=0.5, metadata={"help": "Text detections with a lower score are dropped."})
    nms_iou: float = field(
        default=0.7, metadata={"help": "Of two objects whose masks overlap by more than this IoU, the surer one stays."}
    )
    max_objects: int = field(
        default=100, metadata={"help": "The most confident regions up to this many objects are kept."}
    )

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "side": (64, 2048),
            "superpixel": (3, 64),
            "smallest": (0, 1),
            "largest": (0, 1),
            "noise": (0.1, 1000),
            "detail": (0.1, 2),
            "min_stability": (0, 1),
            "text_side": (64, 4096),
            "text_threshold": (0, 1),
            "nms_iou": (0, 1),
            "max_objects": (1, 1000),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise OditsError(f"{name} must lie between {low:g} and {high:g}, but is {getattr(self, name)}.")

    @property
    def key(self) -> str:
        """Identifies the segmenter with these values; caches key on it."""
        text = ";".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))
        return f"regions-1-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
