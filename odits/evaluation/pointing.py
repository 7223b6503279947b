"""The pointing game: does what carries a word lie where the word is written?

References:
    J. Zhang et al. (2018), "Top-down neural attention by excitation backprop", IJCV.
    M. D. Zeiler, R. Fergus (2014), "Visualizing and understanding convolutional networks", ECCV: occlusion.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from odits.data import BoxedWord, Vocabulary
from odits.data.vocabulary import bare_word
from odits.models.reading.spotter import overlap_of

Box = Sequence[float]
"""x0, y0, x1, y1 in pixels."""


class Target(NamedTuple):
    """A word that is written in a picture and that a model has in its top.

    Attributes:
        word: its place in the vocabulary.
        boxes: where it is written.
    """

    word: int
    boxes: tuple[Box, ...]


class Hit(NamedTuple):
    """How a box fits what it should point at: each in 0..1, or a mean of such over boxes.

    Attributes:
        overlaps: 1 where it has an area in common with one of the word's boxes.
        points: 1 where its middle lies in one of them (the game as Zhang et al. play it).
        iou: the largest intersection over union.
    """

    overlaps: float
    points: float
    iou: float


def find_targets(
    order: Sequence[int], boxed: Sequence[BoxedWord], vocabulary: Vocabulary, top: int = 10
) -> list[Target]:
    """Return the written words that are among the first of a model, each once; case, accents and marks do not count.

    Args:
        order: places in the vocabulary, the most probable word first.
        boxed: the words that are written in the picture.
        vocabulary: the words asked about.
        top: how many count as first; where more words are written, as many as there are.

    Example:
        >>> words = Vocabulary(("BAR", "INN", "CAFE"), "three words")
        >>> find_targets([2, 0, 1], [BoxedWord("Café", (0, 0, 9, 9)), BoxedWord("CAFE", (9, 0, 19, 9))], words)
        [Target(word=2, boxes=((0, 0, 9, 9), (9, 0, 19, 9)))]
    """
    boxes: dict[str, list[Box]] = {}
    for one in boxed:
        boxes.setdefault(bare_word(one.word), []).append(one.box)
    first = order[: max(top, len(boxes))]
    places = {bare_word(vocabulary.words[place]): place for place in reversed(list(first))}
    return [Target(places[word], tuple(found)) for word, found in boxes.items() if word in places]


def hit(box: Box, target: Target) -> Hit:
    """Compare a box with those of a word.

    Example:
        >>> hit((0, 0, 10, 10), Target(0, ((0, 0, 10, 20), (50, 0, 60, 10))))
        Hit(overlaps=1.0, points=1.0, iou=0.5)
    """
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    iou = max((overlap_of(box, one) for one in target.boxes), default=0.0)
    inside = any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in target.boxes)
    return Hit(float(iou > 0), float(inside), float(iou))


def hit_by_chance(boxes: Sequence[Box], target: Target) -> Hit:
    """Return how one of several boxes fits that is drawn at random: the mean over all of them; nothing without any."""
    hits = [hit(box, target) for box in boxes]
    return Hit(*np.mean(hits, axis=0).tolist()) if hits else Hit(0.0, 0.0, 0.0)


def occluded(image: Image.Image, across: int = 6, down: int = 4) -> Iterator[tuple[Box, Image.Image]]:
    """Yield an RGB image with one part after another covered by its mean colour, and the part's box.

    Args:
        image: the image.
        across: parts in a row.
        down: rows.
    """
    color = tuple(int(value) for value in np.asarray(image).reshape(-1, 3).mean(0).round())
    xs = np.linspace(0, image.width, across + 1).round().astype(int).tolist()
    ys = np.linspace(0, image.height, down + 1).round().astype(int).tolist()
    for y0, y1 in itertools.pairwise(ys):
        for x0, x1 in itertools.pairwise(xs):
            covered = image.copy()
            covered.paste(color, (x0, y0, x1, y1))
            yield (x0, y0, x1, y1), covered


def point_by_occlusion(
    image: Image.Image, logits: Callable[[Image.Image], np.ndarray], across: int = 6, down: int = 4
) -> list[Box]:
    """Return the part of an image for each word without which the word loses most: the model sees each covered in turn.

    Args:
        image: RGB.
        logits: of the words (q,) that are asked about, for an image.
        across: parts in a row.
        down: rows.

    Returns:
        q boxes.
    """
    parts = list(occluded(image, across, down))
    lowest = np.array([logits(covered) for _, covered in parts]).argmin(0)
    return [parts[place][0] for place in lowest.tolist()]
