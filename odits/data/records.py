"""A data set of images with their words, whichever reader it came through."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from odits.core.errors import OditsError
from odits.data.vocabulary import Vocabulary

SPLITS = ("train", "eval")
"""The splits in the order in which words are counted as first seen."""


@dataclass(frozen=True)
class BoxedWord:
    """A word that is visible in the image.

    Attributes:
        word: as the data set writes it.
        box: x0, y0, x1, y1 in pixels of the upright image, within it; x1 and y1 are the first pixels outside the box.
    """

    word: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class ImageRecord:
    """One image of a data set.

    Attributes:
        name: distinct within the data set, e.g. "00_03.jpg".
        path: of the image file; it was there when the data set was read.
        split: "train" or "eval".
        lexicon: the words that are true of the image, repeats kept; may be empty.
        boxed: the words that are visible in it, where known.
    """

    name: str
    path: Path
    split: str
    lexicon: tuple[str, ...]
    boxed: tuple[BoxedWord, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """All images of a data set, and what was wrong with it.

    Attributes:
        name: as shown to users.
        root: the folder it was read from.
        records: train first, then eval, each in the data set's own order.
        warnings: one sentence for each thing that was mended or left out.
    """

    name: str
    root: Path
    records: tuple[ImageRecord, ...]
    warnings: tuple[str, ...] = ()
    _by_name: dict[str, ImageRecord] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[str, ImageRecord] = {}
        for record in self.records:
            index.setdefault(record.name, record)
        for record in self.records:
            index.setdefault(str(Path(record.name).with_suffix("")), record)
        object.__setattr__(self, "_by_name", index)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have images, of "train" and "eval" in this order."""
        present = {record.split for record in self.records}
        return tuple(name for name in SPLITS if name in present)

    def split(self, name: str) -> tuple[ImageRecord, ...]:
        """The images of "train", "eval" or "all"; empty where the data set has none of that split.

        Raises:
            OditsError: another name.
        """
        if name == "all":
            return self.records
        if name not in SPLITS:
            raise OditsError(f"There is no split {name!r}: choose train, eval or all.")
        return tuple(record for record in self.records if record.split == name)

    def vocabulary(self, split: str = "all") -> Vocabulary:
        """The words of all lexicons of a split in order of first appearance, train before eval.

        Raises:
            OditsError: no lexicon has a word, or there are more than 100,000.
        """
        words = (word for record in self.split(split) for word in record.lexicon)
        return Vocabulary.from_words(words, f"{self.name}, {split} words")

    def find(self, name: str) -> ImageRecord:
        """The image of this name; its extension may be left out.

        Raises:
            OditsError: there is none.
        """
        record = self._by_name.get(name)
        if record is None:
            raise OditsError(f"{self.name} has no image {name!r}.")
        return record
