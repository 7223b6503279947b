"""The letters that spotting tells apart: digits and the Latin letters, without case and accents.

A recogniser for many scripts has thousands of outputs. A, a, and a with an accent, are the same letter for somebody who
looks for a word; their probabilities are added.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Sequence

import numpy as np

LETTERS = string.digits + string.ascii_lowercase
BLANK = 0
"""CTC's blank. The letters follow it as 1 to 36, in the order of `LETTERS`."""
PUNCTUATION = len(LETTERS) + 1
"""Marks such as the apostrophe of MACY'S: they may stand in a word, and they end one."""
SPACE = PUNCTUATION + 1
FOREIGN = SPACE + 1
"""Letters of other scripts; they end a word, as a space does."""
SYMBOLS = FOREIGN + 1

_ALIKE = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ħ": "h"})
"""Latin letters that Unicode does not take apart, as they are written where they are not to be had."""
_PLACE = {letter: place for place, letter in enumerate(LETTERS, start=1)}
_ASCII = bytes(_PLACE.get(chr(code), 0) for code in range(256))
_NO_LETTERS = bytes(code for code in range(128) if chr(code) not in _PLACE)
_SMALLEST = 1e-9  # probabilities below cost time in the logarithm and change nothing


def fold(text: str) -> str:
    """Return a text's letters and digits in lower case without accents; the rest is dropped.

    Examples:
        >>> fold("Café-24"), fold("SMØRREBRØD")
        ('cafe24', 'smorrebrod')
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold()).translate(_ALIKE)
    return "".join(letter for letter in decomposed if letter in _PLACE)


def spell(word: str) -> np.ndarray:
    """Return the symbols int64 (M,) of a word's letters; a word that has none of them (M = 0) can't be spotted.

    A word of another script with some of these letters, such as カフェ24, has none of them either.
    """
    if word.isascii():  # nearly all are, and there are tens of thousands
        return np.frombuffer(word.lower().encode().translate(_ASCII, _NO_LETTERS), np.uint8).astype(np.int64)
    foreign = any(symbol_of(letter) == FOREIGN for letter in word)
    return np.array([] if foreign else [_PLACE[letter] for letter in fold(word)], np.int64)


def symbol_of(character: str) -> int:
    """Return the symbol of a recogniser's character; one that stands for several letters counts as its first."""
    letters = fold(character)
    if letters:
        return _PLACE[letters[0]]
    if character.isspace():
        return SPACE
    return FOREIGN if any(unicodedata.category(part)[0] in "LN" for part in character) else PUNCTUATION


class Folding:
    """Adds up a recogniser's probabilities by symbol.

    Args:
        characters: the recogniser's outputs in their order, the blank first.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        symbols = np.array([BLANK, *(symbol_of(character) for character in characters[1:])])
        self._members = [np.flatnonzero(symbols == symbol) for symbol in range(FOREIGN)]

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Return log-probabilities float32 (..., SYMBOLS) of symbols, from probabilities (..., C) of characters."""
        folded = np.empty((*probabilities.shape[:-1], SYMBOLS), np.float32)
        for symbol, members in enumerate(self._members):
            folded[..., symbol] = probabilities[..., members].sum(-1)
        # by far the most outputs are of other scripts: what is left, rather than their sum
        folded[..., FOREIGN] = 1 - folded[..., :FOREIGN].sum(-1)
        return np.log(folded.clip(_SMALLEST, 1))
