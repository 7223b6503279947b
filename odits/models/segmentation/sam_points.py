"""Masks at points and in boxes, by SAM 2 or by SAM 3's tracker: single ones, and those of a grid over the image."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from segment_anything.utils.amg import build_all_layer_point_grids, generate_crop_boxes, is_box_near_crop_edge
from torch import Tensor
from torch.nn import functional

from odits.core.progress import Progress
from odits.models.segmentation.hub_sam import HubNetwork
from odits.models.segmentation.parameters import SamParameters
from odits.models.segmentation.sam import Box, Point, PromptMasks, check_prompt
from odits.models.segmentation.sam_generator import MaskCandidate, pack_mask, stability_score


class PointDecoder:
    """An image that the network has encoded, ready for prompts.

    Args:
        network: asked with points.
        image: RGB, uint8 (H, W, 3).
        step: called after each layer of the backbone; what it raises ends the work.
    """

    def __init__(self, network: HubNetwork, image: np.ndarray, step: Callable[[], None] = lambda: None) -> None:
        self._network = network
        with torch.inference_mode(), network.steps(step):
            self._embedding = network.model.get_image_embeddings(network.pixels(image))
        # The image fills the square that the network sees, whatever its proportions.
        height, width = image.shape[:2]
        self._scale = np.array([network.side / width, network.side / height], np.float32)

    def masks(self, points: np.ndarray) -> tuple[Tensor, Tensor]:
        """Compute three masks for each of some points (P, 2) in the image's pixels.

        Returns:
            Logits (P, 3, h, w) and the quality (P, 3) that the network predicts of each.
        """
        moved = torch.as_tensor(points * self._scale, dtype=torch.float32)[None, :, None]
        return self._decode(input_points=moved, input_labels=torch.ones(moved.shape[:3], dtype=torch.int64))

    def prompted(
        self, points: Sequence[Point], labels: Sequence[int], box: Box | None, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Compute the masks of one prompt: logits (M, h, w) and their quality (M,)."""
        prompt = {}
        if points:
            moved = np.array(points, np.float32) * self._scale
            prompt["input_points"] = torch.as_tensor(moved)[None, None]
            prompt["input_labels"] = torch.tensor(labels, dtype=torch.int64)[None, None]
        if box is not None:
            corners = np.array(box, np.float32).reshape(2, 2) * self._scale
            prompt["input_boxes"] = torch.as_tensor(corners).reshape(1, 1, 4)
        logits, quality = self._decode(**prompt, multimask_output=multimask)
        return logits[0], quality[0]

    def _decode(self, multimask_output: bool = True, **prompt: Tensor) -> tuple[Tensor, Tensor]:
        here = {name: value.to(self._network.device) for name, value in prompt.items()}
        with torch.inference_mode():
            output = self._network.model(image_embeddings=self._embedding, multimask_output=multimask_output, **here)
        return output.pred_masks[0], output.iou_scores[0]


def upscaled(logits: Tensor, size: tuple[int, int]) -> np.ndarray:
    """Bring the logits of one mask to an image's height and width, as transformers does: float32 `size`."""
    full = functional.interpolate(logits[None, None].float(), size, mode="bilinear", align_corners=False)
    return full[0, 0].cpu().numpy()


