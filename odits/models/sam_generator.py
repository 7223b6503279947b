"""segment-anything's mask generator with another path from an image to its masks: the same masks, sooner on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam
from segment_anything.utils.amg import (
    MaskData,
    generate_crop_boxes,
    is_box_near_crop_edge,
    uncrop_boxes_xyxy,
    uncrop_points,
)
from torch import Tensor
from torchvision.ops.boxes import batched_nms

from odits.models.sam_decoder import CHUNK, DecodedPoint, PointDecoder
from odits.models.sam_encoder import encode_image
from odits.models.sam_masks import Candidate, enlarge, pack, run_lengths, stability
from odits.models.sam_threads import Workers
from odits.predictions import Advance


class MaskGenerator(SamAutomaticMaskGenerator):
    """segment-anything's generator: same arguments, same records in the same order, computed in another order.

    `points_per_batch` is not looked at: points go through the decoder a few at a time, as a CPU's cache wants it.

    Args:
        model: the SAM.
        advance: called with (done, of) during `generate`; what it raises ends the work.
        arguments: those of SamAutomaticMaskGenerator.
    """

    def __init__(self, model: Sam, advance: Advance | None = None, **arguments: Any) -> None:
        super().__init__(model, **arguments)
        self._advance = advance
        self._done = self._all = 0

    def generate(self, image: np.ndarray) -> list[dict[str, Any]]:
        """Masks of an RGB image, uint8 (H, W, 3), as records of segment-anything."""
        _, layers = generate_crop_boxes(image.shape[:2], self.crop_n_layers, self.crop_overlap_ratio)
        self._start(layers)
        with torch.inference_mode():
            return super().generate(image)

    def candidates(self, image: np.ndarray) -> Iterator[tuple[list[int], list[Candidate]]]:
        """Every crop, as x0, y0, x1, y1, with the masks that pass its filters; doubles are not dropped."""
        crops, layers = generate_crop_boxes(image.shape[:2], self.crop_n_layers, self.crop_overlap_ratio)
        self._start(layers)
        for crop_box, layer in zip(crops, layers, strict=True):
            with torch.inference_mode():
                found, _ = self._crop_candidates(image, crop_box, layer)
            yield crop_box, found

    def _start(self, layers: list[int]) -> None:
        # A grid's points are worth one unit each, and encoding the crop as many as them all.
        self._done, self._all = 0, sum(2 * len(self.point_grids[layer]) for layer in layers)

    def _step(self, units: int) -> None:
        self._done = min(self._done + units, self._all)
        if self._advance is not None:
            self._advance(self._done, self._all)

    def _process_crop(
        self, image: np.ndarray, crop_box: list[int], crop_layer_idx: int, orig_size: tuple[int, ...]
    ) -> MaskData:
        """The masks of one crop; takes the place of the library's method of this name."""
        found, boxes = self._crop_candidates(image, crop_box, crop_layer_idx)
        quality = torch.tensor([item.quality for item in found], dtype=torch.float32)
        kept = batched_nms(boxes.float(), quality, torch.zeros(len(boxes)), iou_threshold=self.box_nms_thresh)
        found = [found[index] for index in kept.tolist()]
        points = torch.tensor(np.array([item.point for item in found]).reshape(-1, 2))
        return MaskData(
            iou_preds=quality[kept],
            points=uncrop_points(points, crop_box),
            stability_score=torch.tensor([item.stability for item in found], dtype=torch.float32),
            boxes=uncrop_boxes_xyxy(boxes[kept], crop_box),
            rles=[run_lengths(item, (crop_box[0], crop_box[1]), orig_size) for item in found],
            crop_boxes=torch.tensor([crop_box] * len(found), dtype=torch.int64).reshape(-1, 4),
        )

    def _crop_candidates(
        self, image: np.ndarray, crop_box: list[int], layer: int
    ) -> tuple[list[Candidate], torch.Tensor]:
        """What passes the filters in a crop and does not touch its inner edges; boxes int64 (K, 4) in its pixels."""
        x0, y0, x1, y1 = crop_box
        cropped = image[y0:y1, x0:x1]
        decoder, input_size = self._encode(cropped, len(self.point_grids[layer]))
        points = self.point_grids[layer] * np.array(cropped.shape[1::-1])
        found = list(self._candidates(decoder, points, input_size, cropped.shape[:2]))
        boxes = torch.tensor([item.box for item in found], dtype=torch.int64).reshape(-1, 4)
        inner = ~is_box_near_crop_edge(boxes, crop_box, [0, 0, image.shape[1], image.shape[0]])
        return [item for item, stays in zip(found, inner.tolist(), strict=True) if stays], boxes[inner]

    def _encode(self, crop: np.ndarray, units: int) -> tuple[PointDecoder, tuple[int, int]]:
        """A decoder for a crop, and the crop's height and width in the model's input."""
        model = self.predictor.model
        resized = np.ascontiguousarray(self.predictor.transform.apply_image(crop))
        pixels = torch.as_tensor(resized, device=model.device).permute(2, 0, 1)[None]
        embedding = self._embed(pixels, self._block_step(units))
        return PointDecoder(model, embedding), (pixels.shape[2], pixels.shape[3])

    def _embed(self, pixels: Tensor, step: Callable[[], None]) -> Tensor:
        model = self.predictor.model
        return encode_image(model, model.preprocess(pixels), step)

    def _block_step(self, units: int) -> Callable[[], None]:
        """A callback for every block of the encoder, which together are worth `units`."""
        count = len(self.predictor.model.image_encoder.blocks)
        steps = iter(np.diff(np.linspace(0, units, count + 1).round().astype(int)).tolist())
        return lambda: self._step(next(steps))

    def _candidates(
        self, decoder: PointDecoder, points: np.ndarray, input_size: tuple[int, int], size: tuple[int, int]
    ) -> Iterator[Candidate]:
        """Masks of all points (P, 2) of a crop of `size` (h, w) that pass the filters, in the library's order."""
        start, queries = decoder.tokens(self._coordinates(points, size))

        def work(part: slice) -> list[Candidate]:
            decoded = zip(points[part], decoder.decode(start[part], queries[part]), strict=True)
            return [
                found for place, item in decoded for found in self._survivors(decoder, item, place, input_size, size)
            ]

        parts = [slice(first, min(first + CHUNK, len(points))) for first in range(0, len(points), CHUNK)]
        with Workers(self.predictor.device) as workers:
            for part, found in zip(parts, workers.map(work, parts), strict=True):
                yield from found
                self._step(part.stop - part.start)

    def _coordinates(self, points: np.ndarray, size: tuple[int, int]) -> Tensor:
        moved = self.predictor.transform.apply_coords(points, size)
        return torch.as_tensor(moved, device=self.predictor.device)[:, None]

    def _survivors(
        self,
        decoder: PointDecoder,
        decoded: DecodedPoint,
        place: np.ndarray,
        input_size: tuple[int, int],
        size: tuple[int, int],
    ) -> Iterator[Candidate]:
        """Those of one point's masks that pass both filters; only masks of enough quality are computed at all."""
        quality = decoded.quality.cpu()
        wanted = [
            index for index in range(len(quality)) if self.pred_iou_thresh <= 0 or quality[index] > self.pred_iou_thresh
        ]
        if not wanted:
            return
        model = self.predictor.model
        threshold = model.mask_threshold
        factor = model.image_encoder.img_size // (4 * model.prompt_encoder.image_embedding_size[0])
        rows = -(-input_size[0] // factor) + 1  # the padding's rows are not computed
        for index, small in zip(wanted, decoder.masks(decoded, wanted, rows), strict=True):
            logits = enlarge(small[:rows], factor, input_size, size).cpu().numpy()
            score = stability(logits, threshold, self.stability_score_offset)
            # Compared as 32-bit floats, as in the library: 19 / 20 passes 0.95.
            if self.stability_score_thresh <= 0 or np.float32(score) >= np.float32(self.stability_score_thresh):
                box, bits = pack(logits > threshold)
                yield Candidate(float(quality[index]), score, place, box, bits)
