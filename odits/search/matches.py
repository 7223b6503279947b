"""A result of a search: the image, where in it each word stands, and why it was found, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from odits.search.frames import block_of
from odits.search.query import Query
from odits.search.ranking import Searcher, probability
from odits.search.spelling import ends
from odits.search.store import IndexedImage
from odits.spotting.alphabet import fold
from odits.spotting.ctc import Span


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
    """The best images that show all words of a query, at most `count`, best first."""
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
    """Where in lines of the index one of a query's words stands best."""
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
    """Why a line with this text was found: a sentence without its full stop."""
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
    """How many letters have to be put in, left out or replaced to make the word from some part of a text."""
    row = [0] * (len(text) + 1)
    for letter in word:
        new = [row[0] + 1]
        for place, other in enumerate(text, start=1):
            new.append(min(row[place] + 1, new[-1] + 1, row[place - 1] + (letter != other)))
        row = new
    return min(row)
