"""Names of what is no thing but a surface: sky, greenery, ground, and plain surfaces by their colour.

ImageNet has no names for these, yet most regions of a street are such. They are told by colour (CIELAB), by how rough
they are, and by where in the picture they lie. The limits were chosen by eye; docs/results.md says how often they hold.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

SIDE = 512
"""Pixels of the longer side at which roughness is measured, so that it means the same in every picture."""
GROUND, GREENERY, SKY = "road or ground", "greenery", "sky"

_WINDOW = 5  # pixels, of the local deviation of lightness
_FEW = 20  # pixels inside the outline, below which the outline's own count too
_PLAIN, _PLAIN_EDGES, _PLAIN_SPREAD = 3.0, 10.0, 10.0
_MUTED, _GREENISH = 25, 105  # chroma of brown and beige, and the angle where green begins
_HUES = (
    (48, "red"),
    (78, "orange"),
    (_GREENISH, "yellow"),
    (175, "green"),
    (315, "blue"),
    (345, "purple"),
    (361, "red"),
)
"""Names of colours up to these angles of CIELAB's (a, b), in degrees."""


class Surface(NamedTuple):
    """What is measured of an object's pixels.

    Attributes:
        lightness: mean L* in 0..100.
        red: mean a*, green below zero.
        yellow: mean b*, blue below zero.
        spread: standard deviation of L*.
        rough: median local deviation of L*.
        edges: its 90th percentile.
        area: share of the picture in 0..1.
        top: the highest row, in 0..1 of the height from above.
        height: the mean row, likewise.
        wide: the box's width by its height, both in pixels.
    """

    lightness: float
    red: float
    yellow: float
    spread: float
    rough: float
    edges: float
    area: float
    top: float
    height: float
    wide: float

    @property
    def chroma(self) -> float:
        """How far the mean colour is from grey."""
        return float(np.hypot(self.red, self.yellow))

    @property
    def plain(self) -> bool:
        """Whether it has no texture to speak of."""
        return self.rough < _PLAIN and self.edges < _PLAIN_EDGES and self.spread < _PLAIN_SPREAD


def measure(image: Image.Image, masks: np.ndarray) -> list[Surface]:
    """Measure the surfaces under masks bool (K, H, W) with at least a pixel each, of an RGB image of (W, H)."""
    scale = min(1.0, SIDE / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    mean = cv2.blur(lab[..., 0], (_WINDOW, _WINDOW))
    local = np.sqrt(np.maximum(cv2.blur(lab[..., 0] ** 2, (_WINDOW, _WINDOW)) - mean**2, 0))
    return [_measured(mask, lab, local) for mask in masks]


def _measured(mask: np.ndarray, lab: np.ndarray, local: np.ndarray) -> Surface:
    own = cv2.resize(mask.astype(np.uint8), lab.shape[1::-1], interpolation=cv2.INTER_AREA) > 0
    if not own.any():  # thinner than the small picture's pixels
        own = np.ones_like(own)
    around = np.pad(own.astype(np.uint8), 1, mode="edge")
    inside = cv2.erode(around, np.ones((_WINDOW, _WINDOW), np.uint8))[1:-1, 1:-1] > 0
    core = inside if inside.sum() >= _FEW else own
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    weights = mask.sum(1)
    lightness, red, yellow = lab[core].mean(0)
    return Surface(
        lightness=float(lightness),
        red=float(red),
        yellow=float(yellow),
        spread=float(lab[..., 0][core].std()),
        rough=float(np.median(local[core])),
        edges=float(np.quantile(local[core], 0.9)),
        area=float(mask.mean()),
        top=float(rows[0] / len(mask)),
        height=float(weights @ np.arange(len(mask)) / weights.sum() / len(mask)),
        wide=float((columns[-1] - columns[0] + 1) / (rows[-1] - rows[0] + 1)),
    )


def surface_name(surface: Surface) -> str:
    """Name a surface: sky, greenery, or road or ground; "" for anything else.

    Example:
        >>> surface_name(Surface(70, -2, -25, 3, 0.5, 1, area=0.3, top=0, height=0.2, wide=2))
        'sky'
    """
    one = surface
    bright = one.lightness > 80 and one.chroma < 12 and one.yellow < 1.5 and one.rough < _PLAIN
    blue = one.lightness > 50 and one.yellow < -12 and one.rough < 4.5
    if one.top < 0.1 and one.height < 0.45 and one.area > 0.003 and (bright or blue):
        return SKY
    # backlit leaves are bluish and very rough; the lighter a surface, the more of its green may be a cast of the light
    leaves = one.red < -8.5 and one.yellow > -7 and one.rough > 5 and one.lightness < 65
    green = one.red < -5 and 5 < one.yellow < -2.4 * one.red and one.chroma > 9 + max(0.0, one.lightness - 25) / 4
    if leaves or (green and (one.rough > 3 or one.chroma > 18)):
        return GREENERY
    level = one.height > 0.5 and one.wide > 0.8 and one.area > 0.005 and one.chroma < 9 and one.lightness > 10
    low = one.height > 0.6 and one.wide > 1.2 and one.area > 0.002 and one.chroma < 8 and one.lightness > 25
    if (level and one.rough < 2.6 and one.edges < 8) or (low and one.rough < 4.5 and one.edges < 12):
        return GROUND
    return ""


def plain_name(surface: Surface) -> str:
    """Name a surface without texture by its colour, as "plain grey surface"; "" for one with texture."""
    return f"plain {_colour(surface)} surface" if surface.plain else ""


def _colour(surface: Surface) -> str:
    """Name the mean colour.

    Example:
        >>> _colour(Surface(50, 1, -30, 0, 0, 0, 0, 0, 0, 1))
        'blue'
    """
    if surface.lightness < 15:
        return "dark"
    if surface.chroma < 10:
        return "dark" if surface.lightness < 25 else "grey" if surface.lightness < 75 else "white"
    angle = np.degrees(np.arctan2(surface.yellow, surface.red)) % 360
    if 15 <= angle < _GREENISH and surface.chroma < _MUTED:
        return "beige" if surface.lightness > 55 else "brown"
    return next(name for end, name in _HUES if angle < end)
