"""What the readers of data sets share: their interface, and the checks on images, words and boxes from outside."""

from __future__ import annotations

import math
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from odits.core.errors import OditsError
from odits.core.files import inside
from odits.core.limits import LIMITS
from odits.data.csv_tables import decode_text
from odits.data.images import ImageError, ImageFacts, Size, image_facts, turn_point
from odits.data.records import SPLITS, SUFFIXES, BoxedWord, Dataset, ImageRecord
from odits.data.vocabulary import clean_word

MOST_WARNINGS = 50
"""Of one kind; what goes beyond is counted."""
MAX_ANNOTATION_BYTES = LIMITS.text_bytes
"""The largest file of the annotations of one image."""
LOOKED_AT = 20
"""Files whose first line may tell the layout: some images hold no text."""
MAX_DEPTH = 4
"""Folders below a data set's, in which its files are looked for."""
_FARTHEST = 1e9  # pixels; and a whole number beyond may not fit a float
WITHOUT_LEXICONS = "It has no lexicons: the lexicon of an image is the words that are boxed in it."


class Reader(NamedTuple):
    """How data sets of one layout are recognised and read; one named in `odits.data.datasets` adds a layout.

    Attributes:
        name: the layout, as shown to users.
        needs: what such a folder holds, for people whose folder is not recognised.
        fits: whether a folder (or a file) is of this layout; quick, and False rather than an error.
        read: reads it. Raises OditsError where there is no image in it at all; what is wrong with one image or one
            word is a warning of the data set.
    """

    name: str
    needs: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


class FoundImage(NamedTuple):
    """An image that was found and whose header could be read.

    Attributes:
        name: within the data set.
        path: its file.
        facts: what its header says.
        turned: boxes of it are meant for the stored pixels, and are turned with the picture.
    """

    name: str
    path: Path
    facts: ImageFacts
    turned: bool = False


