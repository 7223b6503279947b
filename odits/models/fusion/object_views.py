"""What of an object is shown to CLIP: its pixels on the whole image, as the thesis has it, or the crop of its box.

Lines of text are straightened and cut at their gaps too: CLIP's embedding stands for one word, a line holds several.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import supervision as sv
from PIL import Image, ImageFilter

from odits.models.fusion.object_view_names import how_clip_looks
from odits.models.reading.text_windows import straighten, word_windows
from odits.objects.detections import areas_of, kinds_of, masks_of, object_crop

_GREY = (127, 127, 127)


@dataclass(frozen=True, eq=False)
class ObjectView:
    """One picture of an object, or of a part of one.

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
    """A picture of each object of an RGB image, in the segmenter's order, each line of text followed by its words.

    Args:
        view: one of `OBJECT_VIEWS`.
        words: straighten lines of text and show their words too; not for "masked", where they keep their place.

    Raises:
        OditsError: there is no such view.
    """
    crops = how_clip_looks(view) == "crop"
    pixels = np.asarray(image)
    masks, kinds, areas = masks_of(detections), kinds_of(detections), areas_of(detections)
    found: list[ObjectView] = []
    for index, kind in enumerate(kinds):
        confidence = 1.0 if detections.confidence is None else float(detections.confidence[index])
        if not (words and crops and kind == "text"):
            picture = _picture(image, detections, index, view)
            corners = _corners(detections.xyxy[index])
            found.append(ObjectView(picture, index, corners, kind, float(areas[index]), confidence))
            continue
        line = straighten(pixels, masks[index])
        for number, (start, stop) in enumerate(word_windows(line.pixels)):
            picture = Image.fromarray(np.ascontiguousarray(line.pixels[:, start:stop]))
            share = (stop - start) / line.pixels.shape[1]
            found.append(
                ObjectView(
                    picture,
                    index,
                    line.part(start, stop),
                    "word" if number else kind,
                    share * float(areas[index]),
                    confidence,
                )
            )
    return found


def _picture(image: Image.Image, detections: sv.Detections, index: int, view: str) -> Image.Image:
    if view == "crop":
        return object_crop(image, detections, index)
    inside = Image.fromarray(masks_of(detections)[index])
    if view == "masked":
        return Image.composite(image, Image.new("RGB", image.size), inside)
    x0, y0, x1, y1 = (int(side) for side in detections.xyxy[index])
    box = (x0, y0, x1, y1)
    crop, inside = image.crop(box), inside.crop(box)
    behind = crop.filter(ImageFilter.GaussianBlur(max(crop.size) / 12)) if view == "blurred" else _grey(crop)
    return Image.composite(crop, behind, inside)


def _grey(crop: Image.Image) -> Image.Image:
    return Image.new("RGB", crop.size, _GREY)


def _corners(box: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = box
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
