"""Masks for a click or a box: SAM asked by a person. The image is encoded once; every further question is quick."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import supervision as sv
import torch
from PIL import Image
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide

from odits.errors import OditsError
from odits.models.sam_encoder import encode_image
from odits.objects import make_detections

Point = tuple[float, float]
Box = tuple[float, float, float, float]


class Candidates(NamedTuple):
    """What SAM takes the thing to be, best first.

    Attributes:
        masks: bool (M, H, W); M is 3, or 1 where only one was asked for.
        scores: float32 (M,), the quality that SAM predicts of each.
    """

    masks: np.ndarray
    scores: np.ndarray

    def detection(self, index: int) -> sv.Detections:
        """One of them as an object (kind "mask"); nothing where its mask has no pixel."""
        height, width = self.masks.shape[1:]
        return make_detections([self.masks[index]], [float(self.scores[index])], ["mask"], (width, height))


class PromptedImage:
    """An image that SAM has encoded, ready to be asked about; safe to share between threads.

    Args:
        sam: the model, as `SamSegmenter.model` has it.
        image: RGB, of size (W, H).
    """

    def __init__(self, sam: Sam, image: Image.Image) -> None:
        self._sam, self._lock = sam, threading.Lock()
        self.size = image.size
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)
        resized = self._resize.apply_image(np.asarray(image.convert("RGB")))
        self._input = resized.shape[:2]
        with torch.inference_mode():
            pixels = torch.as_tensor(resized, device=sam.device).permute(2, 0, 1)[None]
            self._embedding = encode_image(sam, sam.preprocess(pixels), lambda: None)

    def ask(
        self, points: Sequence[Point] = (), outside: Sequence[Point] = (), box: Box | None = None, several: bool = True
    ) -> Candidates:
        """The masks of the thing at these places, as segment-anything's SamPredictor gives them, best first.

        Args:
            points: (x, y) in the image's pixels that belong to the thing.
            outside: (x, y) that do not.
            box: x0, y0, x1, y1 around it.
            several: three candidates, or the single mask that SAM prefers.

        Raises:
            OditsError: nothing was asked, a place lies outside the image, or a box has no area.
        """
        self._check([*points, *outside], box)
        height, width = self.size[1], self.size[0]
        coordinates = labels = corners = None
        if points or outside:
            places = self._resize.apply_coords(np.array([*points, *outside], float), (height, width))
            coordinates = torch.as_tensor(places, dtype=torch.float, device=self._sam.device)[None]
            labels = torch.tensor([[1] * len(points) + [0] * len(outside)], device=self._sam.device)
        if box is not None:
            scaled = self._resize.apply_boxes(np.array([box], float), (height, width))
            corners = torch.as_tensor(scaled, dtype=torch.float, device=self._sam.device)
        with self._lock, torch.inference_mode():
            asked = None if coordinates is None else (coordinates, labels)
            sparse, dense = self._sam.prompt_encoder(points=asked, boxes=corners, masks=None)
            low, quality = self._sam.mask_decoder(
                image_embeddings=self._embedding,
                image_pe=self._sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=several,
            )
            logits = self._sam.postprocess_masks(low, self._input, (height, width))[0]
        order = torch.argsort(quality[0], descending=True, stable=True)
        masks = (logits > self._sam.mask_threshold)[order].cpu().numpy()
        return Candidates(masks, quality[0][order].float().cpu().numpy())

    def _check(self, places: Sequence[Point], box: Box | None) -> None:
        width, height = self.size
        if not places and box is None:
            raise OditsError("Click on the thing, or draw a box around it.")
        corners = [] if box is None else [(box[0], box[1]), (box[2], box[3])]
        for x, y in [*places, *corners]:
            if not (0 <= x <= width and 0 <= y <= height):
                raise OditsError(f"({x:g}, {y:g}) lies outside the image of {width} × {height} pixels.")
        if box is not None and (box[2] <= box[0] or box[3] <= box[1]):
            raise OditsError("The box has no area: draw it from one corner to the opposite one.")
