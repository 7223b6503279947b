"""Lines of text, straightened and cut into windows that may hold one word each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_HEIGHTS = (32, 64)  # pixels; as small as the embedded model reads, and enough for any CLIP
_LONGEST = 1024
_CUTS = 4  # letters stand apart too: more cuts than these read fewer of the training images' words
_SHORTEST, _WIDEST = 0.7, 9.0  # of a word, in heights of its line
_THRESHOLDS = (0.35, 0.55, 0.75)  # a gap has less ink than this share of the line's median
_GAP = 0.12  # least width of a gap, in heights
_APART = 0.3  # least distance of two cuts, in heights
_EDGE = 0.5  # no cut so near to an end, in heights


@dataclass(frozen=True, eq=False)
class StraightLine:
    """A line of text, turned upright.

    Attributes:
        pixels: uint8 RGB (h, w, 3).
        corners: float32 (4, 2), its corners in the image, clockwise from where it begins at its top.
    """

    pixels: np.ndarray
    corners: np.ndarray

    def part(self, start: int, stop: int) -> np.ndarray:
        """Return the corners float32 (4, 2) in the image of the line's columns from `start` up to `stop`."""
        top_left, top_right, bottom_right, bottom_left = self.corners
        ends = np.array([[start], [stop]], np.float32) / self.pixels.shape[1]
        top, bottom = top_left + ends * (top_right - top_left), bottom_left + ends * (bottom_right - bottom_left)
        return np.stack([top[0], top[1], bottom[1], bottom[0]]).astype(np.float32)


def straighten(pixels: np.ndarray, mask: np.ndarray) -> StraightLine:
    """Cut out the smallest rectangle around a mask, turned so that its longer side runs to the right.

    Args:
        pixels: uint8 RGB (H, W, 3).
        mask: bool (H, W), with at least one pixel.
    """
    rows, columns = np.nonzero(mask)
    centre, (width, height), angle = cv2.minAreaRect(np.stack([columns, rows], 1).astype(np.float32))
    width, height = max(width, 1.0), max(height, 1.0)
    if width < 0.8 * height:
        width, height, angle = height, width, angle - 90
    along = np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    if along[0] < 0:
        along = -along
    down = np.array([-along[1], along[0]])
    half, drop = along * width / 2, down * height / 2
    corners = (np.array(centre) + np.stack([-half - drop, half - drop, half + drop, -half + drop])).astype(np.float32)
    tall = int(np.clip(height, *_HEIGHTS))
    wide = int(np.clip(round(width * tall / height), 4, _LONGEST))
    target = np.array([[0, 0], [wide, 0], [0, tall]], np.float32)
    change = cv2.getAffineTransform(corners[[0, 1, 3]], target)
    cut = cv2.warpAffine(pixels, change, (wide, tall), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return StraightLine(cut, corners)


def word_windows(line: np.ndarray) -> list[tuple[int, int]]:
    """Return the columns (start, stop) of the whole line, then of every run of its words, shorter ones first.

    Args:
        line: uint8 RGB (h, w, 3), upright.
    """
    height, width = line.shape[:2]
    cuts = [0, *gaps(line), width]
    found = [(0, width)]
    for words in range(1, len(cuts) - 1):
        for first in range(len(cuts) - words):
            start, stop = cuts[first], cuts[first + words]
            if stop - start < width and _SHORTEST * height <= stop - start <= _WIDEST * height:
                found.append((start, stop))
    return found


def gaps(line: np.ndarray) -> list[int]:
    """Find columns between words, at most 4: the widest runs with little ink, at several thresholds: signs differ."""
    height, width = line.shape[:2]
    grey = cv2.cvtColor(line, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = grey[int(0.12 * height) : max(int(0.88 * height), int(0.12 * height) + 1)]  # frames of signs are no ink
    edges = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    ink = edges.mean(0) + grey.std(0)
    ink = cv2.blur(ink[None], (max(1, height // 8) | 1, 1))[0]
    widths: dict[int, int] = {}
    for threshold in _THRESHOLDS:
        low = np.concatenate([[False], ink < threshold * np.median(ink), [False]])
        starts, stops = np.flatnonzero(low[1:] & ~low[:-1]), np.flatnonzero(~low[1:] & low[:-1])
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            if stop - start >= _GAP * height and start > _EDGE * height and stop < width - _EDGE * height:
                widths[(start + stop) // 2] = stop - start
    cuts: list[int] = []
    for column in sorted(widths, key=lambda column: -widths[column]):
        if len(cuts) < _CUTS and all(abs(column - other) > _APART * height for other in cuts):
            cuts.append(column)
    return sorted(cuts)
