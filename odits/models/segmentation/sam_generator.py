"""segment-anything's mask generator by another path: the same masks, sooner on a CPU.

The points of an image are decoded by several threads, each on a core of its own, and a mask is brought to the image's
size only where its predicted quality passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

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
from torch.nn import functional
from torchvision.ops.boxes import batched_nms

from odits.core.progress import Progress
from odits.models.segmentation.sam_network import CHUNK, DecodedPoint, PointDecoder, encode_image

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class MaskCandidate:
    """A mask that passed the filters on quality and stability.

    Attributes:
        quality: predicted IoU.
        stability: stability score.
        point: float64 (2,), in pixels of the crop.
        box: x0, y0, x1, y1 of its pixels, both ends within, in pixels of the crop.
        bits: its pixels within the box, packed: a thousand masks at full size would need a gigabyte.
    """

    quality: float
    stability: float
    point: np.ndarray
    box: tuple[int, int, int, int]
    bits: np.ndarray

    def inside(self) -> np.ndarray:
        """Unpack the mask's pixels within its box, bool (y1 - y0 + 1, x1 - x0 + 1)."""
        x0, y0, x1, y1 = self.box
        shape = (y1 - y0 + 1, x1 - x0 + 1)
        return np.unpackbits(self.bits, count=shape[0] * shape[1]).view(bool).reshape(shape)


