"""Masks as other tools write them: polygons, and the run lengths of CVAT and of Label Studio."""

from __future__ import annotations

import cv2
import numpy as np

_SIZES = (3, 4, 8, 16)  # bits of a run's length, of which Label Studio's run lengths choose one each time
_CHANNELS = 4


def polygons_of(mask: np.ndarray) -> list[np.ndarray]:
    """Trace the outer edges of a mask's parts; holes are not told of.

    The outline runs a quarter of a pixel inside the true edge, and is made simpler where that moves it by at most half
    a pixel.

    Args:
        mask: bool (H, W).

    Returns:
        A polygon each part, float (n, 2) with n ≥ 3: x, y in pixels. Parts of a pixel's width are polygons too.
    """
    if not mask.any():
        return []
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    # twice as large, the outline of a line one pixel wide encloses something
    large = np.kron(part.astype(np.uint8), np.ones((2, 2), np.uint8))
    found, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [(_simpler(contour) + 0.5) / 2 + (left, top) for contour in found]


def _simpler(contour: np.ndarray) -> np.ndarray:
    """Return the points (n, 2) of a contour (m, 1, 2) that it needs."""
    simple = cv2.approxPolyDP(contour, 1.0, True)
    return (simple if len(simple) >= 3 else contour).reshape(-1, 2)


def runs_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of the runs of equal values (n,) and their lengths (n,)."""
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    return values[starts], np.diff(np.concatenate([starts, [len(values)]]))


def cvat_runs(mask: np.ndarray) -> dict[str, str]:
    """Return CVAT's attributes of a mask: its bounding box, and the lengths of its runs row by row, zeros first.

    Args:
        mask: bool (H, W) with at least one pixel.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    values, lengths = runs_of(part.ravel())
    counts = [*([0] if values[0] else []), *lengths.tolist()]
    return {
        "rle": ", ".join(map(str, counts)),
        "left": str(columns[0]),
        "top": str(rows[0]),
        "width": str(part.shape[1]),
        "height": str(part.shape[0]),
    }


def label_studio_runs(mask: np.ndarray) -> list[int]:
    """Return Label Studio's run lengths of a mask: bytes of an RGBA image, white where the mask is.

    The bits are: 32 of the number of values, 5 of their width, four times 4 of the widths of lengths; then for each run
    a one, which width, its length less one, and its value (https://github.com/thi-ng/umbrella, package rle-pack).

    Args:
        mask: bool (H, W).
    """
    values, lengths = runs_of(mask.ravel().astype(np.uint8) * 255)
    bits = [f"{mask.size * _CHANNELS:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    longest = 1 << _SIZES[-1]
    for value, length in zip(values.tolist(), (lengths * _CHANNELS).tolist(), strict=True):
        for rest in range(length, 0, -longest):
            run = min(rest, longest)
            which = next(index for index, size in enumerate(_SIZES) if run <= 1 << size)
            bits.append(f"1{which:02b}{run - 1:0{_SIZES[which]}b}{value:08b}")
    joined = np.frombuffer("".join(bits).encode("ascii"), np.uint8) - ord("0")
    packed: list[int] = np.packbits(joined).tolist()
    return packed
