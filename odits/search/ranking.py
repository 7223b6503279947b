"""The images of an index that show all words of a query, best first: exact, without scoring every line.

A word's log-odds in a line are those of the spotter (`odits.models.reading.spotter`), of the score of
`odits.search.spelling`; in an image, those of its best line; an image's are the sum over the words. A word that is
less probable than `LEAST` in every line is not there, and an image without one of the words is no result.

First every line gets an upper bound of every word's log-odds (`odits.search.frames`), then images are scored exactly in
the order of their bounds, until the count-th best exact score is above the next bound. What was not scored could not
have come among the first.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from odits.core.device import cores
from odits.models.reading.alphabet import fold
from odits.models.reading.ctc import DEFAULT, Span
from odits.models.reading.spotter import Calibration, calibration_for
from odits.search.frames import block_of, bound
from odits.search.index import Index, IndexedImage
from odits.search.query import Query
from odits.search.spelling import ends

LEAST = 0.02
"""The least probability of a word that is there."""
_LINES = 512  # scored at a time: their tables stay in the processor's cache
_FIRST = 64  # images scored before the first look at the count-th best
_SLACK = 1e-3  # for sums of rounded numbers


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best images.

    Attributes:
        images: int64 (K,), places in the index, best first; equally good ones in the index's order.
        log_odds: float32 (K, W), of each word in its best line.
        lines: int64 (K, W), that line.
        scored: how many pairs of a line and a word were scored exactly.
    """

    images: np.ndarray
    log_odds: np.ndarray
    lines: np.ndarray
    scored: int

    @property
    def totals(self) -> np.ndarray:
        """What the images are ranked by, float32 (K,)."""
        found: np.ndarray = self.log_odds.sum(1)
        return found


def probability(log_odds: np.ndarray) -> np.ndarray:
    """Return the probabilities in 0..1 of log-odds."""
    found: np.ndarray = 1 / (1 + np.exp(-log_odds.astype(np.float64)))
    return found


