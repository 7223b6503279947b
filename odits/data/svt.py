"""The Street View Text data set: train.xml and test.xml beside a folder of images (Wang and Belongie, 2010)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, parse

from odits.core.errors import OditsError
from odits.core.limits import LIMITS
from odits.data.images import Size
from odits.data.reading import FoundImage, Reader, Reading
from odits.data.records import BoxedWord, Dataset, ImageRecord
from odits.data.vocabulary import clean_word

FILES = {"train": "train.xml", "eval": "test.xml"}
_PREFIX = "img/"


_OWN_NAME = re.compile(r"\d\d_\d\d\.jpg")
"""What SVT's images are called: other data sets of this layout go by their folder's name."""


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
    reading = Reading(folder)
    records = tuple(record for split, file in FILES.items() for record in _records(reading, split, file))
    own = all(_OWN_NAME.fullmatch(record.name) for record in records)
    return reading.dataset("SVT" if own else folder.resolve().name, records, SVT.name)


def _records(reading: Reading, split: str, file: str) -> Iterator[ImageRecord]:
    """Yield the images of one XML file, in its order."""
    path = reading.folder / file
    if not path.is_file():
        reading.warn(f"There is no {file}, so the split {split} is empty.")
        return
    for number, element in enumerate(_parse(path).findall("image"), start=1):
        record = _record(reading, element, split, f"{file}, image {number}")
        if record is not None:
            yield record


def _record(reading: Reading, element: Element, split: str, place: str) -> ImageRecord | None:
    """Make the image of one `<image>` element; None, with a warning, where it has to be left out."""
    named = (element.findtext("imageName") or "").strip()
    image = reading.find_image(named, place, named.removeprefix(_PREFIX), _resolution(element))
    if image is None:
        return None
    words = (clean_word(word) for word in (element.findtext("lex") or "").split(","))
    lexicon = tuple(word for word in words if word)
    if not lexicon:
        reading.warn(f"{place}: the lexicon of {image.name} is empty.")
    boxes = (_boxed(reading, box, image, place) for box in element.iter("taggedRectangle"))
    return ImageRecord(image.name, image.path, split, lexicon, tuple(box for box in boxes if box is not None))


def _resolution(element: Element) -> Size | None:
    """Read the width and height that the XML gives of an image; None where it does not."""
    found = element.find("Resolution")
    try:
        return None if found is None else (int(found.get("x", "")), int(found.get("y", "")))
    except ValueError:
        return None


def _boxed(reading: Reading, element: Element, image: FoundImage, place: str) -> BoxedWord | None:
    """Make the word of one `<taggedRectangle>`; None, with a warning, where it has to be left out."""
    word = clean_word(element.findtext("tag") or "")
    try:
        x, y, width, height = (int(element.get(key, "")) for key in ("x", "y", "width", "height"))
    except ValueError:
        reading.warn(f"{place}: the box of {word!r} in {image.name} is not four whole numbers; left out.", "box")
        return None
    if width <= 0 or height <= 0:
        x, y, width, height = 0, 0, 0, 0  # an empty box, whichever way it is turned
    return reading.box_word(word, (x, y, x + width, y + height), image, place)


class _BoundedBuilder(TreeBuilder):
    """Builds a tree of elements; ends where there are more, deeper or longer ones than the limits say."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = self._elements = self._letters = 0

    def start(self, tag: str, attributes: dict[str, str], /) -> Element:  # type: ignore[override]
        """Begin an element."""
        self._depth, self._elements, self._letters = self._depth + 1, self._elements + 1, 0
        longest = max(map(len, (tag, *attributes, *attributes.values())))
        if self._depth > LIMITS.xml_depth:
            raise _LimitError(f"its elements lie more than {LIMITS.xml_depth} deep")
        if self._elements > LIMITS.xml_elements:
            raise _LimitError(f"it has more than {LIMITS.xml_elements:,} elements")
        if len(attributes) > LIMITS.xml_attributes or longest > LIMITS.xml_text:
            raise _LimitError("an element has too many attributes, or too long ones")
        return super().start(tag, attributes)

    def end(self, tag: str, /) -> Element:
        """End an element."""
        self._depth, self._letters = self._depth - 1, 0
        return super().end(tag)

    def data(self, text: str, /) -> None:
        """Add to the text of the element that was begun or ended last."""
        self._letters += len(text)
        if self._letters > LIMITS.xml_text:
            raise _LimitError(f"an element has a text of more than {LIMITS.xml_text:,} letters")
        super().data(text)


class _LimitError(Exception):
    """What a document has too much of, a clause."""


def _parse(path: Path) -> Element:
    """Return the root element of an XML file from outside; entities and outside references are refused."""
    try:
        if path.stat().st_size > LIMITS.xml_bytes:
            raise _LimitError(f"it is larger than {LIMITS.xml_bytes >> 20} MiB")
        root: Element = parse(path, DefusedXMLParser(target=_BoundedBuilder())).getroot()
    except _LimitError as error:
        raise OditsError(f"{path.name} is refused: {error}.") from None
    except DefusedXmlException as error:
        raise OditsError(f"{path.name} declares XML entities or outside references, which is refused.") from error
    except ParseError as error:
        line, _ = error.position
        raise OditsError(f"{path.name} is not well-formed XML (line {line}).") from error
    except (OSError, ValueError, LookupError) as error:
        raise OditsError(f"{path.name} can't be read: {error}.") from error
    return root


SVT = Reader("SVT", "train.xml or test.xml, and img/", is_svt, read_svt)
