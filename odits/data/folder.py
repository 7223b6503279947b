"""A plain folder of images with a `lexicons.csv`: the reader for everybody's own data."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from odits.core.errors import OditsError
from odits.core.files import inside
from odits.data.images import ImageError, image_size
from odits.data.records import SPLITS, Dataset, ImageRecord
from odits.data.vocabulary import clean_word

FILE = "lexicons.csv"
_SEPARATORS = re.compile(r"[\s,;]+")
_ALIASES = {"": "eval", "test": "eval"}


def is_folder(folder: Path) -> bool:
    """Return whether the folder holds lexicons.csv."""
    return (folder / FILE).is_file()


def read_folder(folder: Path) -> Dataset:
    """Read the data set in a folder of images with `lexicons.csv`; what is wrong with one image is a warning.

    The columns are `file` (a path inside the folder), `words` (separated by spaces, commas or semicolons) and, if
    wanted, `split` ("train" or "eval"; "eval" where it is left out, and "test" means it too). A file on several lines
    gets the words of all of them. The table is comma-separated; semicolons and tabs are understood too.

    Raises:
        OditsError: no `lexicons.csv`, or one that can't be read as such, or no image at all.
    """
    warnings: list[str] = []
    rows: dict[Path, _Row] = {}
    for row in _rows(folder / FILE):
        path = inside(folder, row.file) if row.file else None
        if path is None:
            warnings.append(f"{FILE}, line {row.line}: {row.file!r} is not a path inside the data set; left out.")
            continue
        first = rows.setdefault(path, row)
        if first is not row:
            first.words.extend(row.words)
            if row.split != first.split:
                warnings.append(f"{FILE}, line {row.line}: {row.file} is in {first.split} already, and stays there.")
    records = [record for path, row in rows.items() if (record := _record(path, row, folder, warnings))]
    if not records:
        raise OditsError(f"No image that {FILE} names was found in {folder}.")
    records.sort(key=lambda record: SPLITS.index(record.split))
    return Dataset(folder.resolve().name or "folder", folder, tuple(records), tuple(warnings))


@dataclass(frozen=True)
class _Row:
    line: int
    file: str
    words: list[str]
    split: str


def _record(path: Path, row: _Row, folder: Path, warnings: list[str]) -> ImageRecord | None:
    """Make the image of a row; None, with a warning, where it can't be opened."""
    try:
        image_size(path)
    except ImageError as error:
        warnings.append(f"{FILE}, line {row.line}: {error} Left out.")
        return None
    name = path.relative_to(folder.resolve()).as_posix()
    if not row.words:
        warnings.append(f"{FILE}, line {row.line}: the lexicon of {name} is empty.")
    return ImageRecord(name, path, row.split, tuple(row.words))


def _rows(path: Path) -> Iterator[_Row]:
    """Yield the rows of the table, blank lines left out."""
    text = _text(path)
    header_line = text.lstrip().partition("\n")[0]
    delimiter = next((mark for mark in ",;\t" if mark in header_line), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    try:
        for fields in reader:
            values = [value.strip() for value in fields]
            if not any(values):
                continue
            if not header:
                header = _header(values)
                continue
            if len(values) > len(header):
                raise OditsError(
                    f"{FILE}, line {reader.line_num}: more fields than columns; put words with commas into quotes."
                )
            yield _row(dict(zip(header, values, strict=False)), reader.line_num)
    except csv.Error as error:
        raise OditsError(f"{FILE}, line {reader.line_num}: {error}.") from error


def _text(path: Path) -> str:
    """Read the table's text."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise OditsError(f"{FILE} is not a text file in UTF-8.") from error
    except OSError as error:
        raise OditsError(f"{path} can't be read: {error.strerror or error}.") from error


def _header(values: list[str]) -> list[str]:
    """Return the column names in lower case."""
    header = [value.lower() for value in values]
    if not {"file", "words"} <= set(header):
        raise OditsError(f"The first line of {FILE} must name the columns: file, words and, if wanted, split.")
    return header


def _row(values: dict[str, str], line: int) -> _Row:
    """Make one row, its words taken apart and its split checked."""
    split = values.get("split", "").lower()
    split = _ALIASES.get(split, split)
    if split not in SPLITS:
        raise OditsError(f"{FILE}, line {line}: the split is {split!r}, not train or eval.")
    words = [word for part in _SEPARATORS.split(values.get("words", "")) if (word := clean_word(part))]
    return _Row(line, values.get("file", ""), words, split)
