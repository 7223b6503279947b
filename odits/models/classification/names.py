"""Names of the objects of a photograph: of a class, a group of classes, or a surface; none where nothing is sure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from odits.core.progress import Progress, no_progress
from odits.models.classification.eye import PhotoNetwork, class_names
from odits.models.classification.groups import group_names, group_of_class, group_shares
from odits.models.classification.surfaces import Surface, measure, plain_name, surface_name

CLASS, GROUP, PLACE, PLAIN = "class", "group", "surface", "plain surface"
"""What a name is of. A plain surface has a colour and no more, so that any name of a thing goes before it."""

CLASS_LIMIT = 0.25
"""Score below which a class names nothing."""

GROUP_LIMIT = 0.24
"""Score below which a group names nothing; GROUP_LIMITS has those of groups that are right earlier, or later."""
GROUP_LIMITS = {"a building": 0.12, "an animal": 0.6, "a screen or device": 0.6, "a tool or utensil": 0.6}

_AGAINST = 0.4  # share of its limit that a group has in every view; less speaks against it
_AGAINST_CLASS = 0.1  # share of a class's group where only the object's own pixels are seen
_OVER_PLAIN = 0.2  # score of a group that says more than that a surface is plain
_BATCH = 16  # objects
_GREY = 127


class PhotoName(NamedTuple):
    """A name, its score in 0..1 (0 of a surface: rules name it), and what it is of; empty where unnamed."""

    name: str = ""
    score: float = 0.0
    level: str = ""


class Views(NamedTuple):
    """Class probabilities of objects in three views, float32 (m, 1000) each."""

    box: np.ndarray
    around: np.ndarray
    alone: np.ndarray


def name_objects(
    network: PhotoNetwork,
    image: Image.Image,
    masks: np.ndarray,
    limit: float = CLASS_LIMIT,
    coarse: bool = True,
    progress: Progress = no_progress,
) -> list[PhotoName]:
    """Name the objects of an image.

    Sky, greenery and ground are told by colour and place, and cost no network. Of the others a class is named where
    its score reaches the limit, else a group of classes, else a plain surface. Each is seen three times: its box, the
    square around it with a margin, and its own pixels on grey. The score of a class is the geometric mean of its first
    two probabilities, that of a group of all three: neither a detail nor a neighbour alone gives a name.

    Args:
        network: sees the views.
        image: RGB.
        masks: bool (K, H, W) of the image's size, each with at least a pixel.
        limit: score below which a class names nothing, in 0..1.
        coarse: also give names of groups and surfaces.
        progress: called with (objects done, of); what it raises ends the work.
    """
    found = [_surface(one) for one in measure(image, masks)] if coarse else [PhotoName()] * len(masks)
    unsure = [index for index, one in enumerate(found) if one.level != PLACE]
    pixels = np.asarray(image.convert("RGB"))
    for start in range(0, len(unsure), _BATCH):
        progress(len(masks) - len(unsure) + start, len(masks))
        part = unsure[start : start + _BATCH]
        seen = _seen(network, image, pixels, masks[part])
        names = _class_names(seen, limit)
        groups = _group_names(seen) if coarse else [PhotoName()] * len(part)
        for index, name, group in zip(part, names, groups, strict=True):
            weak = found[index].name and group.score < _OVER_PLAIN
            found[index] = name if name.name else group if group.name and not weak else found[index]
    progress(len(masks), len(masks))
    return found


def _surface(surface: Surface) -> PhotoName:
    if name := surface_name(surface):
        return PhotoName(name, 0.0, PLACE)
    return PhotoName(name, 0.0, PLAIN) if (name := plain_name(surface)) else PhotoName()


def _seen(network: PhotoNetwork, image: Image.Image, pixels: np.ndarray, masks: np.ndarray) -> Views:
    boxes = [_box(mask) for mask in masks]
    crops = [image.crop(box) for box in boxes]
    crops += [square_around(image, box) for box in boxes]
    crops += [_alone(pixels, mask, box) for mask, box in zip(masks, boxes, strict=True)]
    probabilities = network.probabilities(crops)
    count = len(masks)
    return Views(probabilities[:count], probabilities[count : 2 * count], probabilities[2 * count :])


def _class_names(seen: Views, limit: float) -> list[PhotoName]:
    """Name the best class of each object, where its score reaches the limit and its own pixels don't speak against."""
    scores, own = np.sqrt(seen.box * seen.around), group_shares(seen.alone)
    names = []
    for row, best in enumerate(scores.argmax(1)):
        sure = scores[row, best] >= limit and own[row, group_of_class()[best]] >= _AGAINST_CLASS
        names.append(PhotoName(class_names()[best], float(scores[row, best]), CLASS) if sure else PhotoName())
    return names


def _group_names(seen: Views) -> list[PhotoName]:
    """Name the best group of each object, where its score reaches its limit and no view speaks against it.

    Groups with a high limit are what textures look like (animals above all): below it they take no part.
    """
    shares = np.stack([group_shares(one) for one in seen])
    scores = np.exp(np.log(shares + 1e-9).mean(0))
    limits = np.array([GROUP_LIMITS.get(name, GROUP_LIMIT) for name in group_names()])
    scores[(limits > GROUP_LIMIT) & (scores < limits)] = 0
    names = []
    for row, best in enumerate(scores.argmax(1)):
        limit = limits[best]
        sure = scores[row, best] >= limit and shares[:, row, best].min() >= _AGAINST * limit
        names.append(PhotoName(group_names()[best], float(scores[row, best]), GROUP) if sure else PhotoName())
    return names


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def square_around(image: Image.Image, box: Sequence[float]) -> Image.Image:
    """Crop the square with a tenth of its side as a margin around a box, as far as the image goes."""
    x0, y0, x1, y1 = box
    half = 0.6 * max(x1 - x0, y1 - y0, 1.0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    left, top = int(max(0.0, x - half)), int(max(0.0, y - half))
    right, bottom = int(min(image.width, x + half)), int(min(image.height, y + half))
    return image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def _alone(pixels: np.ndarray, mask: np.ndarray, box: tuple[int, int, int, int]) -> Image.Image:
    """Put an object's own pixels in the middle of a grey square."""
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0)
    square = np.full((side, side, 3), _GREY, np.uint8)
    left, top = (side - (x1 - x0)) // 2, (side - (y1 - y0)) // 2
    target = square[top : top + y1 - y0, left : left + x1 - x0]
    inside = mask[y0:y1, x0:x1]
    target[inside] = pixels[y0:y1, x0:x1][inside]
    return Image.fromarray(square)
