"""The vocabulary of a picture: the words that were read in it, beside those of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from odits.data.general_words import general_vocabulary
from odits.data.vocabulary import Vocabulary, fold_word
from odits.models.reading.alphabet import BLANK, PUNCTUATION, SPACE, spell
from odits.models.reading.places import find_places
from odits.models.reading.reader import TextLine
from odits.models.reading.spotter import WordSpotter
from odits.models.reading.text_match import words_of

CERTAIN = -0.1
"""Mean log-probability of a line: less certain ones name no words that are in no list (chosen on SVT's training images,
as the highest that loses none of their boxed words)."""
CONFIDENT = 0.5
"""The detector's confidence: lines below it name none either."""
SHORTEST = 3
"""Latin letters of a word that is in no list: real ones of two are in it. Two letters of another script are enough."""
_SPACE = 0.02  # probability of a space between letters from which they are two words; in compounds it is below 0.001


class PictureVocabularies:
    """Makes the vocabulary of each picture: a list, and the words that are read in the picture.

    Args:
        model: a word model; where it reads, the words are those of its own lines.
        base: the list; the general one by default.

    Examples:
        >>> from odits.core.files import asset
        >>> from odits.data import open_image
        >>> one = PictureVocabularies(base=Vocabulary.from_words(["COFFEE"], "one word"))
        >>> "LUNA" in one.of(open_image(asset("demo/cafe.jpg"))).extra
        True
    """

    def __init__(self, model: Any = None, base: Vocabulary | None = None) -> None:
        self.base = base or general_vocabulary()
        own = (
            model if isinstance(model, WordSpotter) else getattr(getattr(model, "input_encoder", None), "spotter", None)
        )
        self._spotter: WordSpotter = own or WordSpotter()

    def of(self, image: Image.Image) -> Vocabulary:
        """Return the vocabulary of an RGB image, which is read, or was."""
        return picture_vocabulary(self._spotter.read(image), self.base)


def picture_vocabulary(lines: Sequence[TextLine], base: Vocabulary) -> Vocabulary:
    """Return the vocabulary of a picture: the words of a list, then those that were read in it and are in no list.

    Args:
        lines: that were read in the picture.
        base: the list, such as `odits.data.general_words.general_vocabulary`.

    Returns:
        The list's words first; those that were read follow, and are its `extra`.
    """
    return base.with_read(read_words(lines), f"words read in the picture, and the {base.name}")


def read_words(lines: Sequence[TextLine]) -> list[str]:
    """Return the words of the certain lines as they were read, the most certain one first.

    Where the same place was read several times, the most certain reading counts.
    """
    certain = [line for line in lines if line.confidence >= CONFIDENT and line.certainty >= CERTAIN]
    words = (part for place in find_places(certain) for part in _parts(place.best))
    return list(dict.fromkeys(filter(_is_long, words)))


def _is_long(word: str) -> bool:
    letters = [letter for letter in fold_word(word) if letter.isalpha()]
    return len(letters) >= (SHORTEST if spell(word).size else 2)


def _parts(word: TextLine) -> list[str]:
    """Cut a word that was read where a space is likely: recognisers leave out narrow ones, as in CITYBANK."""
    frames = np.asarray(word.frames, np.float32)
    if not word.text.isascii() or not len(frames):
        return [word.text]
    wide = np.exp(frames[:, SPACE]) >= _SPACE
    gaps = np.flatnonzero(wide & ~np.concatenate([[False], wide[:-1]]))
    best = frames.argmax(1)
    begins = (best != np.concatenate([[BLANK], best[:-1]])) & (best != BLANK) & (best < PUNCTUATION)
    before = dict.fromkeys(begins.cumsum()[gaps].tolist())  # letters
    places = [place for place, letter in enumerate(word.text) if letter.isalnum()]
    cuts = [places[count] for count in before if 0 < count < len(places)]
    parts = (word.text[first:last] for first, last in zip([0, *cuts], [*cuts, len(word.text)], strict=True))
    return [trimmed for part in parts for trimmed in words_of(part)]