class Searcher:
    """An index with what is the same for all queries.

    Args:
        index: what is searched.
        calibration: from scores to log-odds, the one for its reader by default; more score must mean more odds.
    """

    def __init__(self, index: Index, calibration: Calibration | None = None) -> None:
        self.index = index
        self.calibration = calibration = calibration or calibration_for(index.reader)
        self._threads = ThreadPoolExecutor(max(1, min(4, cores())))
        certainty = np.maximum(index.certainty, -2.0)  # as `odits.models.reading.spotter.features`
        height = np.log(np.maximum(index.height, 1.0))
        self._static = (calibration.certainty * certainty + calibration.height * height).astype(np.float32)
        first = index.first_lines
        self._full = np.flatnonzero(np.diff(first) > 0)  # images with lines
        self._first = first[:-1][self._full]

    def rank(self, query: Query, count: int = 20) -> Ranking:
        """Find the `count` best images of a query."""
        limits = [self._limits(word, tolerance, query.part) for word, tolerance in self._words(query)]
        images = np.full((len(limits), len(self.index.images)), -np.inf, np.float32)
        for word, limit in enumerate(limits):
            if len(self._full):
                images[word, self._full] = np.maximum.reduceat(limit, self._first)
        totals = images.sum(0)
        left = np.flatnonzero(totals > -np.inf)
        so_far = _Best(count, len(limits))
        scored, batch = 0, max(_FIRST, 2 * count)
        while len(left):
            if len(left) > batch:
                split = np.argpartition(-totals[left], batch)
                now, left = left[split[:batch]], left[split[batch:]]
            else:
                now, left = left, left[:0]
            scored += self._score(query, limits, images, np.sort(now), so_far)
            left = left[totals[left] + _SLACK >= so_far.worst]
            batch = min(4 * batch, 4096)
        return so_far.ranking(scored)

    def _words(self, query: Query) -> list[tuple[np.ndarray, int]]:
        return list(zip(query.spelled, query.tolerances, strict=True))

    def _odds(self, word: np.ndarray, scores: np.ndarray, lines: np.ndarray | slice) -> np.ndarray:
        """Return the log-odds float32 of a word's scores in lines."""
        constant = self.calibration.intercept + self.calibration.length * min(len(word), 12)
        found: np.ndarray = self.calibration.score * scores
        found += self._static[lines]
        found += np.float32(constant)
        return found

    def _limits(self, word: np.ndarray, tolerance: int, part: bool) -> np.ndarray:
        """Bound a word's log-odds in every line, float32 (R,); minus infinity where it can't be."""
        scores = bound(self.index.columns, word, tolerance, part)
        limits = self._odds(word, scores, slice(None))
        limits[(limits < _least() - _SLACK) | (scores < DEFAULT.floor - _SLACK)] = -np.inf
        return limits

    def _score(self, query: Query, limits: list[np.ndarray], images: np.ndarray, now: np.ndarray, so_far: _Best) -> int:
        """Score the lines of some images that can bring their image among the best; return how many there were."""
        count = 0
        first = self.index.first_lines
        lengths = first[now + 1] - first[now]
        lines = np.repeat(first[now] - np.r_[0, lengths.cumsum()[:-1]], lengths) + np.arange(lengths.sum())
        owner = np.repeat(np.arange(len(now)), lengths)
        odds = np.full((len(limits), len(now)), -np.inf, np.float32)
        best = np.zeros((len(limits), len(now)), np.int64)
        rest = images[:, now]  # bounds, and exact values once they are known
        for place, (word, tolerance) in enumerate(self._words(query)):
            others = np.delete(rest, place, axis=0).sum(0)  # minus infinity where another word is not there
            needed = np.where(others > -np.inf, so_far.worst - np.maximum(others, -1e6), np.inf)
            limit = limits[place][lines]
            chosen = np.flatnonzero((limit > -np.inf) & (limit + _SLACK >= needed[owner]))
            found = self.line_odds(word, tolerance, query.part, lines[chosen])
            count += len(chosen)
            there = np.flatnonzero(found > -np.inf)
            order = there[np.argsort(found[there], kind="stable")]  # an image's best line comes last, and remains
            odds[place, owner[chosen[order]]] = found[order]
            best[place, owner[chosen[order]]] = lines[chosen[order]]
            rest[place] = odds[place]
        so_far.add(now, odds.T, best.T)
        return count

    def line_odds(self, word: np.ndarray, tolerance: int, part: bool, lines: np.ndarray) -> np.ndarray:
        """Compute the log-odds float32 (L,) of a word in some lines, exact; minus infinity where it is not there."""
        scores = np.empty(len(lines), np.float32)
        lengths = self.index.lengths[lines]
        order = np.argsort(lengths, kind="stable")

        def score(some: np.ndarray) -> None:
            starts = self.index.starts[lines[some]]
            block = block_of(self.index.table, self.index.top, starts, lengths[some], word, part)
            scores[some] = ends(block, word, tolerance).max(0) / len(word)

        batches = [order[start : start + _LINES] for start in range(0, len(order), _LINES)]
        # numpy lets other threads work while it computes
        for _ in self._threads.map(score, batches) if len(batches) > 1 else map(score, batches):
            pass
        odds = self._odds(word, scores, lines)
        odds[(odds < _least()) | (scores <= DEFAULT.floor)] = -np.inf
        return odds


def _least() -> float:
    return math.log(LEAST / (1 - LEAST))


class _Best:
    """The best images so far."""

    def __init__(self, count: int, words: int) -> None:
        self._count = count
        self._images = np.empty(0, np.int64)
        self._odds, self._lines = np.empty((0, words), np.float32), np.empty((0, words), np.int64)

    @property
    def worst(self) -> float:
        """What an image must reach to come among them."""
        return float(self._odds[-1].sum()) if len(self._odds) == self._count else -math.inf

    def add(self, images: np.ndarray, odds: np.ndarray, lines: np.ndarray) -> None:
        """Take in images that show all words."""
        there = np.isfinite(odds).all(1)
        images = np.concatenate([self._images, images[there]])
        odds, lines = np.concatenate([self._odds, odds[there]]), np.concatenate([self._lines, lines[there]])
        order = np.lexsort((images, -odds.sum(1)))[: self._count]
        self._images, self._odds, self._lines = images[order], odds[order], lines[order]

    def ranking(self, scored: int) -> Ranking:
        return Ranking(self._images, self._odds, self._lines, scored)


