"""The vocabulary of a picture: the words that were read in it, beside those of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from odits.data.general_words import general_vocabulary
from odits.data.vocabulary import Vocabulary, bare_word, fold_word
from odits.models.reading.alphabet import spell
from odits.models.reading.places import find_places
from odits.models.reading.reader import TextLine
from odits.models.reading.spotter import WordSpotter, shared_area
from odits.models.reading.text_match import words_of

CERTAIN = -0.1
"""Mean log-probability of a line: less certain ones name no words that are in no list (chosen on SVT's training images,
as the highest that loses none of their boxed words)."""
CONFIDENT = 0.5
"""The detector's confidence: lines below it name none either."""
SHORTEST = 3
"""Latin letters and digits of a word that is in no list: real words of two are in it. Of another script two will do."""
_INSIDE = 0.5  # of the smaller of two boxes: they show the same word


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
    return base.with_read(read_words(lines, base), f"words read in the picture, and the {base.name}")


def read_words(lines: Sequence[TextLine], base: Vocabulary | None = None) -> list[str]:
    """Return the words of the certain lines as they were read, the most certain one first.

    Where the same place was read several times, the most certain reading counts. What is a part of a word that stands
    there whole, or of a listed one that was read there too, is none.

    Args:
        lines: that were read in a picture.
        base: a list of words.
    """
    places = find_places([line for line in lines if line.confidence >= CONFIDENT and line.certainty >= CERTAIN])
    firsts = [(place.best, bare_word(place.best.text)) for place in places]
    others = [(one, bare_word(one.text)) for place in places for one in place.readings[1:]]
    whole = firsts + [(one, text) for one, text in others if base is not None and base.find(one.text) is not None]
    words = [one for one, text in firsts if not any(_is_part(one, text, *other) for other in whole)]
    return list(dict.fromkeys(part for word in words for part in words_of(word.text) if _is_long(part)))


def _is_part(word: TextLine, text: str, other: TextLine, longer: str) -> bool:
    """Return whether a word is a part of another reading of its place, which a larger box shows whole."""
    return len(text) < len(longer) and text in longer and shared_area(_box(word), _box(other)) > _INSIDE


def _box(word: TextLine) -> tuple[float, ...]:
    return (*word.corners.min(0).tolist(), *word.corners.max(0).tolist())


def _is_long(word: str) -> bool:
    letters = [letter for letter in fold_word(word) if letter.isalnum()]
    return len(letters) >= (SHORTEST if spell(word).size else 2)
