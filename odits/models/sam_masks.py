"""One mask of SAM: brought to the image's size, measured, and held in little memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Candidate:
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

    def covers(self, points: np.ndarray) -> np.ndarray:
        """bool (P,): which of the points (P, 2), in pixels of the crop, lie in the mask."""
        x0, y0, x1, y1 = self.box
        columns, rows = np.floor(points).astype(np.int64).T
        found = (columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1)
        found[found] = self.inside()[rows[found] - y0, columns[found] - x0]
        return found

    def inside(self) -> np.ndarray:
        """bool, the mask's pixels within its box."""
        x0, y0, x1, y1 = self.box
        shape = (y1 - y0 + 1, x1 - x0 + 1)
        return np.unpackbits(self.bits, count=shape[0] * shape[1]).view(bool).reshape(shape)


def enlarge(logits: Tensor, factor: int, input_size: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Logits (h, w) of a mask at the crop's size, as `Sam.postprocess_masks` computes them.

    Columns of the padding are not computed, nor is a crop scaled that has the input's size already.
    """
    part = logits[:, : -(-input_size[1] // factor) + 1]
    whole = (part.shape[0] * factor, part.shape[1] * factor)
    full = functional.interpolate(part[None, None], whole, mode="bilinear", align_corners=False)
    full = full[..., : input_size[0], : input_size[1]]
    if input_size != size:
        full = functional.interpolate(full, size, mode="bilinear", align_corners=False)
    return full[0, 0]


def stability(logits: np.ndarray, threshold: float, offset: float) -> float:
    """The library's stability score, counted by numpy, which is faster; NaN where no logit passes the lower cutoff."""
    inner, outer = (np.count_nonzero(logits > threshold + shift) for shift in (offset, -offset))
    return float(torch.tensor(inner, dtype=torch.int32) / torch.tensor(outer, dtype=torch.int32))


def pack(mask: np.ndarray) -> tuple[tuple[int, int, int, int], np.ndarray]:
    """Box (0, 0, 0, 0 where there is no pixel, as in the library) and packed pixels within it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0), np.packbits(mask[:1, :1])
    x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
    return (x0, y0, x1, y1), np.packbits(mask[y0 : y1 + 1, x0 : x1 + 1])


def run_lengths(item: Candidate, corner: tuple[int, int], size: tuple[int, ...]) -> dict[str, Any]:
    """The mask as an uncompressed run-length encoding, column by column, in the whole image of `size` (H, W)."""
    x0, y0, x1, y1 = item.box
    mask = np.zeros((size[1], size[0]), bool)
    mask[x0 + corner[0] : x1 + corner[0] + 1, y0 + corner[1] : y1 + corner[1] + 1] = item.inside().T
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(changes, prepend=0, append=len(flat)).tolist()
    return {"size": [size[0], size[1]], "counts": [0, *counts] if flat[0] else counts}
