"""Non-maximum suppression over the same boxes again and again: what stays of any part of them, at any threshold."""

from __future__ import annotations

import numpy as np


class Suppression:
    """Boxes, best first; the same decisions as torchvision's `nms` on float32 boxes.

    Args:
        boxes: (K, 4), x0, y0, x1, y1.
    """

    def __init__(self, boxes: np.ndarray) -> None:
        self._boxes = boxes.astype(np.float32)
        self._doubles: dict[float, list[int]] = {}

    def survivors(self, passes: np.ndarray, threshold: float) -> list[int]:
        """Indices that stay, best first: no better one that stays overlaps them by an IoU above the threshold.

        Args:
            passes: bool (K,), which boxes take part.
            threshold: in 0..1.
        """
        if threshold not in self._doubles:
            self._doubles[threshold] = self._doubles_at(threshold)
        doubles = self._doubles[threshold]
        kept = 0
        stay = []
        for index in np.flatnonzero(passes).tolist():
            if not doubles[index] & kept:
                kept |= 1 << index
                stay.append(index)
        return stay

    def _doubles_at(self, threshold: float) -> list[int]:
        """For each box, the better ones that overlap it too much, as the bits of a number."""
        low = np.maximum(self._boxes[:, None, :2], self._boxes[None, :, :2])
        high = np.minimum(self._boxes[:, None, 2:], self._boxes[None, :, 2:])
        common = (high - low).clip(0).prod(-1)
        area = (self._boxes[:, 2:] - self._boxes[:, :2]).prod(-1)
        with np.errstate(invalid="ignore", divide="ignore"):  # boxes without an area overlap nothing
            close = (common / (area[:, None] + area[None, :] - common)).astype(np.float64) > threshold
        packed = np.packbits(np.tril(close, -1), axis=1, bitorder="little")
        return [int.from_bytes(row.tobytes(), "little") for row in packed]
