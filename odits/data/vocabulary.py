"""The ordered distinct words that a model is asked about."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from odits.core.errors import OditsError
from odits.core.files import sha256_of

MAX_WORDS = 100_000
MAX_FILE_BYTES = 32 * 2**20
_SEPARATORS = re.compile(r"[\s,;]+")


def clean_word(word: str) -> str:
    """Trim a word, make inner runs of space one, compose accents (NFC); case stays as given."""
    return unicodedata.normalize("NFC", " ".join(word.split()))


def split_words(text: str) -> list[str]:
    """Take the words of a text apart that spaces, commas or semicolons separate.

    Example:
        >>> split_words("HOTEL, BAR;  CAFE")
        ['HOTEL', 'BAR', 'CAFE']
    """
    return [word for part in _SEPARATORS.split(text) if (word := clean_word(part))]


@dataclass(frozen=True)
class Vocabulary:
    """Distinct words in a fixed order.

    Attributes:
        words: the n words, 1 to 100,000; distinct, case-sensitively.
        name: as shown to users, e.g. "SVT, all words".

    Example:
        >>> vocabulary = Vocabulary.from_words(["HOTEL", " BAR ", "HOTEL"], "typed")
        >>> vocabulary.words, len(vocabulary)
        (('HOTEL', 'BAR'), 2)
    """

    words: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        if not self.words:
            raise OditsError(f"The vocabulary {self.name} has no words.")
        if len(self.words) > MAX_WORDS:
            raise OditsError(
                f"The vocabulary {self.name} has {len(self.words):,} words; at most {MAX_WORDS:,} are accepted."
            )
        if len(set(self.words)) != len(self.words) or "" in self.words:
            raise OditsError(f"The vocabulary {self.name} has an empty or a repeated word.")

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the words in their order; the name does not count. Caches key on it."""
        return sha256_of("\0".join(self.words))

    @classmethod
    def from_words(cls, words: Iterable[str], name: str) -> Vocabulary:
        """Make the vocabulary of these words: trimmed, without empty ones or repeats, in order of first appearance.

        Raises:
            OditsError: no word is left, or more than 100,000.
        """
        cleaned = dict.fromkeys(clean_word(word) for word in words)
        cleaned.pop("", None)
        return cls(tuple(cleaned), name)

    @classmethod
    def from_text(cls, text: str, name: str) -> Vocabulary:
        """Make the vocabulary of a text with one word a line, or words separated by commas; see `from_words`."""
        return cls.from_words(re.split(r"[,\n\r]", text), name)

    @classmethod
    def from_file(cls, path: Path) -> Vocabulary:
        """Read the vocabulary of a UTF-8 text file as `from_text` does, named after the file.

        Raises:
            OditsError: the file is missing, too large or not a text, or holds no word or more than 100,000.
        """
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise OditsError(f"{path.name} is larger than the {MAX_FILE_BYTES // 2**20} MiB a vocabulary may have.")
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise OditsError(f"{path.name} is not a text file in UTF-8, so it can't be a vocabulary.") from error
        except OSError as error:
            raise OditsError(f"The vocabulary {path} can't be read: {error.strerror or error}.") from error
        if "\0" in text:
            raise OditsError(f"{path.name} is not a text file in UTF-8, so it can't be a vocabulary.")
        return cls.from_text(text, path.stem)