# A result of a search: the image, where in it each word stands, and why it was found, in words.


@dataclass(frozen=True, eq=False)
class Match:
    """One word in one image.

    Attributes:
        word: as the user wrote it.
        probability: that it stands there, in 0..1.
        log_odds: the same.
        line: number of the line in the index.
        span: the line's frames that show it.
        corners: float32 (4, 2), x and y in pixels, clockwise, of that part of the line.
        text: what was read in the whole line.
        why: why it was found, a sentence without its full stop.
    """

    word: str
    probability: float
    log_odds: float
    line: int
    span: Span
    corners: np.ndarray
    text: str
    why: str


@dataclass(frozen=True, eq=False)
class Hit:
    """An image that shows all words.

    Attributes:
        place: of the image in the index.
        image: the image.
        score: the sum of the words' log-odds.
        probability: that all words stand there: of words that are independent, in 0..1.
        matches: one for each word.
    """

    place: int
    image: IndexedImage
    score: float
    probability: float
    matches: tuple[Match, ...]


def search(searcher: Searcher, query: Query, count: int = 20) -> list[Hit]:
    """Find the best images that show all words of a query, at most `count`, best first."""
    ranking = searcher.rank(query, count)
    spans = [spans_of(searcher, query, number, lines) for number, lines in enumerate(ranking.lines.T)]
    chances = probability(ranking.log_odds)
    hits = []
    for row, place in enumerate(ranking.images.tolist()):
        matches = []
        for number, word in enumerate(query.words):
            line = searcher.index.place(int(ranking.lines[row, number]))
            span = spans[number][row]
            matches.append(
                Match(
                    word,
                    float(chances[row, number]),
                    float(ranking.log_odds[row, number]),
                    int(ranking.lines[row, number]),
                    span,
                    line.part(span),
                    line.text,
                    reason(word, line.text, query.tolerances[number]),
                )
            )
        image = searcher.index.images[place]
        hits.append(Hit(place, image, float(ranking.totals[row]), float(chances[row].prod()), tuple(matches)))
    return hits


def spans_of(searcher: Searcher, query: Query, number: int, lines: np.ndarray) -> list[Span]:
    """Find where in lines of the index one of a query's words stands best."""
    if not len(lines):
        return []
    index, word, tolerance = searcher.index, query.spelled[number], query.tolerances[number]
    starts = index.starts[lines]
    block = block_of(index.table, index.top, starts, index.lengths[lines], word, query.part)
    stops = ends(block, word, tolerance).argmax(0) + 1
    # what comes before the end is read backwards, from each line's own end on
    before = block_of(index.table, index.top, starts, stops, word, query.part, backwards=True)
    reached = ends(before, word[::-1], tolerance).argmax(0)
    return [Span(int(stop - 1 - back), int(stop)) for stop, back in zip(stops, reached, strict=True)]


def reason(word: str, text: str, tolerance: int = 0) -> str:
    """Say why a line with this text was found, in a sentence without its full stop."""
    asked, tokens = fold(word), [fold(token) for token in text.split()]
    shown = f"“{text.strip()}”"
    if not fold(text):
        return f"nothing certain was read there, but {word} is possible"
    if fold(text) == asked:
        return f"read {shown}"
    if asked in tokens:
        return f"read {shown}: {word} is one of its words"
    if asked in fold(text):
        return f"read {shown}: {word} is part of it"
    wrong = differing(asked, fold(text))
    if wrong <= max(1, min(2, (len(asked) - 1) // 2)):
        letters = "1 letter differs" if wrong == 1 else f"{wrong} letters differ"
        also = "" if tolerance else ", but the picture may well say so"
        return f"read {shown}: {letters}{also}"
    return f"read {shown}, but {word} is possible"


def differing(word: str, text: str) -> int:
    """Count the letters to put in, leave out or replace to make the word from some part of a text."""
    row = [0] * (len(text) + 1)
    for letter in word:
        new = [row[0] + 1]
        for place, other in enumerate(text, start=1):
            new.append(min(row[place] + 1, new[-1] + 1, row[place - 1] + (letter != other)))
        row = new
    return min(row)
