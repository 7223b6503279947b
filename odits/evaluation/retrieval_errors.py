"""What word retrieval loses: each query's pictures that stand too low or too high, with a cause for each.

A picture that shows the query and stands below one that does not is a miss; a picture that stands above a miss without
showing the query is an intruder. Causes are told from the lines that were read, and from the data set's boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from odits.data import ImageRecord
from odits.data.vocabulary import fold_word
from odits.evaluation.retrieval import RetrievalTask, average_precisions
from odits.models.reading.reader import TextLine

Cause = Literal["not detected", "cut", "misread", "box missing", "part of a longer word", "similar"]
"""Of a miss: no line lies on the word's box; lines cover only parts of it; a line covers it and reads something else.
Of an intruder: the word is read there, letter by letter, but the data set boxes no such word; it is read inside a
longer one; what is read only resembles it."""

TOUCHED, COVERED = 0.1, 0.75
"""Shares of a boxed word's area from which on a line touches it, and covers it."""


@dataclass(frozen=True)
class Fault:
    """A picture that stands at the wrong place.

    Attributes:
        image: its name.
        shows: whether it shows the query.
        rank: its place for the query, 1 for the first; of equals the last one's.
        score: by which it is ranked.
        cause: why it stands there.
        read: what was read where the word is, or what resembles it most; empty where nothing was.
    """

    image: str
    shows: bool
    rank: int
    score: float
    cause: Cause
    read: str


@dataclass(frozen=True)
class QueryLoss:
    """What a query loses.

    Attributes:
        query: the word.
        average_precision: in 0..1.
        faults: its misses and intruders, by rank.
    """

    query: str
    average_precision: float
    faults: tuple[Fault, ...]


def query_losses(
    task: RetrievalTask,
    scores: np.ndarray,
    lines_of: Callable[[ImageRecord], Sequence[TextLine]],
    best_line: Callable[[Sequence[TextLine], str], TextLine | None],
    longest: int = 10,
) -> list[QueryLoss]:
    """Name what every query loses whose average precision is below 1, the greatest loss first.

    Args:
        task: queries and images.
        scores: float (Q, I), by which images are ranked.
        lines_of: returns what was read in an image.
        best_line: returns the line of an image that shows a word best; None where there is none.
        longest: faults of a query that are named, misses and intruders each, the worst ones.
    """
    precisions = average_precisions(scores, task.relevant)
    return [
        QueryLoss(
            task.queries[row],
            float(precisions[row]),
            tuple(_faults(task, row, scores[row], lines_of, best_line, longest)),
        )
        for row in np.argsort(precisions, kind="stable").tolist()
        if precisions[row] < 1
    ]


def _faults(
    task: RetrievalTask,
    row: int,
    scores: np.ndarray,
    lines_of: Callable[[ImageRecord], Sequence[TextLine]],
    best_line: Callable[[Sequence[TextLine], str], TextLine | None],
    longest: int,
) -> list[Fault]:
    shown, query = task.relevant[row], task.queries[row]
    misses = np.flatnonzero(shown & (scores <= scores[~shown].max(initial=-np.inf)))
    intruders = np.flatnonzero(~shown & (scores >= scores[shown].min()))
    misses = misses[np.argsort(scores[misses], kind="stable")][:longest]
    intruders = intruders[np.argsort(-scores[intruders], kind="stable")][:longest]
    found = []
    for place in (*misses.tolist(), *intruders.tolist()):
        record = task.records[place]
        lines = lines_of(record)
        best = best_line(lines, query)
        cause, read = miss_cause(record, lines, query) if shown[place] else intruder_cause(best, query)
        rank = int((scores >= scores[place]).sum())
        found.append(Fault(record.name, bool(shown[place]), rank, float(scores[place]), cause, read))
    return sorted(found, key=lambda fault: fault.rank)


def miss_cause(record: ImageRecord, lines: Sequence[TextLine], query: str) -> tuple[Cause, str]:
    """Return why an image that shows a word stands low, and what is read at the word's place.

    Of several boxes of the word the one counts that is covered best; one without boxes counts as not detected.

    Args:
        record: the image, with its boxed words.
        lines: what was read in it.
        query: the word.
    """
    boxes = [one.box for one in record.boxed if fold_word(one.word) == fold_word(query)]
    covered = [(covered_share(box, line.corners), line.text) for box in boxes for line in lines]
    share, text = max(covered, default=(0.0, ""), key=lambda one: one[0])
    if share >= COVERED:
        return "misread", text
    if share >= TOUCHED:
        parts = [text for share, text in sorted(covered, reverse=True) if share >= TOUCHED]
        return "cut", " | ".join(dict.fromkeys(parts))
    return "not detected", ""


def intruder_cause(best: TextLine | None, query: str) -> tuple[Cause, str]:
    """Return why an image that is not said to show a word stands high, from its line that shows the word best.

    Args:
        best: the line.
        query: the word.
    """
    if best is None:
        return "similar", ""
    word = fold_word(query)
    if word in {fold_word(part) for part in (*best.text.split(), best.text)}:
        return "box missing", best.text
    return ("part of a longer word" if word in fold_word(best.text) else "similar"), best.text


def covered_share(box: Sequence[float], corners: np.ndarray) -> float:
    """Return the share, in 0..1, of a box (x0, y0, x1, y1) that lies in a convex quadrilateral (4, 2)."""
    import cv2

    x0, y0, x1, y1 = box
    whole = (x1 - x0) * (y1 - y0)
    if whole <= 0:
        return 0.0
    upright = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    area, _ = cv2.intersectConvexConvex(upright, cv2.convexHull(corners.astype(np.float32)))
    return min(1.0, max(0.0, float(area)) / whole)
