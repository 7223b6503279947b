"""ICDAR 2013 (focused scene text) and ICDAR 2015 (incidental scene text): an image, and beside it a text file of boxes.

2013: gt_100.txt with `158 128 411 181 "Footpath"` (train) or `38, 43, 920, 215, "Tiredness"` (test).
2015: gt_img_1.txt with `377,117,463,117,465,130,378,130,Genaxis Theatre`; `###` is text that nobody could read.
See https://rrc.cvc.uab.es, challenges 2 and 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from odits.core.errors import OditsError
from odits.data.reading import (
    WITHOUT_LEXICONS,
    FoundImage,
    Reader,
    Reading,
    files_below,
    images_by_split,
    read_text,
    split_of,
)
from odits.data.records import BoxedWord, Dataset, ImageRecord

PREFIX = "gt_"
IGNORED = "###"
_NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+|nan|inf))\s*(?:,|\s|$)", re.IGNORECASE)
_LOOKED_AT = 20  # files whose first line may tell the layout: some images hold no text


def _fits(folder: Path, numbers: int) -> bool:
    """Return whether the first box of the folder is written with so many numbers."""
    for path in islice(_annotations(folder), _LOOKED_AT):
        try:
            lines = [line for line in read_text(path).splitlines() if line.strip()]
        except OditsError:
            continue
        if lines:
            return len(_numbers(lines[0], 8)[0]) == numbers
    return False


def _annotations(folder: Path) -> Iterator[Path]:
    return (path for path in files_below(folder, (".txt",)) if path.name.lower().startswith(PREFIX))


def _read(folder: Path, reader: Reader, numbers: int) -> Dataset:
    """Read the data set in a folder: each gt_NAME.txt belongs to the image NAME of the same split.

    Args:
        folder: with the folders of images and of annotations, named and nested at will; "train" in their names tells
            the training images.
        reader: of this layout.
        numbers: of a box: 4, or 8.
    """
    reading = Reading(folder)
    images = images_by_split(folder)
    records = []
    for file in _annotations(folder):
        split, place = split_of(file, folder), file.relative_to(folder).as_posix()
        path_of_image = images.get((split, file.stem[len(PREFIX) :].lower()))
        if path_of_image is None:
            reading.warn(f"{place}: there is no image {file.stem[len(PREFIX) :]} for it; left out.", "image")
            continue
        image = reading.open_image(path_of_image, path_of_image.relative_to(folder).as_posix(), place)
        if image is not None:
            records.append(_record(reading, image, split, file, numbers))
    return reading.dataset(reader.name, records, reader.name, WITHOUT_LEXICONS)


def _record(reading: Reading, image: FoundImage, split: str, file: Path, numbers: int) -> ImageRecord:
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
        points, text = _numbers(line, numbers)
        text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
        if len(points) < numbers:
            reading.warn(f"{place}, line {number}: it is not {numbers} numbers and a word; left out.", "box")
        elif text != IGNORED:
            boxed.append(reading.box_word(text, points, image, f"{place}, line {number}"))
    return reading.boxed_record(image, split, boxed)


def _numbers(line: str, most: int) -> tuple[list[float], str]:
    """Split a line into at most so many leading numbers, and the rest: the word, commas in it included."""
    numbers: list[float] = []
    at = 0
    while len(numbers) < most and (found := _NUMBER.match(line, at)):
        numbers.append(float(found[1]))
        at = found.end()
    return numbers, line[at:].strip()


ICDAR_2013: Reader = Reader(
    "ICDAR 2013",
    "gt_*.txt of four numbers and a word, and images",
    lambda folder: _fits(folder, 4),
    lambda folder: _read(folder, ICDAR_2013, 4),
)
ICDAR_2015: Reader = Reader(
    "ICDAR 2015",
    "gt_*.txt of eight numbers and a word, and images",
    lambda folder: _fits(folder, 8),
    lambda folder: _read(folder, ICDAR_2015, 8),
)
