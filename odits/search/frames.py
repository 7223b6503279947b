"""What an index stores of every frame of every line: the logarithms that a query needs, side by side.

A frame is a row of 40 numbers float16: its 36 letters, a blank (or a mark, which counts as one inside a word), what a
word's start before it and a word's end after it cost, and its most probable letter; all relative to the frame's most
probable symbol, so at most 0 (`odits.models.reading.ctc`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from odits.models.reading.alphabet import BLANK, FOREIGN, LETTERS, PUNCTUATION, SPACE
from odits.models.reading.ctc import DEFAULT, Scoring
from odits.search.spelling import WRONG, Block

FIRST = 1  # the symbol of the first letter
BLANKS, BEFORE, AFTER, TOP = (len(LETTERS) + place for place in range(4))
"""Columns behind the letters'."""
COLUMNS = TOP + 1
_NEVER = np.float16(-6e4)


def frame_table(frames: np.ndarray, scoring: Scoring = DEFAULT) -> np.ndarray:
    """Compute the rows float16 (T, 40) of a line's log-probabilities (T, SYMBOLS)."""
    relative = np.asarray(frames, np.float32)
    relative = relative - relative.max(1, keepdims=True)
    table = np.empty((len(relative), COLUMNS), np.float32)
    table[:, : len(LETTERS)] = relative[:, FIRST : FIRST + len(LETTERS)]
    table[:, BLANKS] = relative[:, [BLANK, PUNCTUATION]].max(1)
    breaks = relative[:, [PUNCTUATION, SPACE, FOREIGN]].max(1)
    blanks = relative[:, BLANK]
    table[:, BEFORE] = _before(breaks, blanks, scoring.boundary)
    table[:, AFTER] = _before(breaks[::-1], blanks[::-1], scoring.boundary)[::-1]
    table[:, TOP] = table[:, : len(LETTERS)].max(1)
    return table.astype(np.float16)


def top_letters(table: np.ndarray) -> np.ndarray:
    """Return the most probable letter's symbol uint8 (T,) of rows (T, 40)."""
    return (table[:, : len(LETTERS)].argmax(1) + FIRST).astype(np.uint8)


def padding() -> np.ndarray:
    """Return the row float16 (1, 40) that stands behind a line's end: nothing but blanks."""
    row = np.full((1, COLUMNS), _NEVER, np.float16)
    row[:, [BLANKS, BEFORE, AFTER]] = 0
    return row


def _before(breaks: np.ndarray, blanks: np.ndarray, boundary: float) -> np.ndarray:
    """Compute the cost (T,) of a word's start before each frame: a break or the line's start there, or `boundary`."""
    found = np.empty_like(blanks)
    state = np.float32(0)
    for frame, (broken, blank) in enumerate(zip(breaks, blanks, strict=True)):
        found[frame] = state
        state = max(broken, state + blank)
    return np.maximum(found, -boundary)


def block_of(
    table: np.ndarray,
    top: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    word: np.ndarray,
    part: bool,
    backwards: bool = False,
) -> Block:
    """Lay lines out for one word.

    Args:
        table: all rows float16 (F + 1, 40), the last of them `padding`.
        top: symbols uint8 (F + 1,), of all rows.
        starts: the first row of each of the P lines.
        lengths: how many rows each has.
        word: symbols (M,).
        part: whether the word may be part of a longer one at no cost.
        backwards: whether lines and word are read from their ends.
    """
    place = np.arange(lengths.max())[:, None]
    at = starts + lengths - 1 - place if backwards else starts + place
    rows = np.where(place < lengths, at, len(table) - 1)
    edges = [AFTER, BEFORE] if backwards else [BEFORE, AFTER]
    columns = np.concatenate([(word[::-1] if backwards else word) - FIRST, [BLANKS, *edges, TOP]])
    # one look-up of what is needed, in the order in which it is needed
    places = rows[:, None] * COLUMNS + columns[:, None]
    values = _wide(np.take(np.asarray(table).reshape(-1), places))
    blank, before, after, best = (values[:, len(word) + number] for number in range(4))
    if part:
        before = after = np.zeros_like(blank)
    return Block(values[:, : len(word)], blank, before, after, np.asarray(top)[rows], best)


def _wide(values: np.ndarray) -> np.ndarray:
    """Convert float16 to float32 by looking it up, which takes half the time of numpy's conversion."""
    found: np.ndarray = np.take(_all_halves(), values.view(np.uint16))
    return found


