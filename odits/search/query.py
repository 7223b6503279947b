"""A query: one or several words, whole or as parts of others, with or without letters that are wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from odits.core.errors import OditsError
from odits.models.reading.alphabet import fold, spell
from odits.search.spelling import MOST, tolerated

_SEPARATORS = re.compile(r"[\s,;]+")
_LONGEST, _WORDS = 40, 8


@dataclass(frozen=True)
class Query:
    """Words that an image must all show.

    Attributes:
        words: as the user wrote them, 1 to 8.
        part: whether a word may be a part of a longer one at no cost.
        tolerance: how many letters of a word may be wrong, 0 to 2; fewer in short words (`tolerated`).
    """

    words: tuple[str, ...]
    part: bool = False
    tolerance: int = 0

    @cached_property
    def spelled(self) -> tuple[np.ndarray, ...]:
        """The words' symbols, int64 (M,) each."""
        return tuple(spell(word) for word in self.words)

    @property
    def tolerances(self) -> tuple[int, ...]:
        """How many letters may be wrong in each word."""
        return tuple(tolerated(word, self.tolerance) for word in self.spelled)


def parse_query(text: str, part: bool = False, tolerance: int = 0) -> Query:
    """Parse a text into a query: words separated by spaces, commas or semicolons; repeated ones count once.

    Raises:
        OditsError: no word has a letter or digit, there are more than 8, one is longer than 40 letters, or the
            tolerance is not 0, 1 or 2.
    """
    if not 0 <= tolerance <= MOST:
        raise OditsError(f"A word can be looked for with 0 to {MOST} wrong letters, not {tolerance}.")
    distinct: dict[str, str] = {}
    for word in _SEPARATORS.split(text):
        distinct.setdefault(fold(word), word)
    words = [word for letters, word in distinct.items() if letters]
    if not words:
        raise OditsError("Type a word to look for, of Latin letters or digits.")
    if len(words) > _WORDS:
        raise OditsError(f"At most {_WORDS} words can be looked for at once, not {len(words)}.")
    long = next((word for word in words if len(fold(word)) > _LONGEST), None)
    if long is not None:
        raise OditsError(f"{long[:60]} is too long to be a word: at most {_LONGEST} letters can be looked for.")
    return Query(tuple(words), part, tolerance)
