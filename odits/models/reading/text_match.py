"""Words that the letters of `odits.models.reading.alphabet` do not tell, found in the text that was read.

A word of another script, one with letters that stand for two there, such as Æ, and one that is too long for a line's
frames, is compared with the text of each line; the line's certainty is its score.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from odits.data.vocabulary import fold_word
from odits.models.reading.ctc import Lexicon, Span
from odits.models.reading.reader import TextLine

_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "IDEOGRAPHIC")


def raise_scores(scores: np.ndarray, lexicon: Lexicon, lines: Sequence[TextLine]) -> None:
    """Raise the scores float32 (R, N) of words to the certainty of each line whose text has them.

    These are the lexicon's odd words, and any that was read with odd letters: STRASSE stands where Straße was read.
    """
    for row, line in enumerate(lines):
        text = fold_word(line.text)
        found = {place for place, key in lexicon.texts.items() if key in text and _start(key, text) >= 0}
        if not line.text.isascii():
            read = (lexicon.places.get(fold_word(word)) for word in words_of(line.text) if not word.isascii())
            found |= {place for place in read if place is not None}
        for place in found:
            scores[row, place] = max(scores[row, place], line.certainty)


def text_span(line: TextLine, word: str) -> Span | None:
    """Return the frames of a line that show a word of its text, as if all letters were equally wide; None without it.

    Args:
        line: with its text.
        word: in any script.
    """
    text, key = fold_word(line.text), fold_word(word)
    start = _start(key, text)
    if start < 0:
        return None
    frames = len(line.frames)
    return Span(frames * start // len(text), -(-frames * (start + len(key)) // len(text)))


def _start(key: str, text: str) -> int:
    """Return where a folded word begins in a folded text, as a word of its own; -1 where it does not stand in it.

    In scripts without spaces it may stand anywhere.
    """
    if any(unicodedata.name(letter, "").startswith(_UNSPACED) for letter in key):
        return text.find(key)
    found = re.search(rf"(?<!\w){re.escape(key)}(?!\w)", text)
    return found.start() if found else -1


def words_of(text: str) -> Iterator[str]:
    """Cut a text at its spaces, and marks off the ends of its words; what has no letter and no digit is left out.

    Example:
        >>> list(words_of("«Café» - Müller's, 24h!"))
        ['Café', "Müller's", '24h']
    """
    for part in unicodedata.normalize("NFC", text).split():
        letters = [place for place, letter in enumerate(part) if unicodedata.category(letter)[0] in "LNM"]
        if letters:
            yield part[letters[0] : letters[-1] + 1]