@lru_cache(maxsize=1)
def _all_halves() -> np.ndarray:
    """Return every float16 by its bits, float32 (65536,)."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


# Upper bounds of how well words stand in lines, for all lines of an index at once.
#
# A word is cut into pieces of one or two letters that follow each other. Whatever path spells it in a line, no piece
# does better than its best place anywhere in that line; so the sum over the pieces is an upper bound of the word's
# total. For each line the index stores, for every letter, its best frame (with and without the start or the end of a
# word beside it), and for every pair of letters the best way to have one after the other. That is a column of bytes
# over all lines for each piece, and a query touches only the columns of its own pieces.
#
# A byte is a number of steps of `STEP` nats below 0, rounded towards 0: never below what it bounds. An edit (a wrong
# letter) spoils at most one piece: of the worst pieces, as many as there may be edits count as an edit each.


STEP = 0.1
"""Nats to a step; 255 of them are more than any letter's logarithm."""
_N = len(LETTERS)
_ANY, _START, _END, _PAIR = 0, _N, 2 * _N, 3 * _N
COUNT = _PAIR + _N * _N
"""Columns: each letter anywhere, at a word's start, at its end; each pair of letters."""
_CHUNK = 256  # lines at a time: their tables of pairs stay in the processor's cache


def columns_of(table: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Compute the columns uint8 (COUNT, R) of R lines of a table float16 (F + 1, 40), whose last row is `padding`."""
    found = np.empty((COUNT, len(starts)), np.uint8)
    order = np.argsort(lengths, kind="stable")  # lines of similar length together: little is filled up
    for first in range(0, len(order), _CHUNK):
        lines = order[first : first + _CHUNK]
        place = np.arange(lengths[lines].max())[:, None]
        rows = np.where(place < lengths[lines], starts[lines] + place, len(table) - 1)
        found[:, lines] = _steps(_best(table[rows].astype(np.float32)))
    return found


def _best(frames: np.ndarray) -> np.ndarray:
    """Compute the bounds themselves float32 (COUNT, P) of lines (T, P, 40)."""
    letters = np.ascontiguousarray(frames[..., :_N])
    blank = frames[..., BLANKS, None]
    pairs = np.full((frames.shape[1], _N, _N), -np.inf, np.float32)
    gap = np.full(letters.shape[1:], -np.inf, np.float32)
    reach = gap
    twice = np.arange(_N)
    doubled = np.full(letters.shape[1:], -np.inf, np.float32)
    for now, empty in zip(letters, blank, strict=True):
        np.maximum(pairs, reach[:, :, None] + now[:, None, :], out=pairs)
        np.maximum(doubled, gap + now, out=doubled)  # a letter twice has a blank in between
        gap = reach + empty
        reach = np.maximum(gap, now)
    pairs[:, twice, twice] = doubled
    singles = [letters, letters + frames[..., BEFORE, None], letters + frames[..., AFTER, None]]
    return np.concatenate([*(kind.max(0) for kind in singles), pairs.reshape(len(pairs), -1)], axis=1).T


def _steps(values: np.ndarray) -> np.ndarray:
    """Round values to bytes that stand for no less."""
    return np.minimum(np.floor(np.maximum(values, -100) * (-1 / STEP)), 255).astype(np.uint8)


def pieces(word: np.ndarray, part: bool) -> list[list[int]]:
    """Cut a word, symbols (M,), into pairs in both ways: columns of their pieces."""
    letters = [int(symbol) - FIRST for symbol in word]
    last = len(letters) - 1
    ways = []
    for offset in (0, 1):
        way = [_PAIR + letters[place] * _N + letters[place + 1] for place in range(offset, last, 2)]
        if offset:
            way.append((_ANY if part else _START) + letters[0])
        if (last - offset) % 2 == 0 and (last > 0 or not offset):
            way.append((_ANY if part else _END) + letters[last])
        ways.append(way)
    return ways if last else ways[1:]


def bound(columns: np.ndarray, word: np.ndarray, tolerance: int, part: bool) -> np.ndarray:
    """Bound a word's score per letter in every line.

    Args:
        columns: uint8 (COUNT, R), by `columns_of`.
        word: symbols (M,).
        tolerance: how many letters may be wrong.
        part: whether the word may be part of a longer one at no cost.

    Returns:
        float32 (R,), at least the score of `odits.search.spelling`.
    """
    cost = np.zeros(columns.shape[1], np.uint16)
    ways = pieces(word, part)
    if tolerance:
        ways.append([_ANY + int(symbol) - FIRST for symbol in word])  # an edit spoils less of it
    for way in ways:
        np.maximum(cost, _cost(columns, way, tolerance), out=cost)
    return cost * np.float32(-STEP / len(word))


def _cost(columns: np.ndarray, way: list[int], edits: int) -> np.ndarray:
    """Add up the steps uint16 (R,) that the pieces cost, the worst `edits` of them at most an edit each."""
    total = np.zeros(columns.shape[1], np.uint16)
    worst = [np.zeros(columns.shape[1], np.uint8) for _ in range(edits)]
    for column in way:
        here = columns[column]
        total += here
        for place, most in enumerate(worst):
            if place + 1 < edits:
                here_left = np.minimum(here, most)
            np.maximum(most, here, out=most)
            if place + 1 < edits:
                here = here_left
    edit = np.uint8(np.floor(WRONG / STEP))
    for most in worst:
        total -= np.maximum(most, edit) - edit
    return total
