"""The words of several models in the same rows."""

from __future__ import annotations

import numpy as np

from odits.data import Vocabulary
from odits.data.predictions import WordPrediction
from odits.evaluation.alignment import align, movers

WORDS = Vocabulary(("A", "B", "C", "D", "E"), "five")


def prediction(*shares: float, words: Vocabulary = WORDS) -> WordPrediction:
    return WordPrediction(words, np.float32(shares), "model", "digest")


def test_rows_are_the_union_of_what_each_model_puts_first() -> None:
    first, second = prediction(0.5, 0.3, 0.1, 0.06, 0.04), prediction(0.04, 0.06, 0.1, 0.3, 0.5)
    rows = align([first, second], 4)
    assert [row.word for row in rows] == ["A", "B", "D", "E"], "in the first's order, two of each"
    assert [row.cells[0].rank for row in rows] == [1, 2, 4, 5]
    assert [row.cells[1].rose for row in rows] == [-4, -2, 2, 4]
    assert all(row.cells[0].rose is None for row in rows)
    assert rows[3].cells[1].probability == np.float32(0.5)
    rose, fell = movers(rows, 1, 1)
    assert ([row.word for row in rose], [row.word for row in fell]) == (["E"], ["A"])


def test_all_words_where_there_are_few() -> None:
    assert len(align([prediction(0.2, 0.2, 0.2, 0.2, 0.2)] * 3, 10)) == 5


def test_a_word_that_a_model_was_not_asked_about() -> None:
    other = prediction(0.9, 0.1, words=Vocabulary(("Z", "A"), "two"))
    rows = {row.word: row for row in align([prediction(0.5, 0.3, 0.1, 0.06, 0.04), other], 3)}
    assert rows["Z"].cells[0] == (None, None, None)
    assert rows["Z"].cells[1].rose is None and rows["A"].cells[1].rose == -1
    assert list(rows)[-1] == "Z", "words that the first does not know come last"