class Reading:
    """One data set that is being read: its folder, the names so far, and what had to be mended or left out.

    Args:
        folder: of the data set; nothing outside it is opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: set[str] = set()
        self._warnings: list[str] = []
        self._counts: Counter[str] = Counter()
        self._several: list[str] = []
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def warn(self, sentence: str, kind: str = "") -> None:
        """Remember what was mended or left out; of one kind at most fifty sentences, then their number."""
        self._counts[kind] += bool(kind)
        if self._counts[kind] <= MOST_WARNINGS:
            self._warnings.append(sentence)

    def path_of(self, named: str) -> Path | None:
        """Resolve a path that the annotations name; None where it leads out of the data set's folder.

        Where there is no such file, Windows' separators are understood, and a name that differs from the file's in
        case or in how its accents are composed (macOS takes them apart, archives carry that elsewhere).
        """
        spellings = dict.fromkeys((named, named.replace("\\", "/")) if named else ())
        found = [path for path in (inside(self.folder, one) for one in spellings) if path is not None]
        for path in found:
            meant = self._spelt_otherwise(path)
            if meant is not None:
                return inside(self.folder, str(meant))
        return found[0] if found else None

    def _spelt_otherwise(self, path: Path) -> Path | None:
        """Return the file that is there for a path below the folder; None where there is none, or several could be."""
        found = home = self.folder.resolve()
        for part in path.relative_to(home).parts:
            try:
                is_there = (found / part).exists()
            except OSError:  # a name that no disk has
                return None
            names = [part] if is_there else self._names_in(found).get(_plain(part), [])
            if len(names) != 1:
                return None
            found /= names[0]
        return found

    def _names_in(self, folder: Path) -> dict[str, list[str]]:
        """Return the names in a folder by what they have in common with other spellings of them."""
        if folder not in self._listed:
            spellings = self._listed[folder] = defaultdict(list)
            try:
                for name in os.listdir(folder):  # noqa: PTH208  (names, not paths, and maybe very many)
                    spellings[_plain(name)].append(name)
            except OSError:
                pass
        return self._listed[folder]

    def find_image(
        self, named: str, place: str, name: str | None = None, declared: Size | None = None
    ) -> FoundImage | None:
        """Find the image at a path that the annotations name; None, with a warning, where it has to be left out.

        Args:
            named: a path within the data set's folder.
            place: where it is named, for the warning.
            name: of the image within the data set; default: the path.
            declared: width and height that the annotations give: where they are those of the stored pixels and not
                those of the upright picture, boxes are turned with the picture.
        """
        path = self.path_of(named)
        if path is None:
            self.warn(f"{place}: the image name {named[:200]!r} is not a path inside the data set; left out.", "image")
            return None
        return self.open_image(path, name or named, place, declared)

    def name_of(self, path: Path) -> str:
        """Return the name within the data set of a file below its folder."""
        return path.relative_to(self.folder).as_posix()

    def find_named(self, images: ImagesByName, file: Path, stem: str) -> tuple[Path | None, str]:
        """Find the image that a file of annotations is named after, and its split; None, with a warning, without it.

        Args:
            images: of the data set.
            file: of annotations.
            stem: the name of its image without the ending.
        """
        path, split = images.find(file, stem)
        if path is None:
            self.warn(f"{self.name_of(file)}: there is no image {stem} for it; left out.", "image")
        return path, split

    def open_image(self, path: Path, name: str, place: str, declared: Size | None = None) -> FoundImage | None:
        """Read the header of an image; see `find_image`."""
        if name in self.names:
            self.warn(f"{place}: {name} was named before; the first one counts.", "image")
            return None
        self.names.add(name)
        try:
            facts = image_facts(path, PurePosixPath(name).name)
        except ImageError as error:
            self.warn(f"{place}: {error} Left out.", "image")
            return None
        if facts.several:
            self._several.append(name)
        return FoundImage(name, path, facts, declared == facts.stored != facts.size)

    def box_word(self, word: str, points: Sequence[float], image: FoundImage, place: str) -> BoxedWord | None:
        """Make a boxed word, its box cut at the image's edge; None, with a warning, where nothing of it is left.

        Args:
            word: as written; runs of space in it become one.
            points: x, y, x, y, … of the corners of a box or a polygon, in pixels.
            image: in which it stands.
            place: where it is named, for the warning.
        """
        word = clean_word(word)
        where = f"the box of {word[:100]!r} in {image.name}"
        if len(points) < 4 or len(points) % 2 or not all(map(math.isfinite, points)):
            self.warn(f"{place}: {where} has coordinates that are none; left out.", "box")
            return None
        corners = list(zip(points[::2], points[1::2], strict=True))
        if image.turned:
            corners = [turn_point(x, y, image.facts) for x, y in corners]
        width, height = image.facts.size
        x0, x1 = (round(edge(x for x, _ in corners)) for edge in (min, max))
        y0, y1 = (round(edge(y for _, y in corners)) for edge in (min, max))
        box = (max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
        if not word or box[0] >= box[2] or box[1] >= box[3]:
            self.warn(f"{place}: {where} is empty or outside the image; left out.", "box")
            return None
        if box != (x0, y0, x1, y1):
            self.warn(f"{place}: the box of {word[:100]!r} reaches over the edge of {image.name}; cut there.", "edge")
        return BoxedWord(word, box)

    def boxed_record(self, image: FoundImage, split: str, boxed: Iterable[BoxedWord | None]) -> ImageRecord:
        """Make the record of an image of a data set without lexicons: its lexicon is the words boxed in it."""
        words = tuple(item for item in boxed if item is not None)
        return ImageRecord(image.name, image.path, split, tuple(item.word for item in words), words)

    def cropped_record(self, image: FoundImage, split: str, word: str, place: str) -> ImageRecord:
        """Make the record of an image that is a cropped word: its box is the whole image; without one, with a warning.

        Args:
            image: the crop.
            split: that it belongs to.
            word: on it; empty where nobody could read it.
            place: where it is named, for the warning.
        """
        if not clean_word(word):
            self.warn(f"{place}: {image.name} has no word.", "words")
            return self.boxed_record(image, split, ())
        whole = (0, 0, *image.facts.size)
        return self.boxed_record(image, split, [self.box_word(word, whole, image._replace(turned=False), place)])

    def dataset(self, name: str, records: Iterable[ImageRecord], reader: str, *remarks: str) -> Dataset:
        """Make the data set of these images, train before eval.

        Args:
            name: as shown to users.
            records: its images.
            reader: name of the layout.
            remarks: what is to be said of the data set as a whole.

        Raises:
            OditsError: there is no image.
        """
        ordered = sorted(records, key=lambda record: SPLITS.index(record.split))
        if not ordered:
            first = f" The first remark: {self._warnings[0]}" if self._warnings else ""
            raise OditsError(f"No image of a data set ({reader}) was found in {self.folder}.{first}")
        return Dataset(name, self.folder, tuple(ordered), (*remarks, *self.warnings), reader)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was mended or left out so far, one sentence each."""
        more = {"image": "images were left out", "box": "boxes were left out", "edge": "boxes were cut at the edge"}
        counted = [
            f"{count - MOST_WARNINGS:,} more {more.get(kind, 'remarks of this kind')}."
            for kind, count in self._counts.items()
            if count > MOST_WARNINGS
        ]
        several = self._several[:3]
        animated = f"{len(self._several):,} of the images hold several frames or pages, and the first is shown: "
        rest = ", …" if len(self._several) > len(several) else ""
        said = [f"{animated}{', '.join(several)}{rest}."] if several else []
        return (*self._warnings, *counted, *said)


