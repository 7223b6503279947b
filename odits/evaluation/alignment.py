"""The words of several models for one picture in the same rows, with what rose and fell against the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from odits.data.predictions import WordPrediction


class Cell(NamedTuple):
    """A word under one model.

    Attributes:
        probability: in 0..1; None where the model was not asked about the word.
        rank: from 1; None likewise.
        rose: ranks that it is higher than under the first model, negative where it is lower; None for the first model,
            and where one of the two was not asked.
    """

    probability: float | None
    rank: int | None
    rose: int | None


class AlignedRow(NamedTuple):
    """A word under all models, in their order."""

    word: str
    cells: tuple[Cell, ...]


def align(predictions: Sequence[WordPrediction], most: int = 10) -> list[AlignedRow]:
    """Align the most probable words of models: the union of their top words, as many as fit.

    The models take turns, each with its next word that is not there yet, until there are enough; the rows stand in the
    order of the first model's ranks.

    Args:
        predictions: of one picture, at least one.
        most: rows at most.

    Example:
        >>> from odits.data import Vocabulary
        >>> words = Vocabulary(("BAR", "INN", "PUB"), "three")
        >>> one, other = (WordPrediction(words, np.float32(p), "m", "d") for p in ([.7, .2, .1], [.1, .3, .6]))
        >>> [(row.word, row.cells[1].rank, row.cells[1].rose) for row in align([one, other], 2)]
        [('BAR', 3, -2), ('PUB', 1, 2)]
    """
    orders = [np.argsort(-prediction.scores, kind="stable") for prediction in predictions]
    ranks = [dict(zip(order.tolist(), range(1, len(order) + 1), strict=True)) for order in orders]
    places = [{word: place for place, word in enumerate(one.vocabulary.words)} for one in predictions]
    words: dict[str, None] = {}
    for turn in range(max(map(len, orders))):
        for prediction, order in zip(predictions, orders, strict=True):
            if len(words) < most and turn < len(order):
                words.setdefault(prediction.vocabulary.words[int(order[turn])])
        if len(words) >= most:
            break

    def cell(word: str, number: int) -> Cell:
        place, first = places[number].get(word), places[0].get(word)
        if place is None:
            return Cell(None, None, None)
        rank = ranks[number][place]
        rose = ranks[0][first] - rank if number and first is not None else None
        return Cell(float(predictions[number].scores[place]), rank, rose)

    rows = [AlignedRow(word, tuple(cell(word, number) for number in range(len(predictions)))) for word in words]
    last = max(map(len, orders)) + 1
    return sorted(rows, key=lambda row: row.cells[0].rank or last)


def movers(rows: Sequence[AlignedRow], number: int, most: int = 3) -> tuple[list[AlignedRow], list[AlignedRow]]:
    """Return the rows that rose most, and those that fell most, under one model against the first.

    Args:
        rows: aligned.
        number: of the model, from 1.
        most: of each.
    """
    moved = sorted((row.cells[number].rose or 0, row.word, row) for row in rows)
    fell = [row for rose, _, row in moved if rose < 0]
    rose = [row for rose, _, row in reversed(moved) if rose > 0]
    return rose[:most], fell[:most]
