"""ICDAR 2013 (focused scene text) and ICDAR 2015 (incidental scene text): an image, and beside it a text file of boxes.

2013: gt_100.txt with `158 128 411 181 "Footpath"` (train) or `38, 43, 920, 215, "Tiredness"` (test).
2015: gt_img_1.txt with `377,117,463,117,465,130,378,130,Genaxis Theatre`; `###` is text that nobody could read. Of the
same kind are the files of the multilingual challenges (`…,Latin,Theatre`), polygons (`x,y,x,y,…,####Theatre`), and
files without `gt_` that are named after their image.
See https://rrc.cvc.uab.es, challenges 2, 4, 8 and 15.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from odits.core.errors import OditsError
from odits.data.reading import (
    LOOKED_AT,
    WITHOUT_LEXICONS,
    FoundImage,
    ImagesByName,
    Reader,
    Reading,
    files_below,
    read_text,
)
from odits.data.records import SUFFIXES, BoxedWord, Dataset, ImageRecord

PREFIX = "gt_"
IGNORED = ("###", "####", "#", "*")
_POLYGON_END = "####"
_NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+|nan|inf))\s*(?:,|\s|$)", re.IGNORECASE)
_SCRIPT = re.compile(r"(?:Arabic|Latin|Chinese|Japanese|Korean|Bangla|Hindi|Symbols|Mixed|None)\s*,\s*")
_QUADRANGLE = 8  # numbers


def _fits(folder: Path, numbers: int) -> bool:
    """Return whether the first box of the folder is written with so many numbers."""
    for path in islice(_annotations(folder), LOOKED_AT):
        first = next(iter(_lines(path)), None)
        if first is not None:
            return len(_numbers(first, _QUADRANGLE)[0]) == numbers
    return False


def _lines(path: Path) -> list[str]:
    """Return the lines of a file that are not blank; none where it can't be read."""
    try:
        return [line for line in read_text(path).splitlines() if line.strip()]
    except OditsError:
        return []


def _annotations(folder: Path) -> Iterator[Path]:
    """Yield the files that begin with gt_; where there are none, those that are named after an image beside them."""
    plain = []
    found = False
    for path in files_below(folder, (".txt",)):
        if path.name.lower().startswith(PREFIX):
            found = True
            yield path
        elif not found:
            plain.append(path)
    if not found and plain:
        images = ImagesByName(folder)
        yield from (path for path in plain if images.find(path, _stem(path))[0] and _has_box(path))


def _has_box(path: Path) -> bool:
    """Return whether a text file holds a box and a word separated by commas, or nothing; others have numbers only."""
    lines = _lines(path)
    for line in lines:
        points, word = _numbers(line, _QUADRANGLE)
        if "," in line and len(points) in (4, _QUADRANGLE) and _numbers(word, len(word))[1]:
            return True
    return not lines


def _stem(file: Path) -> str:
    """Return the name of the image of a file of annotations: gt_img_1.txt, img_1.txt and img_1.jpg.txt are img_1's."""
    name = Path(file.stem)
    stem = name.stem if name.suffix.lower() in SUFFIXES else name.name
    return stem[len(PREFIX) :] if stem.lower().startswith(PREFIX) else stem


def _read(folder: Path, reader: Reader, numbers: int) -> Dataset:
    """Read the data set in a folder: each gt_NAME.txt belongs to the image NAME of the same split.

    Args:
        folder: with the folders of images and of annotations, named and nested at will; "train" in their names tells
            the training images.
        reader: of this layout.
        numbers: of a box: 4, or 8.
    """
    reading = Reading(folder)
    images = ImagesByName(folder)
    files = list(_annotations(folder))
    texts = [_numbers(line, numbers)[1] for file in files[:LOOKED_AT] for line in _lines(file)]
    multilingual = numbers == _QUADRANGLE and bool(texts) and all(map(_SCRIPT.match, texts))
    records = []
    for file in files:
        path, split = reading.find_named(images, file, _stem(file))
        image = path and reading.open_image(path, reading.name_of(path), reading.name_of(file))
        if image:
            records.append(_record(reading, image, split, file, numbers, multilingual))
    return reading.dataset(reader.name, records, reader.name, WITHOUT_LEXICONS)


def _record(
    reading: Reading, image: FoundImage, split: str, file: Path, numbers: int, multilingual: bool
) -> ImageRecord:
    """Make the record of an image from its file of boxes; one that can't be read costs the words, not the image."""
    place = file.relative_to(reading.folder).as_posix()
    boxed: list[BoxedWord | None] = []
    try:
        lines = read_text(file).splitlines()
    except OditsError as error:
        reading.warn(f"{place}: {error} Its image has no words.", "words")
        lines = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        points, text = _polygon(line) or _numbers(line, numbers)
        word = unquoted(_SCRIPT.sub("", text, 1) if multilingual else text)
        if len(points) < numbers:
            reading.warn(f"{place}, line {number}: it is not {numbers} numbers and a word; left out.", "box")
        elif word not in IGNORED:
            boxed.append(reading.box_word(word, points, image, f"{place}, line {number}"))
    return reading.boxed_record(image, split, boxed)


def _numbers(line: str, most: int) -> tuple[list[float], str]:
    """Split a line into at most so many leading numbers, and the rest: the word, commas in it included."""
    numbers: list[float] = []
    at = 0
    while len(numbers) < most and (found := _NUMBER.match(line, at)):
        numbers.append(float(found[1]))
        at = found.end()
    return numbers, line[at:].strip()


def _polygon(line: str) -> tuple[list[float], str] | None:
    """Split a line into the numbers of a polygon and the word after ####; None where it is not written so."""
    corners, end, word = line.partition(_POLYGON_END)
    points, rest = _numbers(corners, len(corners))
    good = end and not rest and len(points) >= _QUADRANGLE and len(points) % 2 == 0
    return (points, word.strip() or IGNORED[0]) if good else None


def unquoted(text: str) -> str:
    r"""Return a word without the quotes around it; those in it are written "" or \"."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('\\"', '"').replace('""', '"')
    return text


ICDAR_2013: Reader = Reader(
    "ICDAR 2013",
    "gt_*.txt of four numbers and a word, and images",
    lambda folder: _fits(folder, 4),
    lambda folder: _read(folder, ICDAR_2013, 4),
)
ICDAR_2015: Reader = Reader(
    "ICDAR 2015",
    "gt_*.txt of eight numbers and a word, and images",
    lambda folder: _fits(folder, _QUADRANGLE),
    lambda folder: _read(folder, ICDAR_2015, _QUADRANGLE),
)
