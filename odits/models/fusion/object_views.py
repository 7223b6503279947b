"""Pictures of objects for CLIP: the object's pixels on the whole image, as in the thesis, or the crop of its box.

Lines of text are straightened and split at their gaps too: CLIP's embedding stands for one word, a line holds several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import supervision as sv
from PIL import Image, ImageFilter

from odits.models.fusion.settings import clip_view
from odits.models.reading.text_windows import straighten, word_windows
from odits.objects.detections import areas_of, kinds_of, masks_of, object_crop

_GREY = (127, 127, 127)
_BLUR = 12  # how often the standard deviation of the blurred background fits into the crop's longer side


@dataclass(frozen=True, eq=False)
class ObjectView:
    """One picture of an object, or of a word of a line of text.

    Attributes:
        picture: what CLIP gets.
        owner: the object, as the segmenter counts.
        corners: float32 (4, 2), x and y in pixels of the image, clockwise from the top left.
        kind: the object's kind; "word" where it is a part of a line of text.
        area: pixels.
        confidence: the segmenter's, in 0..1.
    """

    picture: Image.Image
    owner: int
    corners: np.ndarray
    kind: str
    area: float
    confidence: float


def object_views(
    image: Image.Image, detections: sv.Detections, view: str = "crop", words: bool = True
) -> list[ObjectView]:
    """Return a picture of each object in the segmenter's order, each line of text followed by its words.

    Args:
        image: RGB.
        detections: its objects.
        view: one of `odits.models.fusion.settings.OBJECT_VIEWS`.
        words: straighten lines of text and add their words; not for "masked", where objects keep their place.

    Raises:
        OditsError: there is no such view.

    Example:
        >>> from odits.objects.detections import make_detections
        >>> mask = np.zeros((40, 60), bool)
        >>> mask[10:30, 5:25] = True
        >>> objects = make_detections([mask], [0.9], ["region"], (60, 40))
        >>> [(one.picture.size, one.kind) for one in object_views(Image.new("RGB", (60, 40)), objects)]
        [((20, 20), 'region')]
    """
    cut_lines = clip_view(view) == "crop" and words
    pixels = np.asarray(image)
    masks, kinds, areas = masks_of(detections), kinds_of(detections), areas_of(detections)
    views: list[ObjectView] = []
    for index, kind in enumerate(kinds):
        area = float(areas[index])
        confidence = 1.0 if detections.confidence is None else float(detections.confidence[index])
        if cut_lines and kind == "text":
            views += _line_views(pixels, masks[index], index, area, confidence)
        else:
            picture, corners = _picture(image, detections, index, view), _corners(detections.xyxy[index])
            views.append(ObjectView(picture, index, corners, kind, area, confidence))
    return views


def _line_views(
    pixels: np.ndarray, mask: np.ndarray, owner: int, area: float, confidence: float
) -> Iterator[ObjectView]:
    """Straighten a line of text, and yield it and then its words; the area is shared out by width."""
    line = straighten(pixels, mask)
    for number, (start, stop) in enumerate(word_windows(line.pixels)):
        picture = Image.fromarray(np.ascontiguousarray(line.pixels[:, start:stop]))
        share = (stop - start) / line.pixels.shape[1]
        kind = "word" if number else "text"
        yield ObjectView(picture, owner, line.part(start, stop), kind, share * area, confidence)


def _picture(image: Image.Image, detections: sv.Detections, index: int, view: str) -> Image.Image:
    if view == "crop":
        return object_crop(image, detections, index)
    mask = Image.fromarray(masks_of(detections)[index])
    if view == "masked":
        return Image.composite(image, Image.new("RGB", image.size), mask)
    x0, y0, x1, y1 = (int(side) for side in detections.xyxy[index])
    box = (x0, y0, x1, y1)
    crop, mask = image.crop(box), mask.crop(box)
    if view == "blurred":
        background = crop.filter(ImageFilter.GaussianBlur(max(crop.size) / _BLUR))
    else:
        background = Image.new("RGB", crop.size, _GREY)
    return Image.composite(crop, background, mask)


def _corners(box: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
