"""Controls for objects: as many boxes of the same sizes, laid where no object told them to be.

What a model gains from boxes at random, or in a grid, it does not gain from objects: it looked closer, no more.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from odits.data.images import image_digest

if TYPE_CHECKING:
    import supervision as sv
    from PIL import Image

    from odits.core.progress import Progress
    from odits.data.predictions import Segmenter


class EqualAreaSegmenter:
    """Boxes of the sizes, confidences and kinds of another segmenter's objects, laid without a look at the image.

    A line of text stays a "text" object, so that it is cut into words as lines are: nothing differs but the place.
    The same image always has the same boxes.

    Args:
        segmenter: whose objects' boxes are moved.
        layout: one of `odits.models.model_ref.LAYOUTS`: "random", each box anywhere within the image, or "grid", on the
            cells of a regular grid, one box in each.
        name: as shown to users.
    """

    def __init__(self, segmenter: Segmenter, layout: str, name: str) -> None:
        self.name, self.key = name, equal_area_key(segmenter.key, layout)
        self._segmenter, self._layout = segmenter, layout

    def segment(self, image: Image.Image, progress: Progress | None = None) -> sv.Detections:
        """Find the other segmenter's objects in an RGB image, and move their boxes."""
        from odits.objects.detections import kinds_of, make_detections  # slow to import, and keys need none of it

        objects = self._segmenter.segment(image, progress)
        seed = int(image_digest(image)[:16], 16)
        boxes = moved(objects.xyxy, image.size, self._layout, seed)
        confidence = [1.0] * len(objects) if objects.confidence is None else objects.confidence.tolist()
        masks = (_filled(box, image.size) for box in boxes)
        return make_detections(masks, confidence, list(kinds_of(objects)), image.size)


def equal_area_key(segmenter: str, layout: str) -> str:
    """Return the key of the control of a segmenter with this key."""
    return f"equal-area {layout} v1 of {segmenter}"


def moved(boxes: np.ndarray, size: tuple[int, int], layout: str, seed: int) -> np.ndarray:
    """Lay boxes anew, each of its own width and height, whole pixels, within the image.

    Args:
        boxes: float (K, 4), x0, y0, x1, y1 in pixels, half-open.
        size: width and height of the image.
        layout: "random": uniform among the places where the whole box is in the image; "grid": the K boxes in an order
            drawn at random on the first K cells of the smallest grid that has so many, centred, pushed inwards at the
            edges.
        seed: of the drawing.

    Returns:
        int64 (K, 4).

    Example:
        >>> moved(np.array([[0, 0, 10, 4], [3, 3, 5, 9.0]]), (40, 20), "grid", seed=0).tolist()
        [[5, 8, 15, 12], [29, 7, 31, 13]]
    """
    rng = np.random.default_rng(seed)
    corners = boxes.reshape(-1, 4).round().astype(np.int64)
    room = np.array(size, np.int64)
    extent = np.clip(corners[:, 2:] - corners[:, :2], 1, room)
    free = room - extent
    if layout == "random":
        start = rng.integers(0, free + 1)
    else:
        columns, rows = _grid(len(corners), size)
        cells = rng.permutation(len(corners))
        centre = np.stack([cells % columns + 0.5, cells // columns + 0.5], 1) * room / (columns, rows)
        start = np.clip((centre - extent / 2).round().astype(np.int64), 0, free)
    return np.concatenate([start, start + extent], 1)


def _grid(count: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return columns and rows of the grid with at least `count` cells whose cells are as square as can be."""
    columns = max(1, round(math.sqrt(count * size[0] / size[1])))
    return columns, max(1, math.ceil(count / columns))


def _filled(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask
