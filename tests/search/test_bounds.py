"""Upper bounds of a word's score: what their columns say, letter by letter, and how edits are taken off."""

from __future__ import annotations

import numpy as np
import pytest

from odits.models.reading.alphabet import BLANK, SYMBOLS, spell
from odits.models.reading.ctc import Scoring
from odits.search.frames import (
    AFTER,
    BEFORE,
    COUNT,
    STEP,
    _steps,
    block_of,
    bound,
    columns_of,
    frame_table,
    padding,
    pieces,
    top_letters,
)
from odits.search.spelling import WRONG, ends

N = 36
A, B = (int(symbol) - 1 for symbol in spell("ab"))


def line(*frames: dict[str, float]) -> np.ndarray:
    """Log-probabilities (T, SYMBOLS): the given symbols ("" is the blank) in each frame, all others -20."""
    logs = np.full((len(frames), SYMBOLS), -20.0, np.float32)
    for row, chances in zip(logs, frames, strict=True):
        for symbol, value in chances.items():
            row[spell(symbol)[0] if symbol else BLANK] = value
    return logs


def table_of(*lines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lengths = np.array([len(one) for one in lines])
    table = np.concatenate([*(frame_table(one, Scoring(1.5)) for one in lines), padding()])
    return table, lengths.cumsum() - lengths, lengths


@pytest.mark.parametrize(
    ("value", "steps"),
    [(0.0, 0), (-0.05, 0), (-0.099, 0), (-0.101, 1), (-1.0001, 10), (-25.45, 254), (-25.51, 255), (-90.0, 255)],
)
def test_a_byte_stands_for_no_less_than_its_value(value: float, steps: int) -> None:
    assert _steps(np.array([value])).tolist() == [steps]
    assert -STEP * steps >= value - 1e-9 and (steps == 255 or -STEP * (steps + 1) < value + 1e-9)
    assert STEP == 0.1


def test_columns_hold_the_best_of_letters_and_of_pairs() -> None:
    table, starts, lengths = table_of(
        line({"a": 0, "b": -1.0}, {"": 0, "a": -2.0}, {"b": 0, "a": -0.625}),
        line({"b": 0}),
    )
    columns = columns_of(table, starts, lengths)
    assert columns.shape == (COUNT, 2) == (3 * N + N * N, 2)
    assert columns[A, 0] == columns[B, 0] == columns[B, 1] == 0 and columns[A, 1] >= 199
    frames = table[:3].astype(float)
    for letter, name in ((A, "a"), (B, "b")):
        start = max(frames[row, letter] + frames[row, BEFORE] for row in range(3))
        end = max(frames[row, letter] + frames[row, AFTER] for row in range(3))
        assert columns[N + letter, 0] == int(-start / STEP + 1e-6), name
        assert columns[2 * N + letter, 0] == int(-end / STEP + 1e-6), name
    pair = 3 * N + A * N + B
    assert columns[pair, 0] == 0 and columns[3 * N + B * N + A, 0] == 16  # b at first (-1), a at last (-0.625)
    assert columns[3 * N + A * N + A, 0] == 6  # a twice, a blank between: 0, 0, -0.625
    assert columns[3 * N + B * N + B, 0] == 10 and columns[pair, 1] == 255


def test_a_letter_twice_needs_a_blank_in_between() -> None:
    table, starts, lengths = table_of(line({"a": 0}, {"a": 0}), line({"a": 0}, {"": -3.05, "b": 0}, {"a": 0}))
    columns = columns_of(table, starts, lengths)
    assert columns[3 * N + A * N + A].tolist() == [255, 30]


def test_a_word_is_cut_into_pairs_in_both_ways() -> None:
    a, b, c, d = (int(symbol) - 1 for symbol in spell("abcd"))

    def pair(one: int, other: int) -> int:
        return 3 * N + one * N + other

    assert pieces(spell("abcd"), False) == [[pair(a, b), pair(c, d)], [pair(b, c), N + a, 2 * N + d]]
    assert pieces(spell("abc"), False) == [[pair(a, b), 2 * N + c], [pair(b, c), N + a]]
    assert pieces(spell("abc"), True) == [[pair(a, b), c], [pair(b, c), a]]
    assert pieces(spell("ab"), False) == [[pair(a, b)], [N + a, 2 * N + b]]
    assert pieces(spell("a"), False) == [[N + a]] and pieces(spell("a"), True) == [[a]]


def columns_with(values: dict[int, int]) -> np.ndarray:
    columns = np.zeros((COUNT, 1), np.uint8)
    for column, value in values.items():
        columns[column] = value
    return columns


def test_the_worse_way_bounds_and_an_edit_costs_at_most_itself() -> None:
    word = spell("abcd")
    a, b, c, d = (int(symbol) - 1 for symbol in word)
    edit = int(WRONG / STEP)
    columns = columns_with({3 * N + a * N + b: 7, 3 * N + c * N + d: 100, N + a: 30, 3 * N + b * N + c: 50})
    assert bound(columns, word, 0, False) == pytest.approx([-0.1 * (7 + 100) / 4])
    # one edit spoils the worst piece, and costs 4 nats: min(100, 40) + 7 against min(50, 40) + 30
    assert bound(columns, word, 1, False) == pytest.approx([-0.1 * (30 + edit) / 4])
    letters = columns_with({a: 200, b: 90, c: 60, d: 3})
    assert bound(letters, word, 0, True) == pytest.approx([-0.1 * (200 + 3) / 4])
    assert bound(letters, word, 1, True) == pytest.approx([-0.1 * (edit + 90 + 60 + 3) / 4])
    assert bound(letters, word, 2, True) == pytest.approx([-0.1 * (edit + edit + 60 + 3) / 4])
    cheap = columns_with({a: 5, b: 6, c: 7, d: 8})
    assert bound(cheap, word, 2, True) == pytest.approx([-0.1 * 26 / 4])  # no edit is worth it


def test_a_line_ends_where_it_ends() -> None:
    """The word's end may cost, but what follows the line costs nothing and helps nothing."""
    table, starts, lengths = table_of(line({"a": 0}, {"b": 0}), line({"a": 0}, {"b": 0}, {"c": 0, "": -0.5}))
    top = np.concatenate([top_letters(table[:-1]), np.array([1], np.uint8)])
    word = spell("ab")
    found = ends(block_of(table, top, starts, lengths, word, False), word, 0)
    assert found.shape == (3, 2) and found[:, 0].argmax() == found[:, 1].argmax() == 1
    assert found[1, 0] == pytest.approx(table[0, BEFORE] + table[1, AFTER], abs=1e-3)
    assert found[1, 1] == pytest.approx(table[2, BEFORE] + table[3, AFTER], abs=1e-3)
    assert found[2, 0] < -100
    back = ends(block_of(table, top, starts, lengths, word, False, backwards=True), word[::-1], 0)
    assert back[:, 0].argmax() == 1 and back[:, 1].argmax() == 2
    assert back.max(0) == pytest.approx(found.max(0), abs=1e-3)
