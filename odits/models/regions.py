"""The embedded segmenter: text regions and regions of one colour. It is not SAM, and its name says so."""

from __future__ import annotations

import cv2
import numpy as np
import supervision as sv
from PIL import Image

from odits.models.region_parameters import NAME, RegionParameters
from odits.models.region_tree import build_tree, cut_tree
from odits.models.text_regions import TextDetector
from odits.objects import make_detections, suppress
from odits.predictions import Advance


class RegionSegmenter:
    """Text lines (rapidocr's detector) and regions of one colour (a merge tree's steadiest cut).

    Deterministic, no download, under a second or two on one core. A text object's confidence is the detector's score;
    a region's is its stability: 1 − (cost at which it came together) / (cost at which it was absorbed), near 1 for a
    plain sign on a contrasting wall, near 0 for a patch among similar ones. It is not a probability.

    Args:
        parameters: the defaults unless given.
        threads: of the text detector's network; all cores by default.
    """

    name = NAME

    def __init__(self, parameters: RegionParameters | None = None, threads: int | None = None) -> None:
        self.parameters = parameters or RegionParameters()
        self.key = self.parameters.key
        self._detector = TextDetector(self.parameters.text_side, self.parameters.text_threshold, threads)

    def segment(self, image: Image.Image, advance: Advance | None = None) -> sv.Detections:
        """Objects of an RGB image of size (W, H), as `odits.predictions.Segmenter` says; kinds "text" and "region"."""
        step = advance or (lambda _done, _of: None)
        p = self.parameters
        scale = min(1.0, p.side / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = cv2.resize(np.asarray(image.convert("RGB"))[..., ::-1], size, interpolation=cv2.INTER_AREA)
        lines = self._detector.detect(image) if p.text else []
        step(1, 2)
        factor = np.array([size[0] / image.width, size[1] / image.height], np.float32)
        text = [(_polygon(corners * factor, size), score) for corners, score in lines]
        written = np.any([mask for mask, _ in text], axis=0) if text else np.zeros(size[::-1], bool)
        regions = self._regions(small, written)
        step(2, 2)
        # Text first: where a region coincides with a line, the line says more.
        found = sorted(text, key=lambda item: -item[1]) + sorted(regions, key=lambda item: -item[1])
        kept = suppress([mask for mask, _ in found], p.nms_iou)[: p.max_objects]
        kind = ["text" if index < len(text) else "region" for index in kept]
        full = {id(mask): corners for (mask, _), (corners, _) in zip(text, lines, strict=True)}
        masks = (
            _polygon(full[id(found[i][0])], image.size) if k == "text" else found[i][0]
            for i, k in zip(kept, kind, strict=True)
        )
        return make_detections(masks, [found[i][1] for i in kept], kind, image.size)

    def _regions(self, small: np.ndarray, written: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Regions of the reduced image with their stability, letters filled in."""
        p = self.parameters
        if min(small.shape[:2]) < 2 * p.superpixel:
            return []
        regions = cut_tree(build_tree(small, p.superpixel), p.smallest, p.largest, p.noise, p.detail)
        # Letters come out as regions of their own: they belong to the line of text, and to the sign behind them.
        regions = [
            (mask, stability)
            for mask, stability in regions
            if stability >= p.min_stability and (mask & written).sum() <= 0.5 * mask.sum()
        ]
        covered = np.any([mask for mask, _ in regions], axis=0) if regions else written
        free = written | ~covered
        return [(_smooth(_fill_holes(mask, free)), stability) for mask, stability in regions]


def _polygon(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """bool (H, W) for `size` (W, H): the inside of a polygon with (n, 2) corners in pixels."""
    canvas = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(canvas, [np.round(corners).astype(np.int32)], 1)
    return canvas.astype(bool)


def _smooth(mask: np.ndarray) -> np.ndarray:
    """The mask without the steps and spurs that the superpixels leave."""
    return cv2.medianBlur(mask.astype(np.uint8), 5).astype(bool)


def _fill_holes(mask: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The mask with those of its holes filled that are at least half `free` (text, or no region's)."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    height, width = mask.shape
    filled = mask.copy()
    for part in range(1, count):
        x, y, w, h, area = stats[part]
        if x == 0 or y == 0 or x + w == width or y + h == height:
            continue
        window = parts[y : y + h, x : x + w] == part
        if 2 * (window & free[y : y + h, x : x + w]).sum() >= area:
            filled[y : y + h, x : x + w] |= window
    return filled
