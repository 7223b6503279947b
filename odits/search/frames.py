"""What an index keeps of every frame of every line: the logarithms that a query needs, side by side.

A frame is a row of 40 numbers float16: its 36 letters, a blank (or a mark, which counts as one inside a word), what a
word's start before it and a word's end after it cost, and its most probable letter; all relative to the frame's most
probable symbol, so at most 0 (`odits.spotting.ctc`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from odits.search.spelling import Block
from odits.spotting.alphabet import BLANK, FOREIGN, LETTERS, PUNCTUATION, SPACE
from odits.spotting.ctc import DEFAULT, Scoring

FIRST = 1  # the symbol of the first letter
BLANKS, BEFORE, AFTER, TOP = (len(LETTERS) + place for place in range(4))
"""Columns behind the letters'."""
COLUMNS = TOP + 1
_NEVER = np.float16(-6e4)


def frame_table(frames: np.ndarray, scoring: Scoring = DEFAULT) -> np.ndarray:
    """The rows float16 (T, 40) of a line's log-probabilities (T, SYMBOLS)."""
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
    """The most probable letter's symbol uint8 (T,) of rows (T, 40)."""
    return (table[:, : len(LETTERS)].argmax(1) + FIRST).astype(np.uint8)


def padding() -> np.ndarray:
    """The row float16 (1, 40) that stands behind a line's end: nothing but blanks."""
    row = np.full((1, COLUMNS), _NEVER, np.float16)
    row[:, [BLANKS, BEFORE, AFTER]] = 0
    return row


def _before(breaks: np.ndarray, blanks: np.ndarray, boundary: float) -> np.ndarray:
    """What it costs (T,) that a word begins with each frame: a break or the line's start before it, or `boundary`."""
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
    """Lines ready for one word.

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
    """Numbers float16 as float32: looked up, which takes half the time of numpy's conversion."""
    found: np.ndarray = np.take(_all_halves(), values.view(np.uint16))
    return found


@lru_cache(maxsize=1)
def _all_halves() -> np.ndarray:
    """float32 (65536,): every float16 by its bits."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
