"""Text files with a line an image: PaddleOCR's labels, and the cropped words of ICDAR 2013 and 2015.

PaddleOCR: the image's path, a tab, and its words and polygons as JSON (`[{"transcription": "BAR", "points": [[1, 2],
…]}]`), or the only word of a crop. ICDAR's crops (gt.txt): `word_1.png, "PROPER"`. Nobody could read what is `###`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.data.icdar import IGNORED, unquoted
from odits.data.reading import (
    LOOKED_AT,
    WITHOUT_LEXICONS,
    FoundImage,
    ImagesByName,
    Reader,
    Reading,
    files_below,
    is_coordinate,
    read_text,
    split_of,
)
from odits.data.records import SUFFIXES, Dataset, ImageRecord

MAX_BYTES = 256 * 2**20
_HEAD = 2**16
_LINE = re.compile(r"\s*(?P<path>[^\t]+?)\s*(?:\t\s*(?P<label>.*)|,\s*(?P<quoted>\".*\")\s*)$")
_ANOTHER = re.compile(r"\]\s*[^\[\]\t]+\t\s*\[\s*\{")  # within a line: files that were joined without a line break
_SKIPPED = "its line is not a path, a tab and a label; left out."


def _fits(folder: Path) -> bool:
    """Return whether a text file begins with a line about an image."""
    for path in islice(files_below(folder, (".txt",)), LOOKED_AT):
        try:
            with path.open("rb") as stream:
                head = stream.read(_HEAD).decode("utf-8-sig", "replace")
        except OSError:
            continue
        if _parts(head.lstrip().split("\n", 1)[0].rstrip("\r")) is not None:
            return True
    return False


def _parts(line: str) -> tuple[str, str] | None:
    """Split a line into an image's path and its label; None where it has no such parts."""
    found = _LINE.match(line)
    if found is None or PurePosixPath(found["path"]).suffix.lower() not in SUFFIXES:
        return None
    return found["path"], found["label"] if found["quoted"] is None else unquoted(found["quoted"])


def _read(folder: Path) -> Dataset:
    """Read the files of a folder and below that begin with a line about an image; one that is broken is a warning."""
    reading = Reading(folder)
    images = ImagesByName(folder)
    records = [record for file in files_below(folder, (".txt",)) for record in _records(reading, file, images)]
    return reading.dataset(LABEL_FILES.name, records, LABEL_FILES.name, WITHOUT_LEXICONS)


def _records(reading: Reading, file: Path, images: ImagesByName) -> Iterator[ImageRecord]:
    """Yield the images of one file."""
    place = reading.name_of(file)
    try:
        lines = read_text(file, MAX_BYTES).splitlines()
    except OditsError as error:
        reading.warn(str(error))
        return
    split = split_of(file, reading.folder, "", by_name=True)
    is_ours = False
    for number, line in enumerate(lines, 1):
        parts = _parts(line)
        if not line.strip() or (parts is None and not is_ours):
            continue
        is_ours = True
        where = f"{place}, line {number}"
        if parts is None:
            reading.warn(f"{where}: {_SKIPPED}", "row")
            continue
        image, told = _image(reading, file, parts[0], images, where)
        if image is not None:
            yield _record(reading, image, split or told, parts[1], where)


def _image(reading: Reading, file: Path, named: str, images: ImagesByName, place: str) -> tuple[FoundImage | None, str]:
    """Find the image of a line: beside the file, in the data set's folder, else by its name; and the split it tells."""
    beside = file.parent.relative_to(reading.folder) / named.replace("\\", "/")
    for one in (beside.as_posix(), named):
        path = reading.path_of(one)
        if path is not None and _is_file(path):
            break
    else:
        path, _ = images.find(file, PurePosixPath(named.replace("\\", "/")).stem)
    if path is None:
        return reading.find_image(named, place), "eval"
    name = path.relative_to(reading.folder.resolve()) if path.is_relative_to(reading.folder.resolve()) else None
    name = name or path.relative_to(reading.folder)
    return reading.open_image(path, name.as_posix(), place), split_of(reading.folder / name, reading.folder)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long
        return False


def _record(reading: Reading, image: FoundImage, split: str, label: str, place: str) -> ImageRecord:
    """Make the record of an image: of a list of words with polygons, else of the word that the whole image shows."""
    if not label.startswith("[{") and label != "[]":
        return reading.cropped_record(image, split, "" if label in IGNORED else label, place)
    try:
        entries = parse_json(label)
    except ValueError:
        said = "another image begins on it" if _ANOTHER.search(label) else "its label is no JSON"
        reading.warn(f"{place}: {said}; {image.name} has no words.", "words")
        entries = []
    words = (found for found in map(_entry, entries) if found[0] not in IGNORED)
    return reading.boxed_record(image, split, [reading.box_word(*found, image, place) for found in words])


def _entry(entry: Any) -> tuple[str, list[float]]:
    """Return the word of an entry, and x, y, x, y, … of its polygon; no points where it has none."""
    found = entry if isinstance(entry, dict) else {}
    word, points = found.get("transcription"), found.get("points")
    flat = [value for point in points if isinstance(point, list) for value in point] if isinstance(points, list) else []
    good = all(map(is_coordinate, flat))
    return word if isinstance(word, str) else "", [float(value) for value in flat] if good else []


LABEL_FILES: Reader = Reader(
    "PaddleOCR labels or cropped words", "*.txt of a path, a tab and words (JSON) or a word, and images", _fits, _read
)
