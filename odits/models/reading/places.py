"""Places where a word is written: lines cut into words, the readings of each place, and what words they may be.

A picture is read at several scales, so that a sign is found up to three times, and a line holds several words. A place
is one written word with all its readings. The words that its readings resemble compete for it, and only they do: what
is read elsewhere takes nothing from it. Places are objects of ODITS Street (`odits.models.fusion.places`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from odits.models.reading.alphabet import BLANK, FOREIGN, LETTERS, PUNCTUATION, SPACE, symbol_of
from odits.models.reading.ctc import Lexicon, Lines, Scoring, Span, score
from odits.models.reading.reader import TextLine
from odits.models.reading.text_match import raise_scores, words_of

PLACE_SCORING = Scoring(boundary=3.0, floor=-3.0)
"""Of words at places: farther off than 3 nats a letter, a word does not compete."""
FEATURES = ("score", "nats", "length", "certainty", "height", "votes", "read")
"""What a word's log-odds at a place are a linear function of (`place_features`)."""

_SAME = 0.5  # intersection over union from which two readings are of one place
_DOUBTFUL = -1.2  # mean log-probability below which a part of a line is no reading of a word
_PARTS = 12  # of a line are read as words; longer ones are mostly no signs
_SEPARATORS = frozenset(',;:/|!?()[]{}+*=·•–—"“”')
_READ_AS = -0.4  # a reading with a higher score of a word votes for it
_LONG = 12  # letters
_GAP = 0.02  # probability of a space from which a word ends where none was read; inside compounds it is below 0.001


@dataclass(frozen=True, eq=False)
class Place:
    """A place in a picture where a word is written.

    Attributes:
        readings: parts of lines, the surest first.
    """

    readings: tuple[TextLine, ...]

    @property
    def best(self) -> TextLine:
        """The surest reading."""
        return self.readings[0]


def find_places(lines: Sequence[TextLine]) -> list[Place]:
    """Cut lines into words and put those of one place together, the surest place first.

    Args:
        lines: of one picture, the same line once for each scale and turn at which it was found.
    """
    parts = [part for line in lines for part in written_words(line)]
    parts.sort(key=lambda part: -part.certainty)
    boxes = np.array([(*part.corners.min(0), *part.corners.max(0)) for part in parts], np.float32).reshape(-1, 4)
    members: list[list[TextLine]] = []
    firsts = np.empty_like(boxes)  # the box of each place's first reading
    for part, box in zip(parts, boxes, strict=True):
        overlaps = _overlaps(box, firsts[: len(members)])
        same = int(overlaps.argmax()) if len(members) else -1
        if same >= 0 and overlaps[same] > _SAME:
            members[same].append(part)
        else:
            firsts[len(members)] = box
            members.append([part])
    return [Place(tuple(readings)) for readings in members]


def written_words(line: TextLine) -> Iterator[TextLine]:
    """Cut a line at spaces and at marks that separate words; what the recogniser is too unsure of is left out."""
    frames = np.asarray(line.frames, np.float32)
    runs = _runs(frames.argmax(1), line.text) if len(frames) else []
    for run in [part for whole in runs for part in _cut_at_gaps(whole, frames)][:_PARTS]:
        start, stop = max(0, run.first - 1), min(len(frames), run.last + 2)
        part = line.frames[start:stop]
        word = TextLine(line.part(Span(run.first, run.last + 1)), line.confidence, run.text or spelled(part), part)
        if word.certainty > _DOUBTFUL:
            yield word


def spelled(frames: np.ndarray) -> str:
    """Spell the letters of the best path through frames (T, SYMBOLS), in small letters without accents."""
    best = np.asarray(frames).argmax(1)
    changed = best[np.flatnonzero(np.diff(best, prepend=-1))]
    return "".join(LETTERS[symbol - 1] for symbol in changed if BLANK < symbol < PUNCTUATION)


class _Run(NamedTuple):
    """Frames from `first` to `last` that show a word, and the word as it was read; "" where that is not known."""

    first: int
    last: int
    text: str


def _runs(best: np.ndarray, text: str) -> list[_Run]:
    """Cut a line's best path (T,) into words, with the help of the text, which tells the marks apart."""
    steps = [place for place in range(len(best)) if best[place] and (not place or best[place] != best[place - 1])]
    stops = [next((t for t in range(place, len(best)) if best[t] != best[place]), len(best)) - 1 for place in steps]
    symbols = best[steps].tolist()
    letters = list(text)
    known = [symbol_of(letter) for letter in letters] == symbols
    runs: list[_Run] = []
    inside: list[int] = []
    for number, symbol in enumerate([*symbols, SPACE]):
        ends = symbol == SPACE or (known and symbol == PUNCTUATION and letters[number] in _SEPARATORS)
        if not ends:
            inside.append(number)
            continue
        inside = _trimmed(inside, symbols)
        if inside:
            read = "".join(letters[inside[0] : inside[-1] + 1]) if known else ""
            runs.append(_Run(steps[inside[0]], stops[inside[-1]], read))
        inside = []
    texts = [*words_of(text)]
    if not known and len(texts) == len(runs):
        runs = [_Run(run.first, run.last, read) for run, read in zip(runs, texts, strict=True)]
    return runs