class PointGenerator:
    """The masks of an image by a grid of points: segment-anything's procedure, with another network.

    Each mask is brought to the image's size alone, and only where its predicted quality passes: memory does not grow
    with the number of points.

    Args:
        network: asked with points.
        parameters: SAM's.
        progress: called with (done, of); what it raises ends the work.
    """

    def __init__(self, network: HubNetwork, parameters: SamParameters, progress: Progress | None = None) -> None:
        self._network, self._parameters, self._progress = network, parameters, progress
        self.pred_iou_thresh = parameters.pred_iou_thresh
        self.stability_score_thresh = parameters.stability_score_thresh
        self.crop_nms_thresh = parameters.crop_nms_thresh
        arguments = parameters.generator_arguments()
        self._grids: list[np.ndarray] = arguments["point_grids"] or build_all_layer_point_grids(
            parameters.points_per_side, parameters.crop_n_layers, parameters.crop_n_points_downscale_factor
        )
        self._done = self._all = 0

    def candidates(self, image: np.ndarray) -> Iterator[tuple[list[int], list[MaskCandidate]]]:
        """Yield every crop of an RGB image, uint8 (H, W, 3), as x0, y0, x1, y1, with the masks that pass."""
        chosen = self._parameters
        crops, layers = generate_crop_boxes(image.shape[:2], chosen.crop_n_layers, chosen.crop_overlap_ratio)
        # A grid's points are worth one unit each, and encoding the crop as many as them all.
        self._done, self._all = 0, sum(2 * len(self._grids[layer]) for layer in layers)
        for crop, layer in zip(crops, layers, strict=True):
            x0, y0, x1, y1 = crop
            inside = image[y0:y1, x0:x1]
            points = self._grids[layer] * np.array(inside.shape[1::-1])
            found = list(self._of_crop(inside, points)) if inside.size else []
            boxes = torch.tensor([item.box for item in found], dtype=torch.int64).reshape(-1, 4)
            near = is_box_near_crop_edge(boxes, crop, [0, 0, image.shape[1], image.shape[0]])
            yield crop, [item for item, cut in zip(found, near.tolist(), strict=True) if not cut]

    def _of_crop(self, crop: np.ndarray, points: np.ndarray) -> Iterator[MaskCandidate]:
        steps = iter(np.diff(np.linspace(0, len(points), len(self._network.layers) + 1).round().astype(int)).tolist())
        decoder = PointDecoder(self._network, crop, lambda: self._step(next(steps)))
        for start in range(0, len(points), self._parameters.points_per_batch):
            some = points[start : start + self._parameters.points_per_batch]
            logits, quality = decoder.masks(some)
            for point, masks, scores in zip(some, logits, quality.cpu().numpy(), strict=True):
                yield from self._passing(point, masks, scores, (crop.shape[0], crop.shape[1]))
            self._step(len(some))

    def _passing(
        self, point: np.ndarray, masks: Tensor, scores: np.ndarray, size: tuple[int, int]
    ) -> Iterator[MaskCandidate]:
        """Yield those of a point's masks that pass both thresholds."""
        for mask, score in zip(masks, scores, strict=True):
            if self.pred_iou_thresh > 0 and score <= np.float32(self.pred_iou_thresh):
                continue
            logits = upscaled(mask, size)
            stability = stability_score(logits, 0.0, self._parameters.stability_score_offset)
            # Compared as 32-bit floats, as in segment-anything: 19 / 20 passes 0.95.
            if self.stability_score_thresh > 0 and not np.float32(stability) >= np.float32(self.stability_score_thresh):
                continue
            yield MaskCandidate(float(score), stability, point, *pack_mask(logits > 0))

    def _step(self, units: int) -> None:
        self._done = min(self._done + units, self._all)
        if self._progress is not None:
            self._progress(self._done, self._all)


class PromptedHubImage:
    """An image that SAM 2 or SAM 3 has encoded once, ready for prompts; safe to share between threads.

    Args:
        network: asked with points.
        image: RGB, of size (W, H).
    """

    def __init__(self, network: HubNetwork, image: Image.Image) -> None:
        self._lock = threading.Lock()
        self.size = image.size
        self._decoder = PointDecoder(network, np.asarray(image.convert("RGB")))

    def predict(
        self,
        points: Sequence[Point] = (),
        negative_points: Sequence[Point] = (),
        box: Box | None = None,
        multimask: bool = True,
    ) -> PromptMasks:
        """Predict the masks of the object that the prompt means, as `odits.models.segmentation.sam.PromptedImage`."""
        both = [*points, *negative_points]
        check_prompt(both, box, self.size)
        with self._lock:
            labels = [1] * len(points) + [0] * len(negative_points)
            logits, quality = self._decoder.prompted(both, labels, box, multimask)
        order = torch.argsort(quality, descending=True, stable=True).tolist()
        masks = np.stack([upscaled(logits[index], (self.size[1], self.size[0])) > 0 for index in order])
        return PromptMasks(masks, quality.float().cpu().numpy()[order])
