"""Filters over objects that are stored: what a stricter segmenter would have left, without finding anything anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from odits.core.pool import Source
from odits.objects.codec import stored_document


class ObjectFilters(NamedTuple):
    """What an object must have to be counted; the defaults let every object pass.

    Attributes:
        least_confidence: in 0..1.
        least_area: per cent of the image.
        box_nms_thresh: of two objects whose boxes overlap by more than this IoU, the better stays.
    """

    least_confidence: float = 0.0
    least_area: float = 0.0
    box_nms_thresh: float = 1.0


@dataclass(frozen=True, eq=False)
class StoredBoxes:
    """The objects of one image without their masks, best first: lines of text, then by confidence.

    Attributes:
        confidence: float64 (K,).
        share: float64 (K,), per cent of the image.
        suppression: over their boxes.
    """

    confidence: np.ndarray
    share: np.ndarray
    suppression: Suppression

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> StoredBoxes:
        """Return the objects of a document as `odits.objects.codec.to_document` has it."""
        height, width = document["size"]
        found = sorted(document["objects"], key=lambda item: (item["kind"] != "text", -item["score"]))
        boxes = np.array([item["bbox"] for item in found], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return cls(
            np.array([item["score"] for item in found], float),
            100 * np.array([item["area"] for item in found], float) / max(1, width * height),
            Suppression(boxes),
        )

    def count(self, filters: ObjectFilters) -> int:
        """Count the objects that pass."""
        passes = (self.confidence >= filters.least_confidence) & (self.share >= filters.least_area)
        if filters.box_nms_thresh >= 1:
            return int(passes.sum())
        return len(self.suppression.survivors(passes, filters.box_nms_thresh))


def stored_boxes(images: Iterable[Source], key: str) -> list[StoredBoxes]:
    """Return the stored objects of those images that the segmenter of this key has segmented.

    Raises:
        ImageError: an image's file cannot be read.
    """
    documents = (stored_document(image, key) for image in images)
    return [StoredBoxes.from_document(document) for document in documents if document is not None]


class Suppression:
    """Non-maximum suppression over the same boxes again and again: of any part of them, at any threshold.

    It decides as torchvision's `nms` does on float32 boxes.

    Args:
        boxes: (K, 4), x0, y0, x1, y1, best first.

    Example:
        >>> boxes = Suppression(np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]]))
        >>> boxes.survivors(np.ones(3, bool), threshold=0.5)
        [0, 2]
    """

    def __init__(self, boxes: np.ndarray) -> None:
        self._boxes = boxes.astype(np.float32)
        self._duplicates: dict[float, list[int]] = {}

    def survivors(self, passes: np.ndarray, threshold: float) -> list[int]:
        """Suppress boxes that a better one overlaps by an IoU above the threshold.

        Args:
            passes: bool (K,), which boxes take part.
            threshold: in 0..1.

        Returns:
            Indices of the boxes that stay, best first.
        """
        if threshold not in self._duplicates:
            self._duplicates[threshold] = self._duplicates_at(threshold)
        duplicates = self._duplicates[threshold]
        selected, bits = [], 0
        for index in np.flatnonzero(passes).tolist():
            if not duplicates[index] & bits:
                bits |= 1 << index
                selected.append(index)
        return selected

    def _duplicates_at(self, threshold: float) -> list[int]:
        """For each box, the better ones that overlap it too much, as the bits of a number."""
        low = np.maximum(self._boxes[:, None, :2], self._boxes[None, :, :2])
        high = np.minimum(self._boxes[:, None, 2:], self._boxes[None, :, 2:])
        common = (high - low).clip(0).prod(-1)
        area = (self._boxes[:, 2:] - self._boxes[:, :2]).prod(-1)
        with np.errstate(invalid="ignore", divide="ignore"):  # boxes without an area overlap nothing
            close = (common / (area[:, None] + area[None, :] - common)).astype(np.float64) > threshold
        packed = np.packbits(np.tril(close, -1), axis=1, bitorder="little")
        return [int.from_bytes(row.tobytes(), "little") for row in packed]
