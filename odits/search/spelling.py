"""How well a word stands in lines of text when some of its letters may be wrong.

With a tolerance of 0 this is the score of `odits.models.reading.ctc`, to the letter. With a tolerance of E, up to E
edits turn the word into what stands there, and each costs `WRONG` nats:

- a letter is left out: nothing stands for it;
- a letter is replaced, or one too many stands there: that letter is whatever the recogniser reads, which is the most
  probable letter of its frame; it covers frames only as long as that letter stays the same.

The edited word is then spelled by a path as any word is: equal letters that follow each other need a blank in between.
The score is the best total of the path and the edits, over all edited words, paths and spans, divided by the number of
letters of the word that was asked for, and cut off at the floor:

    s_E(w) = max over edits e <= E, paths, spans of (sum over the span of log p(path_t | t) - max_a log p(a | t)
             + boundaries - WRONG * e) / |w|

The path is found by dynamic programming over frames, with states (edits so far, letters so far, what is on: a letter of
the word, a wrong letter, a blank).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from odits.models.reading.ctc import IMPOSSIBLE

WRONG = 4.0
"""Nats that an edit costs: a bit more than the boundary of a word, so that CAFES shows CAFE before CAFÉT does."""
MOST = 2
"""The largest tolerance."""


def tolerated(letters: np.ndarray, tolerance: int) -> int:
    """Limit how many letters of a word may be wrong: at most the tolerance, and always fewer than half of them."""
    return max(0, min(tolerance, MOST, (len(letters) - 1) // 2))


class Block(NamedTuple):
    """Lines of one batch, laid out for the recursion: frames first, lines last.

    Attributes:
        letters: float32 (T, M, P), log-probabilities of the word's letters, relative to each frame's best symbol.
        blank: float32 (T, P), of a blank or a mark.
        before: float32 (T, P), what a word's start before each frame costs.
        after: float32 (T, P), what its end after each frame costs.
        top: symbols (T, P), each frame's most probable letter.
        top_chance: float32 (T, P), of that letter.
    """

    letters: np.ndarray
    blank: np.ndarray
    before: np.ndarray
    after: np.ndarray
    top: np.ndarray
    top_chance: np.ndarray


def ends(block: Block, word: np.ndarray, tolerance: int) -> np.ndarray:
    """Compute the best total of a word whose last letter ends with each frame of each line.

    Args:
        block: T frames of P lines, laid out for this word.
        word: symbols (M,).
        tolerance: how many letters may be wrong.

    Returns:
        float32 (T, P), in nats; at most 0.
    """
    if tolerance == 0:
        return _exact_ends(block, word)
    return _Tolerant(block, word, tolerance).ends()


def _exact_ends(block: Block, word: np.ndarray) -> np.ndarray:
    count = len(word)
    on = np.full((count, block.blank.shape[1]), IMPOSSIBLE)
    gap, enter = on.copy(), on.copy()
    found = np.empty_like(block.blank)
    repeated = np.flatnonzero(word[1:] == word[:-1])
    for frame in range(len(found)):
        enter[0] = block.before[frame]
        np.maximum(on[:-1], gap[:-1], out=enter[1:])
        enter[repeated + 1] = gap[repeated]  # the same letter again needs a blank in between
        np.maximum(on, gap, out=gap)
        gap += block.blank[frame]
        np.maximum(on, enter, out=on)
        on += block.letters[frame]
        found[frame] = on[-1]
    return found + block.after


class _Tolerant:
    """The recursion with edits.

    `on`, `gap` and `wild` are float32 (E + 1, M + 1, P): the best path by the number of edits and of letters so far,
    whose last frame shows the word's last letter so far, a blank, or a wrong letter.
    """

    def __init__(self, block: Block, word: np.ndarray, tolerance: int) -> None:
        self.block, self.word, self.most = block, word, tolerance
        frames, lines = block.blank.shape
        shape = (tolerance + 1, len(word) + 1, lines)
        # `on[:, j]`: the j-th letter is on; j = 0 stays impossible and makes the indices of all three agree
        self.on = np.full(shape, IMPOSSIBLE)
        self.gap, self.wild = self.on.copy(), self.on.copy()
        # what it costs that a wrong letter, the top one of its frame, is not the word's letter; that it is another one
        # than in the frame before; that it is the same one
        self.other = _allowed(block.top[:, None] != word[:, None])
        changed = np.ones((frames, lines), bool)
        changed[1:] = block.top[1:] != block.top[:-1]
        self.changed, self.same = _allowed(changed), _allowed(~changed)
        # whether the letter j + d may follow the letter j - 1 at once
        self.differs = [
            np.flatnonzero(word[left_out + 1 :] != word[: len(word) - left_out - 1]) + 1
            for left_out in range(tolerance + 1)
        ]

    def ends(self) -> np.ndarray:
        """Compute the best totals float32 (T, P) of paths that end with each frame."""
        found = np.empty_like(self.block.blank)
        for frame in range(len(found)):
            on, wild = self._letters(frame), self._wrong(frame)
            np.maximum(self.gap, self.on, out=self.gap)
            np.maximum(self.gap, self.wild, out=self.gap)
            self.gap += self.block.blank[frame]
            self.on, self.wild = on, wild
            found[frame] = self._finished()
        return found + self.block.after

    def _letters(self, frame: int) -> np.ndarray:
        """Advance `on` by a frame: a letter stays on, or follows a start, a blank, another letter or a wrong one."""
        count = len(self.word)
        found = self.on.copy()
        for left_out in range(min(self.most, count - 1) + 1):
            # 0 ... count - 1 - left_out letters so far; then `left_out` letters are missing
            before = slice(0, self.most + 1 - left_out), slice(0, count - left_out)
            come = self.gap[before]
            if frame:
                come = np.maximum(come, self.wild[before] + self.other[frame - 1, left_out:])
                differs = self.differs[left_out]
                come[:, differs] = np.maximum(come[:, differs], self.on[before][:, differs])
            else:
                come = come.copy()
            np.maximum(come[0, 0], self.block.before[frame], out=come[0, 0])
            after = found[left_out:, 1 + left_out :]
            np.maximum(after, come - np.float32(WRONG * left_out), out=after)
        found[:, 1:] += self.block.letters[frame]
        return found

    def _wrong(self, frame: int) -> np.ndarray:
        """Advance `wild` by a frame: the same wrong letter stays on, or another one comes."""
        count = len(self.word)
        found = self.wild + self.same[frame]
        for passed in range(min(self.most, count) + 1):
            # 0: one letter too many; 1: a letter replaced; 2: one replaced and one left out
            edits = max(1, passed)
            before = slice(0, self.most + 1 - edits), slice(0, count + 1 - passed)
            come = np.maximum(self.gap[before], self.wild[before] + self.changed[frame])
            np.maximum(come[:, 1:], self.on[before][:, 1:] + self.other[frame, : count - passed], out=come[:, 1:])
            np.maximum(come[0, 0], self.block.before[frame], out=come[0, 0])
            after = found[edits:, passed:]
            np.maximum(after, come - np.float32(WRONG * edits), out=after)
        found += self.block.top_chance[frame]
        return found

    def _finished(self) -> np.ndarray:
        """Return the best total (P,) that ends here: what is still missing of the word is left out."""
        here = np.maximum(self.on, self.wild)
        best = here[:, -1].max(0)
        for missing in range(1, self.most + 1):
            left = here[: self.most + 1 - missing, -1 - missing].max(0)
            np.maximum(best, left - np.float32(WRONG * missing), out=best)
        return best


def _allowed(true: np.ndarray) -> np.ndarray:
    """Return 0 where true, impossible elsewhere, float32."""
    return np.where(true, np.float32(0), IMPOSSIBLE)
