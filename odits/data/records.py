"""An image with its words, and a data set or another collection of images, whichever reader it came through."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from PIL import Image

from odits.core.errors import OditsError
from odits.core.files import expand_home, file_digest, sha256_of
from odits.data.images import ImageError, content_of, image_size, open_image
from odits.data.vocabulary import Vocabulary

SPLITS = ("train", "eval")
"""The splits in the order in which words are counted as first seen."""

SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".ppm",
        ".mpo",
        ".avif",
        ".heic",
        ".heif",
        ".hif",
    )
)
"""Endings of the files of a folder that are taken for images."""


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
    """An image, in a file or in memory, with the words that are known to belong to it.

    Attributes:
        name: distinct within its collection, e.g. "00_03.jpg"; as shown to users and in links.
        source: its file, or the bytes of one.
        split: "train" or "eval"; empty for an image of no data set.
        lexicon: the words that are true of the image, repeats kept; may be empty.
        boxed: the words that are visible in it, where known.

    Example:
        >>> from odits.core.files import asset
        >>> record = ImageRecord("bakery.jpg", asset("demo") / "bakery.jpg")
        >>> record.open().mode
        'RGB'
        >>> record.digest == ImageRecord("the same, uploaded", record.read()).digest
        True
    """

    name: str
    source: Path | bytes = field(repr=False)
    split: str = ""
    lexicon: tuple[str, ...] = ()
    boxed: tuple[BoxedWord, ...] = ()

    @property
    def path(self) -> Path:
        """The image's file.

        Raises:
            OditsError: the image is in memory only.
        """
        if isinstance(self.source, bytes):
            raise OditsError(f"{self.name} is not in a file.")
        return self.source

    @property
    def visible(self) -> tuple[str, ...]:
        """The words that are boxed in the image."""
        return tuple(item.word for item in self.boxed)

    @property
    def stamp(self) -> str:
        """What tells the content from another without reading a file: its path, size and time of change, or a digest.

        Two stamps are equal only if the content is the same; the same content may have several stamps.
        """
        if isinstance(self.source, bytes):
            return self._content_digest
        try:
            status = os.stat(self.source)  # noqa: PTH116  (pages ask for hundreds at once: the plain call is fast)
        except OSError:
            return str(self.source)  # the file is gone: opening it says so
        return f"{self.source}|{status.st_size}|{status.st_mtime_ns}"

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the file's content, metadata included; read once while the file stays as it is.

        Raises:
            ImageError: the file can't be read.
        """
        if isinstance(self.source, bytes):
            return self._content_digest
        try:
            return file_digest(self.source)
        except OSError as error:
            raise ImageError(f"{self.name} can't be read: {error.strerror or error}.") from error

    @cached_property
    def _content_digest(self) -> str:
        return sha256_of(self.read())

    def read(self) -> bytes:
        """Return the file's content.

        Raises:
            ImageError: the file can't be read.
        """
        return content_of(self.source, self.name)

    def size(self) -> tuple[int, int]:
        """Read width and height in pixels of the upright image from the file's header alone.

        Raises:
            ImageError: it can't be opened; the message names it.
        """
        return image_size(self.source, self.name)

    def open(self) -> Image.Image:
        """Decode the image as `odits.data.images.open_image` does: RGB, upright.

        Raises:
            ImageError: it can't be opened; the message names it.
        """
        return open_image(self.source, self.name)


@dataclass(frozen=True)
class Dataset:
    """All images of a data set, and what was wrong with it.

    Attributes:
        name: as shown to users.
        root: the folder it was read from.
        records: train first, then eval, each in the data set's own order.
        warnings: one sentence for each thing that was mended or left out.
        reader: the layout it was read as, as shown to users.

    Example:
        >>> from odits.core.files import asset
        >>> from odits.data import read_dataset
        >>> demo = read_dataset(asset("demo"))
        >>> demo.splits, len(demo.split("eval"))
        (('eval',), 6)
        >>> demo.find("bakery").name
        'bakery.jpg'
    """

    name: str
    root: Path
    records: tuple[ImageRecord, ...]
    warnings: tuple[str, ...] = ()
    reader: str = ""
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
        """Return the images of "train", "eval" or "all"; none where the data set has none of that split.

        Raises:
            OditsError: another name.
        """
        if name == "all":
            return self.records
        if name not in SPLITS:
            raise OditsError(f"There is no split {name!r}: choose train, eval or all.")
        return tuple(record for record in self.records if record.split == name)

    def without(self, names: Container[str]) -> Dataset:
        """Return the data set without the images of these names: those that could not be read."""
        return replace(self, records=tuple(record for record in self.records if record.name not in names))

    def vocabulary(self, split: str = "all") -> Vocabulary:
        """Collect the words of all lexicons of a split in order of first appearance, train before eval.

        Raises:
            OditsError: no lexicon has a word, or there are more than 100,000.
        """
        words = (word for record in self.split(split) for word in record.lexicon)
        return Vocabulary.from_words(words, f"{self.name}, {split} words")

    def find(self, name: str) -> ImageRecord:
        """Return the image of this name; its extension may be left out.

        Raises:
            OditsError: there is none.
        """
        record = self._by_name.get(name)
        if record is None:
            raise OditsError(f"{self.name} has no image {name!r}.")
        return record


@dataclass(frozen=True)
class Collection:
    """Images to be searched or precomputed: those of a data set's split, or of a folder.

    Attributes:
        title: as shown to users.
        origin: where the images come from; tells collections apart.
        records: the images, in the collection's order.
    """

    title: str
    origin: str
    records: tuple[ImageRecord, ...]

    @property
    def key(self) -> str:
        """Names the index of this collection, whatever images it holds at the time."""
        return sha256_of(self.origin)[:24]


def collection_of_dataset(dataset: Dataset, split: str = "all") -> Collection:
    """Collect the images of a data set's split.

    Raises:
        OditsError: there are none, or no such split.
    """
    records = dataset.split(split)
    if not records:
        raise OditsError(f"{dataset.name} has no images of the split {split}.")
    return Collection(f"{dataset.name}, {split} images", f"dataset {dataset.root.resolve()} {split}", records)


def collection_of_folder(folder: Path) -> Collection:
    """Collect the images in a folder and its subfolders, by name; hidden files and folders are left out.

    Raises:
        OditsError: no such folder, or no image in it.
    """
    root = expand_home(folder).absolute()
    try:
        is_there = root.is_dir()
    except OSError:  # a name too long, or a folder that this user may not enter
        is_there = False
    if not is_there:
        raise OditsError(f"There is no folder {folder}.")
    paths = sorted(_image_files(root))
    if not paths:
        raise OditsError(f"There are no images in {folder} (looked for {', '.join(sorted(SUFFIXES))}).")
    records = tuple(ImageRecord(_text_of(path.relative_to(root)), path) for path in paths)
    return Collection(root.name or str(root), f"folder {root.resolve()}", records)


def _text_of(path: Path) -> str:
    """Return a path as text that can be written anywhere: bytes that are no UTF-8 are spelled out."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _image_files(root: Path) -> Iterator[Path]:
    """Yield the files whose names end as those of images do; folders that can't be read hold none."""
    for place, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(place) / name