def is_coordinate(value: Any) -> bool:
    """Return whether a value of a JSON document can be one of a box or a polygon: what is farther off is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _FARTHEST


def _plain(name: str) -> str:
    """Return a name in one case and with composed accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def read_text(path: Path, most: int = MAX_ANNOTATION_BYTES) -> str:
    """Read a text file from outside: UTF-8, UTF-16 by its byte order mark, else as Windows writes western languages.

    Raises:
        OditsError: it can't be read, is too large, or is no text.
    """
    try:
        if path.stat().st_size > most:
            raise OditsError(f"{path.name} is larger than the {most // 2**20} MiB such a file may have.")
        content = path.read_bytes()
    except OSError as error:
        raise OditsError(f"{path} can't be read: {error.strerror or error}.") from error
    return decode_text(content, path.name)


def files_below(folder: Path, suffixes: Iterable[str]) -> Iterator[Path]:
    """Yield the files with these endings in a folder and below, by name, without hidden ones and links out of it."""
    wanted, depth = frozenset(suffixes), len(folder.parts)
    for place, folders, files in os.walk(folder):
        folders[:] = (
            []
            if len(Path(place).parts) - depth >= MAX_DEPTH
            else sorted(name for name in folders if not name.startswith("."))
        )
        for name in sorted(files):
            path = Path(place) / name
            if name.startswith(".") or path.suffix.lower() not in wanted:
                continue
            if not path.is_symlink() or inside(folder, path.relative_to(folder).as_posix()) is not None:
                yield path


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below that are images by their endings."""
    return files_below(folder, SUFFIXES)


class ImagesByName:
    """The images in a folder and below, to be found for files of annotations that are named after them.

    Args:
        folder: of the data set.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, dict[str, Path]] = defaultdict(dict)
        for path in images_below(folder):
            self._found[_plain(path.stem)].setdefault(split_of(path, folder, ""), path)

    def find(self, file: Path, *stems: str) -> tuple[Path | None, str]:
        """Return the image of a file of annotations, and its split; None where there is none.

        Both splits may have images of the same names: where the folders of both the file and the image tell a split,
        it has to be the same.

        Args:
            file: of annotations.
            stems: the name of its image without the ending; the first that there is counts.
        """
        split = split_of(file, self._folder, "")
        for stem in stems:
            images = self._found.get(_plain(stem), {})
            for told in (split, "") if split else ("", *SPLITS):
                if told in images and (told == split or told == "" or len(images) == 1):
                    return images[told], split or told or "eval"
        return None, split or "eval"


def split_of(path: Path, folder: Path, default: str = "eval", by_name: bool = False) -> str:
    """Return the split that the folders on the way to a file tell: "train", or "eval" for test and validation.

    Args:
        path: below `folder`.
        folder: of the data set.
        default: where nothing tells.
        by_name: the file's own name tells too.
    """
    told = path.relative_to(folder)
    words = (told if by_name else told.parent).as_posix().lower()
    if "train" in words:
        return "train"
    return "eval" if any(part in words for part in ("test", "val", "eval")) else default
