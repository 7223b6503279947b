"""Objects by the Segment Anything Model (Kirillov et al., 2023): all of an image, or those at points or in a box."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import supervision as sv
import torch
from PIL import Image
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide

from odits.core.errors import OditsError
from odits.core.progress import Progress
from odits.models.segmentation.parameters import SAM_SIDE, SamParameters
from odits.models.segmentation.sam_network import encode_image
from odits.models.segmentation.sam_weights import SamWeights
from odits.objects.detections import make_detections

if TYPE_CHECKING:
    from odits.models.segmentation.sam_replay import MaskCandidates


class SamSegmenter:
    """SAM behind the Segmenter protocol; kind "mask", confidence SAM's predicted IoU.

    Args:
        weights: a SAM state dict: one of the official .pth files, or a fine-tuned file of the same layout
            (`odits.models.segmentation.sam_weights`).
        parameters: Table 3.2's values unless given.
        device: "auto", "cpu" or "cuda". On "mps" SAM runs on the CPU, since the generator's points are 64-bit floats.
    """

    def __init__(self, weights: Path, parameters: SamParameters | None = None, device: str = "auto") -> None:
        self._weights = SamWeights(weights, device)
        self._set(parameters or SamParameters())

    @property
    def model(self) -> Any:
        """segment-anything's `Sam` with the weights, shared by all copies."""
        return self._weights.model

    def encode(self, image: Image.Image) -> PromptedImage:
        """Encode an RGB image for points and boxes."""
        return PromptedImage(self.model, image)

    def with_parameters(self, parameters: SamParameters) -> SamSegmenter:
        """Return a segmenter with the same model, not loaded again, and other parameters."""
        other = object.__new__(SamSegmenter)
        other.__dict__.update(self.__dict__)
        other._set(parameters)
        return other

    def _set(self, parameters: SamParameters) -> None:
        self.parameters = parameters
        self.name, self.key = self._weights.identity(parameters)

    def candidates(self, image: Image.Image) -> MaskCandidates:
        """Compute the masks that pass the thresholds on quality and stability, for replaying stricter filters.

        Args:
            image: RGB.
        """
        from odits.models.segmentation.sam_replay import collect

        with self._weights.lock:
            return collect(self.model, _resized(image), self.parameters.generator_arguments())

    def segment(self, image: Image.Image, progress: Progress | None = None) -> sv.Detections:
        """Find the objects of an RGB image, as `odits.data.predictions.Segmenter` says.

        The image's longer side is brought to 1024 pixels first; masks come back at the image's own size.

        Args:
            image: the image.
            progress: called many times a minute.
        """
        import torch

        from odits.models.segmentation.sam_generator import MaskGenerator

        generator = MaskGenerator(self.model, progress, **self.parameters.generator_arguments())
        resized = _resized(image)
        with self._weights.lock:
            try:
                records = generator.generate(resized)
            except torch.OutOfMemoryError as error:
                raise OditsError("SAM ran out of GPU memory: use the CPU, or a smaller model.") from error
        masks = (_decode(record["segmentation"]) for record in records)
        confidence = [float(record["predicted_iou"]) for record in records]
        return make_detections(masks, confidence, ["mask"] * len(records), image.size)


def _resized(image: Image.Image) -> np.ndarray:
    """Resize an image as SAM is to see it, its longer side 1024 pixels: uint8 (h, w, 3)."""
    scale = SAM_SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))


