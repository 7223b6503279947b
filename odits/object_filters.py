"""Filters over objects that are stored: what a stricter segmenter would have left, without finding anything anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


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
        overlap: float64 (K, K), IoU of their boxes.
    """

    confidence: np.ndarray
    share: np.ndarray
    overlap: np.ndarray
    _better: dict[float, list[int]] = field(default_factory=dict, repr=False)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> StoredBoxes:
        """The objects of a document as `odits.object_store.to_document` has it."""
        height, width = document["size"]
        found = sorted(document["objects"], key=lambda item: (item["kind"] != "text", -item["score"]))
        boxes = np.array([item["bbox"] for item in found], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        return cls(
            np.array([item["score"] for item in found], float),
            100 * np.array([item["area"] for item in found], float) / max(1, width * height),
            _overlaps(boxes),
        )

    def count(self, filters: ObjectFilters) -> int:
        """How many objects pass."""
        passes = (self.confidence >= filters.least_confidence) & (self.share >= filters.least_area)
        if filters.box_nms_thresh >= 1:
            return int(passes.sum())
        better = self._doubles_of(filters.box_nms_thresh)
        kept = 0
        for index in np.flatnonzero(passes).tolist():
            if not better[index] & kept:
                kept |= 1 << index
        return kept.bit_count()

    def _doubles_of(self, threshold: float) -> list[int]:
        """For each object the better ones that it overlaps by more than a threshold, as the bits of a number."""
        if threshold not in self._better:
            close = self.overlap > threshold
            self._better[threshold] = [
                sum(1 << int(other) for other in np.flatnonzero(row[:index])) for index, row in enumerate(close)
            ]
        return self._better[threshold]


def _overlaps(boxes: np.ndarray) -> np.ndarray:
    """float64 (K, K): IoU of boxes (K, 4) of x0, y0, x1, y1."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = (high - low).clip(0).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    result: np.ndarray = common / np.maximum(area[:, None] + area[None, :] - common, 1e-9)
    return result
