"""The embedded segmenter: text regions and regions of one colour. It is not SAM, and its name says so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields

import cv2
import numpy as np
import supervision as sv
from PIL import Image

from odits.errors import OditsError
from odits.models.region_tree import build_tree, cut_tree
from odits.models.text_regions import TextDetector
from odits.objects import make_detections, suppress


@dataclass(frozen=True)
class RegionParameters:
    """What the embedded segmenter can be told; `metadata["help"]` of each field says it to users."""

    side: int = field(
        default=512, metadata={"help": "The image is reduced to this many pixels on its longer side for the regions."}
    )
    superpixel: int = field(default=9, metadata={"help": "Distance of the superpixels' centres, in reduced pixels."})
    smallest: float = field(
        default=0.003, metadata={"help": "Regions smaller than this part of the image are dropped."}
    )
    largest: float = field(default=0.4, metadata={"help": "No region is larger than this part of the image."})
    noise: float = field(
        default=7.0,
        metadata={"help": "Colour differences below this are not taken for a border. Higher: fewer regions."},
    )
    detail: float = field(default=0.93, metadata={"help": "1 favours whole objects, smaller values their parts."})
    min_stability: float = field(
        default=0.1, metadata={"help": "Regions that stand out from their surroundings less than this are dropped."}
    )
    text: bool = field(default=True, metadata={"help": "Find lines of text too."})
    text_side: int = field(
        default=1024, metadata={"help": "The image is reduced to this many pixels on its longer side for the text."}
    )
    text_threshold: float = field(default=0.5, metadata={"help": "Text detections with a lower score are dropped."})
    nms_iou: float = field(
        default=0.7, metadata={"help": "Of two objects whose masks overlap by more than this IoU, the surer one stays."}
    )
    max_objects: int = field(
        default=100, metadata={"help": "The most confident regions up to this many objects are kept."}
    )

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "side": (64, 2048),
            "superpixel": (3, 64),
            "smallest": (0, 1),
            "largest": (0, 1),
            "noise": (0.1, 1000),
            "detail": (0.1, 2),
            "min_stability": (0, 1),
            "text_side": (64, 4096),
            "text_threshold": (0, 1),
            "nms_iou": (0, 1),
            "max_objects": (1, 1000),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise OditsError(f"{name} must lie between {low:g} and {high:g}, but is {getattr(self, name)}.")

    @property
    def key(self) -> str:
        """A hexadecimal digest of all values."""
        text = ";".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class RegionSegmenter:
    """Text lines (rapidocr's detector) and regions of one colour (a merge tree's steadiest cut).

    Deterministic, no download, under a second or two on one core. A text object's confidence is the detector's score;
    a region's is its stability: 1 − (cost at which it came together) / (cost at which it was absorbed), near 1 for a
    plain sign on a contrasting wall, near 0 for a patch among similar ones. It is not a probability.
    """

    name = "Text regions + colour regions (not SAM)"

    def __init__(self, parameters: RegionParameters | None = None) -> None:
        self.parameters = parameters or RegionParameters()
        self.key = f"regions-1-{self.parameters.key}"
        self._detector = TextDetector(self.parameters.text_side, self.parameters.text_threshold)

    def segment(self, image: Image.Image) -> sv.Detections:
        """Objects of an RGB image of size (W, H), as `odits.predictions.Segmenter` says; kinds "text" and "region"."""
        p = self.parameters
        scale = min(1.0, p.side / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = cv2.resize(np.asarray(image.convert("RGB"))[..., ::-1], size, interpolation=cv2.INTER_AREA)
        lines = self._detector.detect(image) if p.text else []
        factor = np.array([size[0] / image.width, size[1] / image.height], np.float32)
        text = [(_polygon(corners * factor, size), score) for corners, score in lines]
        written = np.any([mask for mask, _ in text], axis=0) if text else np.zeros(size[::-1], bool)
        regions = self._regions(small, written)
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