def _cut_at_gaps(run: _Run, frames: np.ndarray) -> Iterator[_Run]:
    """Cut a word where a space is likely: recognisers leave out narrow ones, as in CITYBANK."""
    wide = np.flatnonzero(np.exp(frames[run.first : run.last + 1, SPACE]) >= _GAP) + run.first
    if not run.text.isascii() or not len(wide):
        yield run
        return
    best = frames.argmax(1)
    steps = [at for at in range(run.first, run.last + 1) if best[at] and (at == run.first or best[at] != best[at - 1])]
    cuts = sorted({int(np.searchsorted(steps, at)) for at in wide})  # before the letter that follows
    for start, stop in itertools.pairwise([0, *cuts, len(steps)]):
        if start < stop:
            last = steps[stop] - 1 if stop < len(steps) else run.last
            while last > steps[stop - 1] and not best[last]:
                last -= 1
            yield _Run(steps[start], last, run.text[start:stop] if len(run.text) == len(steps) else "")


def _trimmed(inside: list[int], symbols: list[int]) -> list[int]:
    """Cut marks off both ends of a word."""
    letters = [number for number in inside if symbols[number] < PUNCTUATION or symbols[number] == FOREIGN]
    return list(range(letters[0], letters[-1] + 1)) if letters else []


def _overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union (k,) of a box (4,) with others (k, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = (high - low).clip(0).prod(1)
    union = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - common
    shares: np.ndarray = common / np.maximum(union, 1e-6)
    return shares


# What words a place may show


class Candidates(NamedTuple):
    """Words that compete for places: of each pair its place and word, int64 (C,), and features float32 (C, 7)."""

    places: np.ndarray
    words: np.ndarray
    features: np.ndarray


def find_candidates(places: Sequence[Place], lexicon: Lexicon, listed: int) -> Candidates:
    """Find the words that each place may show.

    The features are those of `FEATURES`: the word's best score per letter among the place's readings, at most 0
    (`odits.models.reading.ctc`); that times the word's letters; the letters, at most 12, as a share of 12; the surest
    reading's certainty; the logarithm of its height in units of 20 pixels; the share of the readings that vote for the
    word; and 1 for a word that was read and stands in no list.

    Args:
        places: P places.
        lexicon: N words.
        listed: how many of them, at the beginning, stand in a list.
    """
    readings = [reading for place in places for reading in place.readings]
    scores = score(Lines([reading.frames for reading in readings]), lexicon, PLACE_SCORING)
    raise_scores(scores, lexicon, readings)
    starts = np.cumsum([0, *(len(place.readings) for place in places)])
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for number, place in enumerate(places):
        of_place = scores[starts[number] : starts[number + 1]]
        best = of_place.max(0)
        words = np.flatnonzero(best > PLACE_SCORING.floor)
        length = np.minimum(lexicon.sizes[words], _LONG).astype(np.float32)
        features = np.empty((len(words), len(FEATURES)), np.float32)
        features[:, 0] = best[words]
        features[:, 1] = best[words] * length
        features[:, 2] = length / _LONG
        features[:, 3] = place.best.certainty
        features[:, 4] = np.log(max(place.best.height, 1.0) / 20)
        features[:, 5] = (of_place[:, words] > _READ_AS).mean(0)
        features[:, 6] = words >= listed
        found.append((np.full(len(words), number), words, features))
    if not found:
        return Candidates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, len(FEATURES)), np.float32))
    return Candidates(*(np.concatenate(column) for column in zip(*found, strict=True)))


@dataclass(frozen=True)
class PlaceCalibration:
    """Log-odds of each candidate of a place against "none of these words": linear in its features.

    A conditional logit (McFadden, 1974), fitted on rendered scenes (`odits.training.places`).

    Attributes:
        intercept: log-odds.
        weights: of `FEATURES`.
    """

    intercept: float
    weights: tuple[float, ...]

    @classmethod
    def from_json(cls, text: str) -> PlaceCalibration:
        """Read what `to_json` wrote.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        found = json.loads(text)
        if tuple(found["features"]) != FEATURES or len(found["weights"]) != len(FEATURES):
            raise ValueError("other features")
        return cls(float(found["intercept"]), tuple(float(weight) for weight in found["weights"]))

    def to_json(self) -> str:
        """Write it as JSON, with the names of the features."""
        return json.dumps({"features": FEATURES, "intercept": self.intercept, "weights": self.weights})

    def rows(self, candidates: Candidates, places: int, words: int) -> np.ndarray:
        """Return the probability float32 (P, N) of each word at each place; what lacks to 1 in a row is "none".

        Args:
            candidates: of the places.
            places: P.
            words: N.
        """
        odds = np.exp(self.intercept + candidates.features @ np.array(self.weights, np.float32)).astype(np.float64)
        totals = np.bincount(candidates.places, odds, places) + 1
        rows = np.zeros((places, words), np.float32)
        rows[candidates.places, candidates.words] = odds / totals[candidates.places]
        return rows
