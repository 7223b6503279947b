"""The Street View Text data set: train.xml and test.xml beside a folder of images (Wang and Belongie, 2010)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from odits.core.errors import OditsError
from odits.core.files import inside
from odits.data.images import ImageError, image_size
from odits.data.records import BoxedWord, Dataset, ImageRecord
from odits.data.vocabulary import clean_word

FILES = {"train": "train.xml", "eval": "test.xml"}
_PREFIX = "img/"


def is_svt(folder: Path) -> bool:
    """Return whether the folder holds train.xml or test.xml."""
    return any((folder / file).is_file() for file in FILES.values())


def read_svt(folder: Path) -> Dataset:
    """Read the data set in a folder with train.xml, test.xml and img/; what is wrong with one image is a warning.

    An image that is missing or can't be opened is left out; a box that reaches over its image's edge is cut there, one
    that lies outside altogether is left out; a lexicon may be empty.

    Raises:
        OditsError: no XML file, one that is not well formed or declares entities, or no image at all.
    """
    reader = _Reader(folder)
    records = tuple(record for split, file in FILES.items() for record in reader.records(split, file))
    if not records:
        raise OditsError(f"No image that {' or '.join(FILES.values())} names was found in {folder}.")
    return Dataset("SVT", folder, records, tuple(reader.warnings))


@dataclass
class _Reader:
    """Reads one folder: what it warns of, and the names of the images so far."""

    folder: Path
    warnings: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def records(self, split: str, file: str) -> Iterator[ImageRecord]:
        """Yield the images of one XML file, in its order."""
        path = self.folder / file
        if not path.is_file():
            self.warnings.append(f"There is no {file}, so the split {split} is empty.")
            return
        for number, element in enumerate(_parse(path).findall("image"), start=1):
            record = self._record(element, split, f"{file}, image {number}")
            if record is not None:
                yield record

    def _record(self, element: Element, split: str, place: str) -> ImageRecord | None:
        """Make the image of one `<image>` element; None, with a warning, where it has to be left out."""
        named = (element.findtext("imageName") or "").strip()
        path = inside(self.folder, named) if named else None
        if path is None:
            self.warnings.append(f"{place}: the image name {named!r} is not a path inside the data set; left out.")
            return None
        name = named.removeprefix(_PREFIX)
        if name in self.names:
            self.warnings.append(f"{place}: {name} was named before; the first one counts.")
            return None
        self.names.add(name)
        try:
            size = image_size(path)
        except ImageError as error:
            self.warnings.append(f"{place}: {error} Left out.")
            return None
        words = (clean_word(word) for word in (element.findtext("lex") or "").split(","))
        lexicon = tuple(word for word in words if word)
        if not lexicon:
            self.warnings.append(f"{place}: the lexicon of {name} is empty.")
        boxes = (self._boxed(box, name, size, place) for box in element.iter("taggedRectangle"))
        return ImageRecord(name, path, split, lexicon, tuple(box for box in boxes if box is not None))

    def _boxed(self, element: Element, name: str, size: tuple[int, int], place: str) -> BoxedWord | None:
        """Make the word of one `<taggedRectangle>`, its box cut at the edge; None where nothing of it is left."""
        word = clean_word(element.findtext("tag") or "")
        try:
            x, y, width, height = (int(element.get(key, "")) for key in ("x", "y", "width", "height"))
        except ValueError:
            self.warnings.append(f"{place}: the box of {word!r} in {name} is not four whole numbers; left out.")
            return None
        box = (max(x, 0), max(y, 0), min(x + width, size[0]), min(y + height, size[1]))
        if not word or box[0] >= box[2] or box[1] >= box[3]:
            self.warnings.append(f"{place}: the box of {word!r} in {name} is empty or outside the image; left out.")
            return None
        if box != (x, y, x + width, y + height):
            self.warnings.append(f"{place}: the box of {word!r} reaches over the edge of {name}; cut there.")
        return BoxedWord(word, box)


def _parse(path: Path) -> Element:
    """Return the root element of an XML file from outside; entities and outside references are refused."""
    try:
        return parse(path).getroot()
    except DefusedXmlException as error:
        raise OditsError(f"{path.name} declares XML entities or outside references, which is refused.") from error
    except ParseError as error:
        line, _ = error.position
        raise OditsError(f"{path.name} is not well-formed XML (line {line}).") from error
    except (OSError, ValueError, LookupError) as error:
        raise OditsError(f"{path.name} can't be read: {error}.") from error
