"""Names of objects: by GroundingDINO, whose boxes are matched to masks, or by the word model that is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import supervision as sv
from PIL import Image

from odits.data.vocabulary import Vocabulary
from odits.objects import areas_of, masks_of, object_crop

if TYPE_CHECKING:
    from odits.predictions import WordModel

BATCH = 16  # crops between two reports of progress
LEAST_IOU = 0.5
LEAST_COVERAGE = 0.9  # of the mask, by the box
LEAST_FILLING = 0.2  # of the box, by the mask: a window is not the car that it belongs to

Advance = Callable[[int, int], None]


def no_advance(done: int, of: int) -> None:
    """Nothing: for callers that do not show progress."""


@dataclass(frozen=True, eq=False)
class ObjectNames:
    """What the objects of an image are called.

    Attributes:
        names: one an object, "" where the model has no name for it.
        scores: float32 (K,), how sure it is, in 0..1; 0 without a name.
        speaker: which model named them, as shown to users.
        vocabulary: the name of the vocabulary.
    """

    names: tuple[str, ...]
    scores: np.ndarray
    speaker: str
    vocabulary: str


class Namer(Protocol):
    """Names the objects of an image.

    Attributes:
        name: as shown to users.
        key: identifies weights and settings; caches key on it.
    """

    name: str
    key: str

    def names(
        self, image: Image.Image, detections: sv.Detections, vocabulary: Vocabulary, advance: Advance = no_advance
    ) -> ObjectNames:
        """A name from the vocabulary for each object of an RGB image.

        Args:
            image: of the masks' size.
            detections: its objects; may be none.
            vocabulary: names to choose from.
            advance: called with (done, of); what it raises ends the work.
        """
        ...


class WordNamer:
    """Names each object by the word that its crop makes most probable.

    Args:
        model: asked with view="crop".
    """

    def __init__(self, model: WordModel) -> None:
        self._model = model
        self.name, self.key = model.name, f"words {model.checkpoint}"

    def names(
        self, image: Image.Image, detections: sv.Detections, vocabulary: Vocabulary, advance: Advance = no_advance
    ) -> ObjectNames:
        """The most probable word of every object, however improbable it is."""
        names: list[str] = []
        scores: list[float] = []
        for start in range(0, len(detections), BATCH):
            advance(start, len(detections))
            some = range(start, min(start + BATCH, len(detections)))
            crops = [object_crop(image, detections, index) for index in some]
            found = self._model.probabilities(crops, vocabulary, "crop")
            best = found.argmax(axis=1)
            names += [vocabulary.words[word] for word in best]
            scores += found[np.arange(len(best)), best].tolist()
        advance(len(detections), len(detections))
        return ObjectNames(tuple(names), np.array(scores, np.float32), self.name, vocabulary.name)


class NamedBox(NamedTuple):
    """A box x0, y0, x1, y1 in pixels with the word it was found for."""

    box: tuple[float, float, float, float]
    word: str
    score: float


def match_boxes(detections: sv.Detections, boxes: Sequence[NamedBox]) -> list[NamedBox | None]:
    """For each mask the box that names it, or None.

    A box fits a mask where its IoU with the mask's own box is at least 0.5, or where it covers 90 % of the mask's
    pixels and the mask fills a fifth of it. Of those that fit, the largest product of IoU and score counts.
    """
    masks, areas = masks_of(detections), areas_of(detections)
    found: list[NamedBox | None] = []
    for mask, area, own in zip(masks, areas, detections.xyxy, strict=True):
        fitting = [
            (iou * one.score, place)
            for place, one in enumerate(boxes)
            if (iou := _iou(own, one.box)) >= LEAST_IOU or _covers(mask, int(area), one.box)
        ]
        found.append(boxes[max(fitting, key=lambda pair: (pair[0], -pair[1]))[1]] if fitting else None)
    return found


def _iou(one: np.ndarray, other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(float(width), 0.0) * max(float(height), 0.0)
    both = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - common
    return common / float(both) if both > 0 else 0.0


def _covers(mask: np.ndarray, area: int, box: Sequence[float]) -> bool:
    x0, y0, x1, y1 = (max(round(value), 0) for value in box)
    inside = int(mask[y0:y1, x0:x1].sum())
    room = (x1 - x0) * (y1 - y0)
    return area > 0 and room > 0 and inside >= LEAST_COVERAGE * area and inside >= LEAST_FILLING * room
