"""Scores of each word of a vocabulary in each line of text, by the recogniser's own probabilities.

A recogniser gives, for every frame t of a line, the probabilities p(a | t) of the symbols and of a blank (connectionist
temporal classification, Graves et al. 2006). A path through the frames spells a word w when its symbols, with repeats
counted once and blanks dropped, are w's letters. The score of w is that of its best path over any span of the line,

    s(w) = 1/|w| * max over spans and paths of  sum over the span of  log p(path_t | t) - max_a log p(a | t)
           + what it costs that something else of a word is next to the span,

so that 0 means: w is what the recogniser reads there. Frames outside the span cost nothing: lines of any length
compare. At each end a space or a mark stands with its own probability, or the word is part of a longer one, which costs
`boundary`. Within a word punctuation counts as blank (MACY'S is MACYS). Scores below `floor` are cut to it: a word that
far off is not there.

Most words are far off in most lines. An upper bound, the sum over the letters of their best frame anywhere in the line,
is one product of matrices and leaves few pairs to be scored; what the bound rules out would have been cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from odits.data.vocabulary import bare_word, fold_word
from odits.models.reading.alphabet import BLANK, FOREIGN, PUNCTUATION, SPACE, SYMBOLS, spell

IMPOSSIBLE = np.float32(-1e4)
LONGEST = 100
"""Letters of a word that is looked for: nobody writes longer ones on a sign."""
_PAIRS = 4096  # (line, word) pairs at a time: their tables stay in the processor's cache


@dataclass(frozen=True)
class Scoring:
    """Penalties of a score; spotters' checkpoints key on its representation.

    Attributes:
        boundary: nats for each end of a word that lies inside a longer one; 0 finds parts of words.
        floor: the lowest score, per letter.
    """

    boundary: float = 3.0
    floor: float = -4.0


DEFAULT = Scoring()
"""Chosen on SVT's training images."""


class Lexicon:
    """Words, spelled in symbols.

    Attributes:
        lengths: how many letters each word has, int64 (N,); a word without any, or with more than 100, counts as one
            without and gets the lowest score everywhere.
        letters: symbols int64 (N, M), filled up with blanks.
        counts: how often each word has each symbol, float32 (N, SYMBOLS).
        texts: words that symbols alone do not tell, by their place, as `odits.data.vocabulary.fold_word` writes them.
        sizes: letters of each word in whatever script, int64 (N,).
    """

    def __init__(self, words: Sequence[str]) -> None:
        spelled = [letters if len(letters) <= LONGEST else letters[:0] for letters in map(spell, words)]
        self.lengths = np.array([len(letters) for letters in spelled], np.int64)
        self.letters = np.full((len(spelled), max(1, self.lengths.max(initial=1))), BLANK, np.int64)
        rows = np.repeat(np.arange(len(spelled)), self.lengths)
        places = np.arange(len(rows)) - np.repeat(self.lengths.cumsum() - self.lengths, self.lengths)
        symbols = np.concatenate([np.empty(0, np.int64), *spelled])
        self.letters[rows, places] = symbols
        counts = np.bincount(rows * SYMBOLS + symbols, minlength=len(spelled) * SYMBOLS)
        self.counts = counts.reshape(len(spelled), SYMBOLS).astype(np.float32)
        odd = [place for place, word in enumerate(words) if not word.isascii() or not self.lengths[place]]
        self.texts = {place: key for place in odd if (key := fold_word(words[place]))}
        self._words = words
        self.sizes = self.lengths.copy()
        self.sizes[odd] = [len(bare_word(words[place])) for place in odd]

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def places(self) -> dict[str, int]:
        """Place of each word, by how `odits.data.vocabulary.fold_word` writes it."""
        return {fold_word(word): place for place, word in enumerate(self._words)}

    def extended(self, words: Sequence[str]) -> Lexicon:
        """Return the lexicon with further words at its end; the first ones are not spelled anew."""
        longer, more = copy(self), Lexicon(words)
        width = max(self.letters.shape[1], more.letters.shape[1])
        padded = (
            np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=BLANK)
            for part in (self.letters, more.letters)
        )
        longer.letters = np.concatenate([*padded])
        for name in ("lengths", "counts", "sizes"):
            setattr(longer, name, np.concatenate([getattr(self, name), getattr(more, name)]))
        longer.places = {key: len(self) + place for key, place in more.places.items()} | self.places
        longer.texts = self.texts | {len(self) + place: key for place, key in more.texts.items()}
        return longer


class Span(NamedTuple):
    """Frames from `start` up to, and without, `stop`."""

    start: int
    stop: int


