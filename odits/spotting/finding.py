"""Words found in a picture, each once, with the place where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odits.spotting.ctc import DEFAULT, Scoring, Span, locate
from odits.spotting.reader import TextLine
from odits.spotting.spotter import Reading


@dataclass(frozen=True, eq=False)
class FoundWord:
    """A word that stands in a picture.

    Attributes:
        word: as the vocabulary spells it.
        probability: that it stands there, in 0..1 (calibrated).
        line: where it was read.
        span: the line's frames that show it.
        corners: float32 (4, 2), x and y in pixels, of that part of the line.
    """

    word: str
    probability: float
    line: TextLine
    span: Span
    corners: np.ndarray

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of the upright box around the corners."""
        (x0, y0), (x1, y1) = self.corners.min(0), self.corners.max(0)
        return float(x0), float(y0), float(x1), float(y1)


def find_words(
    reading: Reading, words: Sequence[str], threshold: float = 0.5, scoring: Scoring = DEFAULT, overlap: float = 0.5
) -> list[FoundWord]:
    """The words (N) that a picture's lines show, most probable first, one word to a place.

    The same place is read at several scales and may resemble several words; the most probable reading keeps it.

    Args:
        threshold: the least probability.
        overlap: words whose boxes share more than this part of the smaller one are at the same place.
    """
    limit = np.log(threshold / (1 - threshold))
    rows, columns = np.nonzero(reading.log_odds >= limit)
    order = np.argsort(-reading.log_odds[rows, columns], kind="stable")
    found: list[FoundWord] = []
    for row, column in zip(rows[order], columns[order], strict=True):
        line, word = reading.lines[row], words[column]
        span = locate(line.frames, word, scoring)
        probability = float(1 / (1 + np.exp(-reading.log_odds[row, column])))
        one = FoundWord(word, probability, line, span, line.part(span))
        if all(shared_area(one.box, other.box) <= overlap for other in found):
            found.append(one)
    return found


def shared_area(first: Sequence[float], second: Sequence[float]) -> float:
    """The part, in 0..1, of the smaller of two boxes (x0, y0, x1, y1) that lies in the other."""
    smaller = min(_area(first), _area(second))
    return _common_area(first, second) / smaller if smaller > 0 else 0.0


def overlap_of(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union, in 0..1, of two boxes (x0, y0, x1, y1)."""
    common = _common_area(first, second)
    union = _area(first) + _area(second) - common
    return common / union if union > 0 else 0.0


def _common_area(first: Sequence[float], second: Sequence[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
