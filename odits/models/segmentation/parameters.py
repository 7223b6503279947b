"""The parameters of the segmenters: those of SAM's mask generator (Table 3.2 of the thesis), and the embedded one's.

A field's metadata hold what an interface needs: "help", and "low" and "high" where there are bounds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.models.reading.packaged import other_models

SAM_SIDE = 1024
OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")

PointGrid = tuple[tuple[float, float], ...]


def _parameter(default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    bounds = {} if low is None or high is None else {"low": low, "high": high}
    return field(default=default, metadata={"help": text, **bounds})


def _check_bounds(parameters: SamParameters | RegionParameters) -> None:
    """Raise OditsError where a number is out of bounds; a field whose default is a whole number takes only these."""
    for item in fields(parameters):
        value = getattr(parameters, item.name)
        if "low" not in item.metadata or (value is None and item.name == "points_per_side"):
            continue
        low, high = item.metadata["low"], item.metadata["high"]
        whole = isinstance(item.default, int)
        is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            bounds = f"be a whole number from {low} to {high}" if whole else f"lie between {low:g} and {high:g}"
            raise OditsError(f"{item.name} must {bounds}, but is {value!r}.")


@dataclass(frozen=True)
class SamParameters:
    """The thesis's parameters of SamAutomaticMaskGenerator (Table 3.2).

    Values out of bounds raise OditsError with a sentence that names the parameter.

    Example:
        >>> SamParameters(points_per_side=16).generator_arguments()["points_per_side"]
        16
        >>> SamParameters(box_nms_thresh=1.5)
        Traceback (most recent call last):
            ...
        odits.core.errors.OditsError: box_nms_thresh must lie between 0 and 1, but is 1.5.
    """

    points_per_side: int | None = _parameter(
        32, "Points along one side of the grid that SAM is prompted with; the time grows with its square.", 1, 256
    )
    points_per_batch: int = _parameter(
        64,
        "Points that segment-anything decodes at once. The masks do not depend on it; here neither does the time.",
        1,
        4096,
    )
    pred_iou_thresh: float = _parameter(
        0.88, "Masks whose quality, as SAM itself predicts it, is lower are dropped.", 0, 1
    )
    stability_score_thresh: float = _parameter(
        0.95, "Masks that change more than this allows when the cutoff shifts are dropped.", 0, 1
    )
    stability_score_offset: float = _parameter(
        1.0, "How far the cutoff is shifted to measure a mask's stability.", 0, 10
    )
    box_nms_thresh: float = _parameter(
        0.7, "Of two masks whose boxes overlap by more than this IoU, the better stays.", 0, 1
    )
    crop_n_layers: int = _parameter(
        0,
        "Layers of crops searched besides the whole image (layer i has 4^i crops): finds small objects, takes long.",
        0,
        4,
    )
    crop_nms_thresh: float = _parameter(0.7, "The same as box_nms_thresh, between masks of different crops.", 0, 1)
    crop_overlap_ratio: float = _parameter(
        0.341, "How much neighbouring crops overlap, as a part of the image's shorter side.", 0, 0.9
    )
    crop_n_points_downscale_factor: int = _parameter(
        1, "The grid of crop layer n has points_per_side divided by this factor to the power n.", 1, 16
    )
    point_grids: tuple[PointGrid, ...] | None = _parameter(
        None, "Grids of points (x, y in 0..1) of your own, one a crop layer, in place of points_per_side."
    )
    min_mask_region_area: int = _parameter(
        0,
        "Holes and islands smaller than this many pixels (of the image reduced to 1024) are removed; 0 keeps them.",
        0,
        SAM_SIDE**2,
    )
    output_mode: str = _parameter(
        "binary_mask", "How segment-anything holds masks meanwhile: binary_mask, uncompressed_rle or coco_rle."
    )

    def __post_init__(self) -> None:
        _check_bounds(self)
        if self.output_mode not in OUTPUT_MODES:
            raise OditsError(f"output_mode must be one of {', '.join(OUTPUT_MODES)}, but is {self.output_mode!r}.")
        if (self.points_per_side is None) == (self.point_grids is None):
            raise OditsError("Exactly one of points_per_side and point_grids must be given.")
        if self.points_per_side is not None:
            if int(self.points_per_side / self.crop_n_points_downscale_factor**self.crop_n_layers) < 1:
                raise OditsError(
                    "crop_n_points_downscale_factor leaves the last crop layer without a point: "
                    "lower it, or raise points_per_side."
                )
        elif self.point_grids is not None:
            self._check_grids(self.point_grids)

    def _check_grids(self, grids: Sequence[PointGrid]) -> None:
        if len(grids) != self.crop_n_layers + 1:
            raise OditsError(f"point_grids needs {self.crop_n_layers + 1} grids (crop_n_layers + 1).")
        for grid in grids:
            points = np.asarray(grid, float)
            inside = ((points >= 0) & (points <= 1)).all()
            if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0 or not inside:
                raise OditsError("Every grid of point_grids needs one or more points (x, y) with both in 0..1.")

    @property
    def key(self) -> str:
        """A hexadecimal digest of all values."""
        return sha256_of(json.dumps(asdict(self), sort_keys=True))[:16]

    def generator_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of segment_anything.SamAutomaticMaskGenerator."""
        arguments = asdict(self)
        if self.point_grids is not None:
            arguments["point_grids"] = [np.asarray(grid, float) for grid in self.point_grids]
        return arguments


