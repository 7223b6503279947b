"""Objects by the Segment Anything Model (Kirillov et al., 2023): segment-anything's masks, or approximate ones."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from PIL import Image

from odits.errors import OditsError
from odits.objects import make_detections

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


class SamSegmenter:
    """SAM behind the Segmenter protocol; kind "mask", confidence SAM's predicted IoU.

    Args:
        weights: a SAM state dict: one of the official .pth files, or a fine-tuned file of the same layout
            (`odits.models.sam_weights`).
        parameters: Table 3.2's values unless given.
        device: "auto", "cpu" or "cuda". On "mps" SAM runs on the CPU, since the generator's points are 64-bit floats.
    """

    def __init__(self, weights: Path, parameters: SamParameters | None = None, device: str = "auto") -> None:
        from odits.models.sam_weights import load_sam

        self.parameters = parameters or SamParameters()
        loaded = load_sam(weights, _device(device))
        self._model = loaded.model
        self._lock = threading.Lock()  # two images at once would take twice the memory and no less time
        self._architecture = loaded.architecture
        self._digest = loaded.digest[:16]
        self._set(self.parameters)

    @property
    def model(self) -> Any:
        """segment-anything's `Sam` with the weights, shared by all copies."""
        return self._model

    def with_parameters(self, parameters: SamParameters) -> SamSegmenter:
        """The same model, not loaded again, with other parameters."""
        other = object.__new__(SamSegmenter)
        other.__dict__.update(self.__dict__)
        other._set(parameters)
        return other

    def _set(self, parameters: SamParameters) -> None:
        self.parameters = parameters
        self.name = f"SAM {self._architecture}" + ("" if parameters.mode == EXACT else ", approximate")
        self.key = f"sam-{self._digest}-{parameters.key}"

    def segment(self, image: Image.Image, advance: Callable[[int, int], None] | None = None) -> sv.Detections:
        """Objects of an RGB image of size (W, H), as `odits.predictions.Segmenter` says.

        The image's longest side is brought to 1024 pixels first (SPEC); masks come back at the image's own size.

        Args:
            image: the image.
            advance: called with (done, of) many times a minute; what it raises ends the work and comes out here.
        """
        import torch

        from odits.models.sam_fast import ApproximateGenerator
        from odits.models.sam_generator import MaskGenerator

        scale = SAM_SIDE / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        resized = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))
        kind = MaskGenerator if self.parameters.mode == EXACT else ApproximateGenerator
        generator = kind(self._model, advance, **self.parameters.generator_arguments())
        with self._lock:
            try:
                found = generator.generate(resized)
            except torch.OutOfMemoryError as error:
                raise OditsError("SAM ran out of GPU memory: use the CPU, or a smaller model.") from error
        masks = (_decode(item["segmentation"]) for item in found)
        confidence = [float(item["predicted_iou"]) for item in found]
        return make_detections(masks, confidence, ["mask"] * len(found), image.size)


def _decode(segmentation: Any) -> np.ndarray:
    """bool (h, w) from any of the generator's output modes."""
    if isinstance(segmentation, np.ndarray):
        return segmentation
    if isinstance(segmentation["counts"], list):
        from segment_anything.utils.amg import rle_to_mask

        return rle_to_mask(segmentation)
    from odits.objects import mask_from_rle

    return mask_from_rle({"size": segmentation["size"], "counts": segmentation["counts"]})


def _device(name: str) -> str:
    import torch

    if name not in ("auto", "cpu", "cuda", "mps"):
        raise OditsError(f"There is no device {name!r}: use auto, cpu, cuda or mps.")
    if name == "cuda" and not torch.cuda.is_available():
        raise OditsError("There is no CUDA device here: use auto or cpu.")
    return "cuda" if name in ("auto", "cuda") and torch.cuda.is_available() else "cpu"
