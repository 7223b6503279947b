"""SVT's own task (Wang et al., 2011): find the words of an image's lexicon that it shows, each with its box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from odits.data import BoxedWord, ImageRecord
from odits.spotting.ctc import Lexicon
from odits.spotting.finding import FoundWord, find_words, overlap_of
from odits.spotting.spotter import WordSpotter

OVERLAP = 0.5
"""Intersection over union from which on a box counts as found."""


@dataclass(frozen=True, eq=False)
class Matching:
    """What was found of an image's boxed words.

    Attributes:
        found: pairs of a boxed word and what matched it.
        missed: boxed words that nothing matched.
        false: found words that match no boxed word.
    """

    found: list[tuple[BoxedWord, FoundWord]]
    missed: list[BoxedWord]
    false: list[FoundWord]


class HasLexicon(Protocol):
    """Something with words that are true of it."""

    @property
    def lexicon(self) -> tuple[str, ...]:
        """The words, perhaps with repeats."""
        ...


def match_words(found: Sequence[FoundWord], boxed: Sequence[BoxedWord]) -> Matching:
    """Found words, most probable first, each matched to the boxed word that it is and overlaps most, once."""
    left = list(boxed)
    pairs: list[tuple[BoxedWord, FoundWord]] = []
    false: list[FoundWord] = []
    for one in found:
        same = [box for box in left if box.word.upper() == one.word.upper()]
        best = max(same, key=lambda box: overlap_of(box.box, one.box), default=None)
        if best is None or overlap_of(best.box, one.box) < OVERLAP:
            false.append(one)
        else:
            pairs.append((best, one))
            left.remove(best)
    return Matching(pairs, left, false)


def lexicon_words(record: HasLexicon) -> list[str]:
    """The distinct words of an image's lexicon, in upper case, in its order."""
    return list(dict.fromkeys(word.upper() for word in record.lexicon))


def spot_lexicon(spotter: WordSpotter, record: ImageRecord, threshold: float) -> list[FoundWord]:
    """The words of an image's lexicon that a spotter finds in it, most probable first."""
    words = lexicon_words(record)
    reading = spotter.judge(spotter.lines_of(record), Lexicon(words))
    return find_words(reading, words, threshold, spotter.scoring)


def spotting_quality(
    spotter: WordSpotter,
    records: Sequence[ImageRecord],
    threshold: float,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, float | int]:
    """Precision, recall and F over all boxes of the images (`found`, `missed`, `false` count them)."""
    counts = np.zeros(3, int)
    for record in records:
        matching = match_words(spot_lexicon(spotter, record, threshold), record.boxed)
        counts += [len(matching.found), len(matching.missed), len(matching.false)]
        advance(1)
    found, missed, false = counts.tolist()
    return {
        "precision": found / max(1, found + false),
        "recall": found / max(1, found + missed),
        "f": 2 * found / max(1, 2 * found + missed + false),
        "found": found,
        "missed": missed,
        "false": false,
    }
