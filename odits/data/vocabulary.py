"""The ordered distinct words that a model is asked about."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.data.csv_tables import decode_text, read_table

MAX_WORDS = 100_000
MAX_LETTERS = 1_000
"""Of one word: a longer one is a text whose words are not separated."""
MAX_FILE_BYTES = 32 * 2**20
_SEPARATORS = re.compile(r"[,;\t\n\r\f\v\x85\u2028\u2029]")
_COLUMNS = frozenset({"word", "words", "lexicon", "text", "vocabulary"})
_ACCENTED = ("LATIN", "GREEK")
_SPACES = re.compile(r"[\s,;]+")


def clean_word(word: str) -> str:
    """Trim a word, make inner runs of space one, compose accents (NFC); case stays as given."""
    return unicodedata.normalize("NFC", " ".join(word.split()))


def fold_word(word: str) -> str:
    """Return what words are compared by: one spelling for all cases, accents and widths of the same letters.

    Unicode's case folding and compatibility decomposition (NFKC). Accents count in Latin and Greek letters as nothing;
    in other scripts they make other letters, as in й or が, and stay.

    Example:
        >>> fold_word("CAFÉ") == fold_word("Cafe") == fold_word("ｃａｆｅ\u0301")
        True
        >>> fold_word("STRASSE") == fold_word("Straße"), fold_word("МОЙ") == fold_word("МОИ")
        (True, False)
    """
    if word.isascii():
        return word.casefold()
    folded, accented = [], False
    for letter in unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", word).casefold()):
        if not unicodedata.combining(letter):
            accented = unicodedata.name(letter, "").startswith(_ACCENTED)
        elif accented:
            continue
        folded.append(letter)
    return unicodedata.normalize("NFC", "".join(folded))


def split_words(text: str) -> list[str]:
    """Take the words of a text apart that spaces, commas or semicolons separate.

    Example:
        >>> split_words("HOTEL, BAR;  CAFE")
        ['HOTEL', 'BAR', 'CAFE']
    """
    return [word for part in _SPACES.split(text) if (word := clean_word(part))]


@dataclass(frozen=True)
class Vocabulary:
    """Distinct words in a fixed order.

    Attributes:
        words: the n words, 1 to 100,000; distinct.
        name: as shown to users, e.g. "SVT, all words".
        base: the words without those that were read in a picture and stand in no list (`with_read`); None: there are no
            such words.

    Example:
        >>> vocabulary = Vocabulary.from_words(["HOTEL", " BAR ", "Hotel"], "typed")
        >>> vocabulary.words, len(vocabulary), vocabulary.find("bar")
        (('HOTEL', 'BAR'), 2, 1)
        >>> vocabulary.with_read(["Hôtel", "Kranzler"], "with what was read").extra
        ('Kranzler',)
    """

    words: tuple[str, ...]
    name: str
    base: Vocabulary | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.words:
            raise OditsError(f"The vocabulary {self.name} has no words.")
        if len(self.words) > MAX_WORDS:
            raise OditsError(
                f"The vocabulary {self.name} has {len(self.words):,} words; at most {MAX_WORDS:,} are accepted."
            )
        if len(set(self.words)) != len(self.words) or "" in self.words:
            raise OditsError(f"The vocabulary {self.name} has an empty or a repeated word.")
        longest = max(map(len, self.words))
        if longest > MAX_LETTERS:
            raise OditsError(
                f"The vocabulary {self.name} has a word of {longest:,} letters, and {MAX_LETTERS:,} is the limit: "
                "words are separated by line breaks or commas."
            )

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the words in their order; the name does not count. Caches key on it."""
        return sha256_of("\0".join(self.words))

    @property
    def extra(self) -> tuple[str, ...]:
        """The words at the end that were read in a picture and stand in no list."""
        return () if self.base is None else self.words[len(self.base) :]

    @cached_property
    def _places(self) -> dict[str, int]:
        found = {word: place for place, word in enumerate(self.words)}
        for place, word in enumerate(self.words):
            found.setdefault(fold_word(word), place)
        return found

    def find(self, word: str) -> int | None:
        """Return the place of a word, in whatever case and with or without accents (`fold_word`); None without it."""
        place = self._places.get(word)
        return self._places.get(fold_word(clean_word(word))) if place is None else place

    def with_read(self, words: Iterable[str], name: str) -> Vocabulary:
        """Return the vocabulary of these words and those of a picture that are none of them, as `extra`.

        Words beyond the 100,000th are left out.
        """
        known = {bare_word(word) for word in self.words}
        new = {bare: word for word in reversed([*words]) if (bare := bare_word(word)) and bare not in known}
        extra = tuple(reversed(new.values()))[: MAX_WORDS - len(self)]
        return Vocabulary(self.words + extra, name, self) if extra else Vocabulary(self.words, name)

    @classmethod
    def from_words(cls, words: Iterable[str], name: str) -> Vocabulary:
        """Make the vocabulary of these words: trimmed, without empty ones or repeats, in order of first appearance.

        Words that differ in case or accents alone are one (`fold_word`), spelled as it came first.

        Raises:
            OditsError: no word is left, or more than 100,000.
        """
        cleaned: dict[str, str] = {}
        for word in words:
            trimmed = clean_word(word)
            cleaned.setdefault(fold_word(trimmed), trimmed)
        cleaned.pop("", None)
        return cls(tuple(cleaned.values()), name)

    @classmethod
    def from_text(cls, text: str, name: str) -> Vocabulary:
        """Make the vocabulary of a text with one word a line, or separated by commas, semicolons or tabs.

        See `from_words`.
        """
        return cls.from_words(_SEPARATORS.split(text), name)

    @classmethod
    def from_file(cls, path: Path) -> Vocabulary:
        """Read the vocabulary of a text file as `from_bytes` does, named after the file.

        Raises:
            OditsError: the file is missing, too large or not a text, or holds no word or more than 100,000.
        """
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise OditsError(f"{path.name} is larger than the {MAX_FILE_BYTES // 2**20} MiB a vocabulary may have.")
            content = path.read_bytes()
        except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
            reason = getattr(error, "strerror", None) or error
            raise OditsError(f"The vocabulary {path} can't be read: {reason}.") from error
        return cls.from_bytes(content, path.name)

    @classmethod
    def from_bytes(cls, content: bytes, file: str) -> Vocabulary:
        """Make the vocabulary of a file's content: a text in UTF-8 or UTF-16, or a table (.csv, .tsv).

        Of a table whose first line names a column "word", "words", "lexicon", "text" or "vocabulary", this column
        counts; of any other, all cells.

        Args:
            content: of the file.
            file: its name, for messages; its stem names the vocabulary.

        Raises:
            OditsError: it is not a text, or holds no word or more than 100,000.
        """
        path = PurePath(file)
        if len(content) > MAX_FILE_BYTES:
            raise OditsError(f"{file} is larger than the {MAX_FILE_BYTES // 2**20} MiB a vocabulary may have.")
        try:
            text = decode_text(content, file)
        except OditsError as error:
            raise OditsError(f"{file} is not a text file in UTF-8 or UTF-16, so it can't be a vocabulary.") from error
        if path.suffix.lower() not in (".csv", ".tsv"):
            return cls.from_text(text, path.stem)
        rows = [row for _, row in read_table(text, file)]
        header = [cell.casefold() for cell in rows[0]] if rows else []
        column = next((place for place, cell in enumerate(header) if cell in _COLUMNS), None)
        if column is None:
            return cls.from_words((cell for row in rows for cell in row), path.stem)
        return cls.from_words((row[column] for row in rows[1:] if len(row) > column), path.stem)


def bare_word(word: str) -> str:
    """Return a word's letters, folded, without marks: what is read as MACY'S and MACYS is one word.

    Example:
        >>> bare_word("Macy's") == bare_word("MACYS")
        True
    """
    folded = fold_word(word)
    if folded.isalnum():
        return folded
    return "".join(letter for letter in folded if unicodedata.category(letter)[0] in "LNM")