def _at_least_a_pixel(image: Image.Image, sam: Sam) -> Image.Image:
    """Widen an image that is so long that its shorter side would have no pixel left at the size that SAM sees."""
    least = -(-max(image.size) // sam.image_encoder.img_size)
    return image.resize((max(image.width, least), max(image.height, least)))


def _decode(segmentation: Any) -> np.ndarray:
    """Decode a mask, bool (h, w), from any of the generator's output modes."""
    if isinstance(segmentation, np.ndarray):
        return segmentation
    if isinstance(segmentation["counts"], list):
        from segment_anything.utils.amg import rle_to_mask

        return rle_to_mask(segmentation)
    from odits.objects.detections import mask_from_rle

    return mask_from_rle({"size": segmentation["size"], "counts": segmentation["counts"]})


Point = tuple[float, float]
Box = tuple[float, float, float, float]


class PromptMasks(NamedTuple):
    """The masks of one prompt, best first.

    Attributes:
        masks: bool (M, H, W); M is 3, or 1 without `multimask`.
        scores: float32 (M,), the quality that SAM predicts of each.
    """

    masks: np.ndarray
    scores: np.ndarray

    def detection(self, index: int) -> sv.Detections:
        """Return one of them as an object (kind "mask"), or none where its mask has no pixel."""
        height, width = self.masks.shape[1:]
        return make_detections([self.masks[index]], [float(self.scores[index])], ["mask"], (width, height))


class PromptedImage:
    """An image that SAM has encoded once, ready for prompts; safe to share between threads.

    Args:
        sam: the model, as `SamSegmenter.model` has it.
        image: RGB, of size (W, H).
    """

    def __init__(self, sam: Sam, image: Image.Image) -> None:
        self._sam, self._lock = sam, threading.Lock()
        self.size = image.size
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)
        resized = self._resize.apply_image(np.asarray(_at_least_a_pixel(image.convert("RGB"), sam)))
        self._input = resized.shape[:2]
        with torch.inference_mode():
            pixels = torch.as_tensor(resized, device=sam.device).permute(2, 0, 1)[None]
            self._embedding = encode_image(sam, sam.preprocess(pixels), lambda: None)

    def predict(
        self,
        points: Sequence[Point] = (),
        negative_points: Sequence[Point] = (),
        box: Box | None = None,
        multimask: bool = True,
    ) -> PromptMasks:
        """Predict the masks of the object that the prompt means, as segment-anything's SamPredictor does.

        Args:
            points: (x, y) in the image's pixels that belong to the object.
            negative_points: (x, y) that do not.
            box: x0, y0, x1, y1 around it.
            multimask: three candidates, or the single mask that SAM prefers.

        Raises:
            OditsError: the prompt is empty, a point lies outside the image, or a box has no area.
        """
        check_prompt([*points, *negative_points], box, self.size)
        height, width = self.size[1], self.size[0]
        coordinates = labels = corners = None
        if points or negative_points:
            resized = self._resize.apply_coords(np.array([*points, *negative_points], float), (height, width))
            coordinates = torch.as_tensor(resized, dtype=torch.float, device=self._sam.device)[None]
            labels = torch.tensor([[1] * len(points) + [0] * len(negative_points)], device=self._sam.device)
        if box is not None:
            scaled = self._resize.apply_boxes(np.array([box], float), (height, width))
            corners = torch.as_tensor(scaled, dtype=torch.float, device=self._sam.device)
        with self._lock, torch.inference_mode():
            prompt = None if coordinates is None else (coordinates, labels)
            sparse, dense = self._sam.prompt_encoder(points=prompt, boxes=corners, masks=None)
            low, quality = self._sam.mask_decoder(
                image_embeddings=self._embedding,
                image_pe=self._sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
            )
            logits = self._sam.postprocess_masks(low, self._input, (height, width))[0]
        order = torch.argsort(quality[0], descending=True, stable=True)
        masks = (logits > self._sam.mask_threshold)[order].cpu().numpy()
        return PromptMasks(masks, quality[0][order].float().cpu().numpy())


def check_prompt(points: Sequence[Point], box: Box | None, size: tuple[int, int]) -> None:
    """Raise OditsError where a prompt is empty, outside an image of size (W, H), or a box without area."""
    width, height = size
    if not points and box is None:
        raise OditsError("Click on the thing, or draw a box around it.")
    corners = [] if box is None else [(box[0], box[1]), (box[2], box[3])]
    for x, y in [*points, *corners]:
        if not (0 <= x <= width and 0 <= y <= height):
            raise OditsError(f"({x:g}, {y:g}) lies outside the image of {width} × {height} pixels.")
    if box is not None and (box[2] <= box[0] or box[3] <= box[1]):
        raise OditsError("The box has no area: draw it from one corner to the opposite one.")