@dataclass(frozen=True)
class Sam3Parameters(SamParameters):
    """The parameters of SAM 3: those of the mask generator, and a text in place of its points.

    Example:
        >>> Sam3Parameters(text="shop sign, door").phrases
        ('shop sign', 'door')
    """

    text: str = _parameter(
        "", "What is to be found, such as: sign. Several are separated by commas; empty finds everything, by points."
    )
    text_threshold: float = _parameter(
        0.5, "Objects that match the text less than this, as SAM 3 itself predicts it, are dropped.", 0, 1
    )

    @property
    def phrases(self) -> tuple[str, ...]:
        """What is to be found, each once, in the order given."""
        found = (" ".join(part.split()) for part in self.text.split(","))
        return tuple(dict.fromkeys(part for part in found if part))

    @property
    def key(self) -> str:
        """A hexadecimal digest of the values that count: with a text those of the generator do not."""
        if self.phrases:
            values = {"text": self.phrases, "text_threshold": self.text_threshold}
            return f"text_{sha256_of(json.dumps(values, sort_keys=True))[:16]}"
        return SamParameters(**{item.name: getattr(self, item.name) for item in fields(SamParameters)}).key

    def generator_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of segment_anything.SamAutomaticMaskGenerator."""
        arguments = super().generator_arguments()
        del arguments["text"], arguments["text_threshold"]
        return arguments


class Preset(NamedTuple):
    """Values of SAM's parameters that belong together: a title, and those that differ from Table 3.2's."""

    title: str
    values: Mapping[str, Any]


PRESETS = {
    "thesis": Preset("Thesis (Table 3.2)", {}),
    "default": Preset("SAM's default", {"crop_overlap_ratio": 512 / 1500}),
    "sooner": Preset("Ours: a quarter of the points", {"points_per_side": 16}),
}
"""By name: the thesis's values, which are SAM's but for a rounded one; those of SamAutomaticMaskGenerator; and ours."""


def changed_against(parameters: SamParameters, preset: str) -> list[tuple[str, Any, Any]]:
    """Return what differs from a preset: name, the preset's value, and the value.

    Example:
        >>> changed_against(SamParameters(points_per_side=16), "thesis")
        [('points_per_side', 32, 16)]
    """
    known = {item.name: item.default for item in fields(SamParameters)} | dict(PRESETS[preset].values)
    return [
        (name, value, getattr(parameters, name)) for name, value in known.items() if getattr(parameters, name) != value
    ]


def parameters_of(family: str) -> type[SamParameters]:
    """Return the class of the parameters that a family of SAMs takes: "sam", "sam2" or "sam3"."""
    return Sam3Parameters if family == "sam3" else SamParameters


def parameters_from_json(values: Mapping[str, Any]) -> SamParameters:
    """Return parameters from the JSON form of `dataclasses.asdict`, which has no tuples."""
    grids = values["point_grids"]
    tuples = None if grids is None else tuple(tuple(map(tuple, grid)) for grid in grids)
    kind = parameters_of("sam3" if "text" in values else "sam")
    return kind(**{**values, "point_grids": tuples})


def read_parameters(texts: Sequence[str], family: str = "sam") -> SamParameters:
    """Read SAM's parameters.

    Args:
        texts: "name=value" each; the others have Table 3.2's values.
        family: "sam", "sam2" or "sam3".

    Raises:
        OditsError: an unknown name, or a value that it cannot have.

    Example:
        >>> read_parameters(["pred_iou_thresh = 0.9", "points_per_side=16"]).pred_iou_thresh
        0.9
    """
    chosen = parameters_of(family)
    known = {item.name: item for item in fields(chosen) if item.name != "point_grids"}
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
    return chosen(**values)


@dataclass(frozen=True)
class RegionParameters:
    """The parameters of the embedded segmenter, `odits.models.segmentation.regions.RegionSegmenter`.

    Values out of bounds raise OditsError with a sentence that names the parameter.
    """

    side: int = _parameter(
        512, "The image is reduced to this many pixels on its longer side for the regions.", 64, 2048
    )
    superpixel: int = _parameter(9, "Distance of the superpixels' centres, in reduced pixels.", 3, 64)
    smallest: float = _parameter(0.003, "Regions smaller than this part of the image are dropped.", 0, 1)
    largest: float = _parameter(0.4, "No region is larger than this part of the image.", 0, 1)
    noise: float = _parameter(
        7.0, "Colour differences below this are not taken for a border. Higher: fewer regions.", 0.1, 1000
    )
    detail: float = _parameter(0.93, "1 favours whole objects, smaller values their parts.", 0.1, 2)
    min_stability: float = _parameter(
        0.1, "Regions that stand out from their surroundings less than this are dropped.", 0, 1
    )
    text: bool = _parameter(True, "Find lines of text too.")
    text_side: int = _parameter(
        1024, "The image is reduced to this many pixels on its longer side for the text.", 64, 4096
    )
    text_threshold: float = _parameter(0.5, "Text detections with a lower score are dropped.", 0, 1)
    nms_iou: float = _parameter(
        0.7, "Of two objects whose masks overlap by more than this IoU, the more confident one stays.", 0, 1
    )
    max_objects: int = _parameter(100, "The most confident regions up to this many objects are left.", 1, 1000)

    def __post_init__(self) -> None:
        _check_bounds(self)

    @property
    def key(self) -> str:
        """Identifies the segmenter with these values; caches key on it."""
        text = ";".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))
        return f"regions-1-{sha256_of(text + (other_models('det') if self.text else ''))[:16]}"