class Lines:
    """Lines of text, made ready for scoring.

    Args:
        frames: of each line its log-probabilities float (T, SYMBOLS).
    """

    def __init__(self, frames: Sequence[np.ndarray]) -> None:
        self.lengths = np.array([len(line) for line in frames], np.int64)
        longest = self.lengths.max(initial=0)
        self.relative = np.full((len(frames), longest, SYMBOLS), IMPOSSIBLE, np.float32)
        self.relative[:, :, BLANK] = 0  # after a line's end there are blanks
        for row, line in enumerate(frames):
            line = np.asarray(line, np.float32)
            self.relative[row, : len(line)] = line - line.max(1, keepdims=True)

    def __len__(self) -> int:
        return len(self.relative)

    @cached_property
    def best(self) -> np.ndarray:
        """Each symbol's best log-probability in each line, float32 (R, SYMBOLS)."""
        return self.relative.max(1, initial=IMPOSSIBLE)

    def edges(self, boundary: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores, at most 0, of a word's start before and its end after each frame: float32 (R, T) each."""
        breaks = self.relative[:, :, [PUNCTUATION, SPACE, FOREIGN]].max(2)
        blanks = self.relative[:, :, BLANK]
        before = _breaks_before(breaks, blanks)
        after = _breaks_before(breaks[:, ::-1], blanks[:, ::-1])[:, ::-1]
        return np.maximum(before, -boundary), np.maximum(after, -boundary)


def _breaks_before(breaks: np.ndarray, blanks: np.ndarray) -> np.ndarray:
    """Return the best relative log-probability that a break or the line's start precedes each frame."""
    found = np.empty_like(blanks)
    state = np.zeros(len(blanks), np.float32)
    for frame in range(blanks.shape[1]):
        found[:, frame] = state
        # a break after anything, or blanks after a break
        state = np.maximum(breaks[:, frame], state + blanks[:, frame])
    return found


def score(lines: Lines, lexicon: Lexicon, scoring: Scoring = DEFAULT) -> np.ndarray:
    """Score words in lines.

    Args:
        lines: R lines.
        lexicon: N words.
        scoring: the penalties.

    Returns:
        float32 (R, N), from `floor` to 0.
    """
    scores = np.full((len(lines), len(lexicon)), scoring.floor, np.float32)
    if not scores.size:
        return scores
    lengths = np.maximum(lexicon.lengths, 1).astype(np.float32)
    bound = lines.best @ lexicon.counts.T / lengths
    rows, words = np.nonzero((bound > scoring.floor) & (lexicon.lengths > 0))
    # similar lengths together, of lines and of words: little is computed for nothing
    by_length = np.lexsort((lexicon.lengths[words], lines.lengths[rows] // 16))
    before, after = lines.edges(scoring.boundary)
    for start in range(0, len(rows), _PAIRS):
        pairs = by_length[start : start + _PAIRS]
        row, word = rows[pairs], words[pairs]
        end = lines.lengths[row].max()
        edges = before[:, :end], after[:, :end]
        found = _best_paths(lines.relative[:, :end], edges, row, lexicon.letters[word], lexicon.lengths[word])
        scores[row, word] = np.maximum(found.max(1) / lengths[word], scoring.floor)
    return scores


def locate(frames: np.ndarray, word: str, scoring: Scoring = DEFAULT) -> Span:
    """Find the span of a line, log-probabilities (T, SYMBOLS), that shows a word best."""
    stop = int(_ends(frames, word, scoring).argmax()) + 1
    backwards = _ends(frames[:stop][::-1], word[::-1], scoring)
    return Span(stop - 1 - int(backwards.argmax()), stop)


def _ends(frames: np.ndarray, word: str, scoring: Scoring) -> np.ndarray:
    """Score a word that ends at each frame of a line: (T,)."""
    lines, letters = Lines([frames]), spell(word)[None]
    return _best_paths(
        lines.relative, lines.edges(scoring.boundary), np.zeros(1, int), letters, np.array([letters.size])
    )[0]


def _best_paths(
    relative: np.ndarray,
    edges: tuple[np.ndarray, np.ndarray],
    rows: np.ndarray,
    letters: np.ndarray,
    lengths: np.ndarray,
) -> np.ndarray:
    """Compute the best sum of each pair of a line and a word that ends at each frame: float32 (P, T) (Viterbi).

    `on` holds the best path whose last frame shows the word's k-th letter, `gap` the best whose last frame is a blank
    after it.
    """
    before, after = edges
    letters = letters[:, : lengths.max()]
    # frames first, and flat: each step of the recursion then takes its numbers from one stretch of memory
    by_frame = relative.transpose(1, 0, 2).reshape(relative.shape[1], -1)
    emissions = by_frame.take(rows[:, None] * SYMBOLS + letters, axis=1)  # (T, P, M)
    blanks = relative[:, :, [BLANK, PUNCTUATION]].max(2).T.take(rows, axis=1)  # (T, P)
    enters = before.T.take(rows, axis=1)
    repeated = letters[:, 1:] == letters[:, :-1]
    on = np.full(letters.shape, IMPOSSIBLE)
    gap = on.copy()
    enter = on.copy()
    last = np.arange(len(rows)) * letters.shape[1] + lengths - 1
    ends = np.empty(blanks.shape, np.float32)
    for frame, emission in enumerate(emissions):
        # a letter follows the one before at once, unless they are the same, or after a blank
        enter[:, 0] = enters[frame]
        enter[:, 1:] = on[:, :-1]
        enter[:, 1:][repeated] = IMPOSSIBLE
        np.maximum(enter[:, 1:], gap[:, :-1], out=enter[:, 1:])
        np.maximum(gap, on, out=gap)
        gap += blanks[frame, :, None]
        np.maximum(on, enter, out=on)
        on += emission
        ends[frame] = on.take(last)
    return ends.T + after[rows]