def upscale_logits(logits: Tensor, factor: int, input_size: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Upscale the logits of a mask to the crop's size, as `Sam.postprocess_masks` does.

    Columns of the padding are not computed, nor is a crop scaled that has the input's size already.

    Args:
        logits: of the decoder, with at least the rows of `input_size`.
        factor: pixels of the model's input for one of the logits.
        input_size: height and width of the crop in the model's input.
        size: height and width of the crop.

    Returns:
        float32 of `size`.
    """
    part = logits[:, : -(-input_size[1] // factor) + 1]
    whole = (part.shape[0] * factor, part.shape[1] * factor)
    full = functional.interpolate(part[None, None], whole, mode="bilinear", align_corners=False)
    full = full[..., : input_size[0], : input_size[1]]
    if input_size != size:
        full = functional.interpolate(full, size, mode="bilinear", align_corners=False)
    return full[0, 0]


def stability_score(logits: np.ndarray, threshold: float, offset: float) -> float:
    """Compute segment-anything's stability score: the IoU of the masks at cutoffs above and below the threshold.

    NaN where no logit passes the lower cutoff. Counted by numpy, which is faster.

    Example:
        >>> stability_score(np.array([[2.0, 0.5], [-0.5, -2.0]]), threshold=0.0, offset=1.0)
        0.3333333432674408
    """
    inner, outer = (np.count_nonzero(logits > threshold + shift) for shift in (offset, -offset))
    return float(torch.tensor(inner, dtype=torch.int32) / torch.tensor(outer, dtype=torch.int32))


def pack_mask(mask: np.ndarray) -> tuple[tuple[int, int, int, int], np.ndarray]:
    """Return the box of a mask (0, 0, 0, 0 where there is no pixel, as in the library) and its packed pixels within."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0), np.packbits(mask[:1, :1])
    x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
    return (x0, y0, x1, y1), np.packbits(mask[y0 : y1 + 1, x0 : x1 + 1])


def to_rle(item: MaskCandidate, corner: tuple[int, int], size: tuple[int, ...]) -> dict[str, Any]:
    """Encode a mask as uncompressed run lengths, column by column, in the whole image.

    Args:
        item: the mask in a crop.
        corner: x and y of the crop in the image.
        size: height and width of the image.
    """
    x0, y0, x1, y1 = item.box
    mask = np.zeros((size[1], size[0]), bool)
    mask[x0 + corner[0] : x1 + corner[0] + 1, y0 + corner[1] : y1 + corner[1] + 1] = item.inside().T
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(changes, prepend=0, append=len(flat)).tolist()
    return {"size": [size[0], size[1]], "counts": [0, *counts] if flat[0] else counts}


class DecoderThreads:
    """A context whose `map` works on as many items at once as torch has threads, each item in one thread.

    The decoder's steps take a fraction of a millisecond. Shared between cores they would wait for each other all the
    time, and for long where another program takes a core; and a core's cache would see every point.
    """

    def __init__(self, device: torch.device) -> None:
        self.count = torch.get_num_threads() if device.type == "cpu" else 1
        self._pool = ThreadPoolExecutor(self.count, "sam", initializer=torch.set_num_threads, initargs=(1,))

    def __enter__(self) -> DecoderThreads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self.count > 1:
            torch.set_num_threads(self.count)  # else threads that are started later would begin with one

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the results in the order of the items; only a few items are taken ahead."""
        if self.count == 1:
            yield from map(function, items)
            return
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(self._pool.submit(self._run, function, item))
            if len(waiting) > 2 * self.count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    @staticmethod
    def _run(function: Callable[[Item], Result], item: Item) -> Result:
        with torch.inference_mode():  # it holds for one thread
            return function(item)


class MaskGenerator(SamAutomaticMaskGenerator):
    """segment-anything's generator: same arguments, same records in the same order, computed in another order.

    `points_per_batch` is ignored: points go through the decoder a few at a time, as a CPU's cache wants it.

    Args:
        model: the SAM.
        progress: called with (done, of) during `generate`; what it raises ends the work.
        arguments: those of SamAutomaticMaskGenerator.
    """

    def __init__(self, model: Sam, progress: Progress | None = None, **arguments: Any) -> None:
        super().__init__(model, **arguments)
        self._progress = progress
        self._done = self._all = 0

    def generate(self, image: np.ndarray) -> list[dict[str, Any]]:
        """Find the masks of an RGB image, uint8 (H, W, 3), as records of segment-anything."""
        _, layers = generate_crop_boxes(image.shape[:2], self.crop_n_layers, self.crop_overlap_ratio)
        self._start(layers)
        with torch.inference_mode():
            return super().generate(image)

    def candidates(self, image: np.ndarray) -> Iterator[tuple[list[int], list[MaskCandidate]]]:
        """Yield every crop, as x0, y0, x1, y1, with the masks that pass the filters; duplicates are not suppressed."""
        crops, layers = generate_crop_boxes(image.shape[:2], self.crop_n_layers, self.crop_overlap_ratio)
        self._start(layers)
        for crop_box, layer in zip(crops, layers, strict=True):
            with torch.inference_mode():
                candidates, _ = self._crop_candidates(image, crop_box, layer)
            yield crop_box, candidates

    def _start(self, layers: list[int]) -> None:
        # A grid's points are worth one unit each, and encoding the crop as many as them all.
        self._done, self._all = 0, sum(2 * len(self.point_grids[layer]) for layer in layers)

    def _step(self, units: int) -> None:
        self._done = min(self._done + units, self._all)
        if self._progress is not None:
            self._progress(self._done, self._all)

    def _process_crop(
        self, image: np.ndarray, crop_box: list[int], crop_layer_idx: int, orig_size: tuple[int, ...]
    ) -> MaskData:
        """Find the masks of one crop; takes the place of the library's method of this name."""
        candidates, boxes = self._crop_candidates(image, crop_box, crop_layer_idx)
        quality = torch.tensor([item.quality for item in candidates], dtype=torch.float32)
        survivors = batched_nms(boxes.float(), quality, torch.zeros(len(boxes)), iou_threshold=self.box_nms_thresh)
        candidates = [candidates[index] for index in survivors.tolist()]
        points = torch.tensor(np.array([item.point for item in candidates]).reshape(-1, 2))
        return MaskData(
            iou_preds=quality[survivors],
            points=uncrop_points(points, crop_box),
            stability_score=torch.tensor([item.stability for item in candidates], dtype=torch.float32),
            boxes=uncrop_boxes_xyxy(boxes[survivors], crop_box),
            rles=[to_rle(item, (crop_box[0], crop_box[1]), orig_size) for item in candidates],
            crop_boxes=torch.tensor([crop_box] * len(candidates), dtype=torch.int64).reshape(-1, 4),
        )

    def _crop_candidates(
        self, image: np.ndarray, crop_box: list[int], layer: int
    ) -> tuple[list[MaskCandidate], torch.Tensor]:
        """Find the masks that pass the filters and do not touch the crop's inner edges, with boxes int64 (K, 4)."""
        x0, y0, x1, y1 = crop_box
        cropped = image[y0:y1, x0:x1]
        if not cropped.size:  # of an image with fewer pixels than crops along a side
            return [], torch.empty((0, 4), dtype=torch.int64)
        decoder, input_size = self._encode(cropped, len(self.point_grids[layer]))
        points = self.point_grids[layer] * np.array(cropped.shape[1::-1])
        candidates = list(self._candidates(decoder, points, input_size, cropped.shape[:2]))
        boxes = torch.tensor([item.box for item in candidates], dtype=torch.int64).reshape(-1, 4)
        inner = ~is_box_near_crop_edge(boxes, crop_box, [0, 0, image.shape[1], image.shape[0]])
        return [item for item, stays in zip(candidates, inner.tolist(), strict=True) if stays], boxes[inner]

    def _encode(self, crop: np.ndarray, units: int) -> tuple[PointDecoder, tuple[int, int]]:
        """Return a decoder for a crop, and the crop's height and width in the model's input."""
        model = self.predictor.model
        resized = np.ascontiguousarray(self.predictor.transform.apply_image(crop))
        pixels = torch.as_tensor(resized, device=model.device).permute(2, 0, 1)[None]
        embedding = encode_image(model, model.preprocess(pixels), self._block_step(units))
        return PointDecoder(model, embedding), (pixels.shape[2], pixels.shape[3])

    def _block_step(self, units: int) -> Callable[[], None]:
        """Return a callback for every block of the encoder, which together are worth `units`."""
        count = len(self.predictor.model.image_encoder.blocks)
        steps = iter(np.diff(np.linspace(0, units, count + 1).round().astype(int)).tolist())
        return lambda: self._step(next(steps))

    def _candidates(
        self, decoder: PointDecoder, points: np.ndarray, input_size: tuple[int, int], size: tuple[int, int]
    ) -> Iterator[MaskCandidate]:
        """Yield the masks of a crop's points (P, 2) that pass the filters, in the library's order."""
        moved = self.predictor.transform.apply_coords(points, size)
        start, queries = decoder.tokens(torch.as_tensor(moved, device=self.predictor.device)[:, None])

        def decode(chunk: slice) -> list[MaskCandidate]:
            pairs = zip(decoder.decode(start[chunk], queries[chunk]), points[chunk], strict=True)
            return [
                candidate for item, point in pairs for candidate in self._filter(decoder, item, point, input_size, size)
            ]

        chunks = [slice(first, min(first + CHUNK, len(points))) for first in range(0, len(points), CHUNK)]
        with DecoderThreads(self.predictor.device) as threads:
            for chunk, candidates in zip(chunks, threads.map(decode, chunks), strict=True):
                yield from candidates
                self._step(chunk.stop - chunk.start)

    def _filter(
        self,
        decoder: PointDecoder,
        decoded: DecodedPoint,
        point: np.ndarray,
        input_size: tuple[int, int],
        size: tuple[int, int],
    ) -> Iterator[MaskCandidate]:
        """Yield those of one point's masks that pass both filters; only masks of enough quality are computed at all."""
        quality = decoded.quality.cpu()
        indices = [
            index for index in range(len(quality)) if self.pred_iou_thresh <= 0 or quality[index] > self.pred_iou_thresh
        ]
        if not indices:
            return
        model = self.predictor.model
        threshold = model.mask_threshold
        factor = model.image_encoder.img_size // (4 * model.prompt_encoder.image_embedding_size[0])
        rows = -(-input_size[0] // factor) + 1  # the padding's rows are not computed
        for index, small in zip(indices, decoder.masks(decoded, indices, rows), strict=True):
            logits = upscale_logits(small[:rows], factor, input_size, size).cpu().numpy()
            score = stability_score(logits, threshold, self.stability_score_offset)
            # Compared as 32-bit floats, as in the library: 19 / 20 passes 0.95.
            if self.stability_score_thresh <= 0 or np.float32(score) >= np.float32(self.stability_score_thresh):
                box, bits = pack_mask(logits > threshold)
                yield MaskCandidate(float(quality[index]), score, point, box, bits)
