"""Objects by the Segment Anything Model (Kirillov et al., 2023): segment-anything's masks, or approximate ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import supervision as sv
from PIL import Image

from odits.errors import OditsError
from odits.models.sam_known import KnownSam
from odits.models.sam_parameters import EXACT, SAM_SIDE, SamParameters
from odits.objects import make_detections
from odits.predictions import Advance

if TYPE_CHECKING:
    from odits.models.sam_replay import KeptCandidates


class SamSegmenter:
    """SAM behind the Segmenter protocol; kind "mask", confidence SAM's predicted IoU.

    Args:
        weights: a SAM state dict: one of the official .pth files, or a fine-tuned file of the same layout
            (`odits.models.sam_weights`).
        parameters: Table 3.2's values unless given.
        device: "auto", "cpu" or "cuda". On "mps" SAM runs on the CPU, since the generator's points are 64-bit floats.
    """

    def __init__(self, weights: Path, parameters: SamParameters | None = None, device: str = "auto") -> None:
        self._known = KnownSam(weights, device)
        self._set(parameters or SamParameters())

    @property
    def model(self) -> Any:
        """segment-anything's `Sam` with the weights, shared by all copies."""
        return self._known.model

    def with_parameters(self, parameters: SamParameters) -> SamSegmenter:
        """The same model, not loaded again, with other parameters."""
        other = object.__new__(SamSegmenter)
        other.__dict__.update(self.__dict__)
        other._set(parameters)
        return other

    def _set(self, parameters: SamParameters) -> None:
        self.parameters = parameters
        self.name, self.key = self._known.identity(parameters)

    def candidates(self, image: Image.Image) -> KeptCandidates:
        """The masks of an RGB image that pass the thresholds on quality and stability, for replaying stricter filters.

        Raises:
            OditsError: approximate masks are asked for, which depend on each other.
        """
        from odits.models.sam_replay import collect

        if self.parameters.mode != EXACT:
            raise OditsError("Filters can be replayed over exact masks only: set SAM's mode to exact.")
        with self._known.lock:
            return collect(self.model, _resized(image), self.parameters.generator_arguments())

    def segment(self, image: Image.Image, advance: Advance | None = None) -> sv.Detections:
        """Objects of an RGB image of size (W, H), as `odits.predictions.Segmenter` says.

        The image's longest side is brought to 1024 pixels first (SPEC); masks come back at the image's own size.

        Args:
            image: the image.
            advance: called many times a minute.
        """
        import torch

        from odits.models.sam_fast import ApproximateGenerator
        from odits.models.sam_generator import MaskGenerator

        kind = MaskGenerator if self.parameters.mode == EXACT else ApproximateGenerator
        generator = kind(self.model, advance, **self.parameters.generator_arguments())
        resized = _resized(image)
        with self._known.lock:
            try:
                found = generator.generate(resized)
            except torch.OutOfMemoryError as error:
                raise OditsError("SAM ran out of GPU memory: use the CPU, or a smaller model.") from error
        masks = (_decode(item["segmentation"]) for item in found)
        confidence = [float(item["predicted_iou"]) for item in found]
        return make_detections(masks, confidence, ["mask"] * len(found), image.size)


def _resized(image: Image.Image) -> np.ndarray:
    """uint8 (h, w, 3): the image as SAM is to see it, its longer side 1024 pixels."""
    scale = SAM_SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))


def _decode(segmentation: Any) -> np.ndarray:
    """bool (h, w) from any of the generator's output modes."""
    if isinstance(segmentation, np.ndarray):
        return segmentation
    if isinstance(segmentation["counts"], list):
        from segment_anything.utils.amg import rle_to_mask

        return rle_to_mask(segmentation)
    from odits.objects import mask_from_rle

    return mask_from_rle({"size": segmentation["size"], "counts": segmentation["counts"]})
