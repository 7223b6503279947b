"""Total-Text (Ch'ng and Chan, 2017): an image, and a polygon a word in a text or MATLAB file.

The text file poly_gt_img11.txt has an entry a word, on one line or several: `x: [[259 313 389 427]], y: [[542 462 417
459]], ornt: [u'c'], transcriptions: [u'PAUL']`. `#` is text that nobody could read. In poly_gt_img11.mat the variable
`polygt` (or `gt`) has a row a word: 'x:', numbers, 'y:', numbers, word, orientation. Their tool writes gt_img11.mat.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

from odits.core.errors import OditsError
from odits.data.matlab import read_matlab
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
from odits.data.records import Dataset, ImageRecord

PREFIXES = ("poly_gt_", "rect_gt_", "gt_")
"""Of the files; ICDAR's begin with gt_ too, and hold something else."""

IGNORED = ("#", "###", ",", "")
_SUFFIXES = (".txt", ".mat")
_ENTRY = re.compile(r"^\s*x:|(?<=\])\s*x:(?=\s*\[)", re.MULTILINE)
_FIELDS = re.compile(r"x:\s*\[+([^\]]*)\]+\s*,\s*y:\s*\[+([^\]]*)\]+(.*)", re.DOTALL)
_WORD = re.compile(r"transcriptions:\s*(\[.*\])", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d+)?|nan)", re.IGNORECASE)


def _fits(folder: Path) -> bool:
    """Return whether there is a file of polygons."""
    return next(_annotations(folder), None) is not None or any(map(_is_ours, islice(_general(folder), LOOKED_AT)))


def _annotations(folder: Path) -> Iterator[Path]:
    return (path for path in files_below(folder, _SUFFIXES) if path.name.lower().startswith(PREFIXES[:2]))


def _general(folder: Path) -> Iterator[Path]:
    """Yield the files whose name does not tell."""
    return (path for path in files_below(folder, _SUFFIXES) if path.name.lower().startswith(PREFIXES[2]))


def _is_ours(file: Path) -> bool:
    """Return whether a file whose name does not tell is written as Total-Text's."""
    try:
        return file.suffix.lower() == ".mat" or bool(_ENTRY.match(read_text(file)))
    except OditsError:
        return False


def _read(folder: Path) -> Dataset:
    """Read the data set in a folder; of several files about one image the first counts, polygons before rectangles."""
    reading = Reading(folder)
    images = ImagesByName(folder)
    records: dict[Path, ImageRecord] = {}
    files = [*_annotations(folder), *filter(_is_ours, _general(folder))]
    for rank, file in sorted((_rank(file), file) for file in files):
        stem = file.stem[len(PREFIXES[rank]) :]
        path, split = reading.find_named(images, file, stem)
        if path is None or path in records:
            continue
        image = reading.open_image(path, reading.name_of(path), reading.name_of(file))
        if image is not None:
            records[path] = _record(reading, image, split, file)
    return reading.dataset(TOTAL_TEXT.name, records.values(), TOTAL_TEXT.name, WITHOUT_LEXICONS)


def _rank(file: Path) -> int:
    """Return which of the prefixes a file has."""
    return next(rank for rank, prefix in enumerate(PREFIXES) if file.name.lower().startswith(prefix))


def _record(reading: Reading, image: FoundImage, split: str, file: Path) -> ImageRecord:
    """Make the record of an image from its file of polygons; one that can't be read costs the words, not the image."""
    place = reading.name_of(file)
    try:
        words = list(_matlab_words(file) if file.suffix.lower() == ".mat" else _text_words(file))
    except OditsError as error:
        reading.warn(f"{place}: {error} Its image has no words.", "words")
        words = []
    boxed = []
    for number, (word, points) in enumerate(words, 1):
        if word not in IGNORED:
            boxed.append(reading.box_word(word, points, image, f"{place}, word {number}"))
    return reading.boxed_record(image, split, boxed)


def _text_words(file: Path) -> Iterator[tuple[str, list[float]]]:
    """Yield each word of a text file with its polygon: x, y, x, y, …; one that is not written so has no points."""
    text = read_text(file)
    starts = [found.start() for found in _ENTRY.finditer(text)]
    for start, end in pairwise([*starts, len(text)]):
        fields = _FIELDS.match(text[start:end].strip())
        if fields is None:
            yield "?", []
            continue
        xs, ys = (_NUMBER.findall(numbers) for numbers in fields.groups()[:2])
        yield _word_of(fields[3]), _points(list(map(float, xs)), list(map(float, ys)))


def _word_of(text: str) -> str:
    """Return the transcription of an entry, a Python list such as [u'PAUL']; several are one word."""
    found = _WORD.search(text)
    if found is None:
        return ""
    try:
        parts = ast.literal_eval(found[1])
        return "".join(str(part) for part in parts)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return re.sub(r"^\[\s*u?['\"]?|['\"]?\s*\]$", "", found[1])  # an apostrophe that was not escaped


def _matlab_words(file: Path) -> Iterator[tuple[str, list[float]]]:
    """Yield each word of a MATLAB file with its polygon."""
    for row in read_matlab(file, "polygt", "gt").rows():
        if len(row) < 5:
            yield "?", []
            continue
        yield "".join(row[4].texts()), _points(list(row[1].numbers), list(row[3].numbers))


def _points(xs: list[float], ys: list[float]) -> list[float]:
    """Return x, y, x, y, …; none where there are not as many of the one as of the other."""
    return [value for pair in zip(xs, ys, strict=True) for value in pair] if len(xs) == len(ys) else []


TOTAL_TEXT = Reader("Total-Text", "poly_gt_*.txt or poly_gt_*.mat, and images", _fits, _read)
