"""A plain folder of images with a `lexicons.csv`: the reader for everybody's own data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from odits.core.errors import OditsError
from odits.core.limits import LIMITS
from odits.data.csv_tables import read_table
from odits.data.reading import Reader, Reading, read_text
from odits.data.records import SPLITS, Dataset, ImageRecord
from odits.data.vocabulary import clean_word, split_words

FILE = "lexicons.csv"
MAX_BYTES = LIMITS.csv_bytes
_LIST = re.compile(r"\[\s*(['\"].*['\"])\s*\]", re.DOTALL)  # how pandas writes a column of lists
_LISTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_SPLITS = {"": "eval", "test": "eval", "val": "eval", "validation": "eval", "dev": "eval", "training": "train"}
_COLUMNS = {
    "file": ("file", "file_name", "filename", "image", "path", "file name", "image_name", "image_path"),
    "words": ("words", "lexicon", "word", "text"),
    "split": ("split",),
}


def is_folder(folder: Path) -> bool:
    """Return whether the folder holds lexicons.csv, in whatever case."""
    return _table(folder).is_file()


def _table(folder: Path) -> Path:
    """Return the path of lexicons.csv, as the folder writes it."""
    exact = folder / FILE
    if exact.is_file() or not folder.is_dir():
        return exact
    return next((path for path in sorted(folder.iterdir()) if path.name.lower() == FILE), exact)


def read_folder(folder: Path) -> Dataset:
    """Read the data set in a folder of images with `lexicons.csv`; what is wrong with one image is a warning.

    The columns are `file` (a path inside the folder), `words` (separated by spaces, commas or semicolons) and, if
    wanted, `split` ("train" or "eval"; "eval" where it is left out, and "test" means it too). A file on several lines
    gets the words of all of them. The table may be what Excel, LibreOffice or pandas write: separated by commas,
    semicolons or tabs, in UTF-8, UTF-16 or Windows-1252; with an index or row names, with a word a cell, or with
    lists of words.

    Raises:
        OditsError: no `lexicons.csv`, or one that can't be read as such, or no image at all.
    """
    reading = Reading(folder)
    rows: dict[Path, _Row] = {}
    for row in _rows(_table(folder), reading):
        path = reading.path_of(row.file)
        if path is None:
            reading.warn(f"{FILE}, line {row.line}: {row.file!r} is not a path inside the data set; left out.", "image")
            continue
        first = rows.setdefault(path, row)
        if first is not row:
            first.words.extend(row.words)
            if row.split != first.split:
                reading.warn(f"{FILE}, line {row.line}: {row.file} is in {first.split} already, and stays there.")
    records = [record for path, row in rows.items() if (record := _record(path, row, reading))]
    return reading.dataset(folder.resolve().name or "folder", records, FOLDER.name)


@dataclass(frozen=True)
class _Row:
    line: int
    file: str
    words: list[str]
    split: str


def _record(path: Path, row: _Row, reading: Reading) -> ImageRecord | None:
    """Make the image of a row; None, with a warning, where it can't be opened."""
    name = path.relative_to(reading.folder.resolve()).as_posix()
    image = reading.open_image(path, name, f"{FILE}, line {row.line}")
    if image is None:
        return None
    if not row.words:
        reading.warn(f"{FILE}, line {row.line}: the lexicon of {name} is empty.")
    return ImageRecord(name, path, row.split, tuple(row.words))


def _rows(path: Path, reading: Reading) -> Iterator[_Row]:
    """Yield the rows of the table; blank lines are left out, and with a warning those that can't be understood."""
    text = read_text(path, MAX_BYTES)
    header: list[str] = []
    for line, values in read_table(text, FILE):
        if not header:
            header = _header(values)
            continue
        while len(values) > len(header) and not values[-1]:  # spreadsheets fill rows up to the longest
            values.pop()
        if len(values) == len(header) + 1 and values[0].isdecimal():  # R has no name for the column of row names
            del values[0]
        if len(values) > len(header):
            reading.warn(
                f"{FILE}, line {line}: more fields than columns; put words with commas into quotes. Left out.", "row"
            )
            continue
        row = _row(list(zip(header, values, strict=False)), line)
        if row.split in SPLITS:
            yield row
        else:
            reading.warn(f"{FILE}, line {line}: the split is {row.split[:40]!r}, not train or eval; left out.", "row")


def _header(values: list[str]) -> list[str]:
    """Return what each column holds: "file", "words", "split", or its own name; one without a name goes on."""
    given = [value.lower() for value in values]
    names = {next((name for name in accepted if name in given), ""): key for key, accepted in _COLUMNS.items()}
    header = [names.get(value, value) if value else "" for value in given]
    for place in range(1, len(header)):
        if not header[place] and header[place - 1] == "words":
            header[place] = "words"
    if not {"file", "words"} <= set(header):
        raise OditsError(
            f"The first line of {FILE}, a text in UTF-8 or UTF-16, must name the columns: file, words and, if wanted, "
            "split."
        )
    return header


def _row(cells: list[tuple[str, str]], line: int) -> _Row:
    """Make one row of the cells by their columns, its words taken apart."""
    values = dict(cells)
    split = values.get("split", "").lower()
    words = [word for column, cell in cells if column == "words" for word in _words(cell)]
    return _Row(line, values.get("file", ""), words, _SPLITS.get(split, split))


def _words(cell: str) -> list[str]:
    """Take the words of a cell apart: a list as pandas writes it, else what spaces, commas and semicolons separate."""
    listed = _LIST.fullmatch(cell)
    if listed is None:
        return split_words(cell)
    try:
        parts = [part for part in json.loads(cell) if isinstance(part, str)]
    except (ValueError, RecursionError):
        parts = [re.sub(r"\\(.)", r"\1", one or other) for one, other in _LISTED.findall(listed[1])]
    return [word for part in parts if (word := clean_word(part))]


FOLDER = Reader("images with lexicons.csv", FILE, is_folder, read_folder)
