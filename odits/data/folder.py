"""A plain folder of images with a `lexicons.csv`: the reader for everybody's own data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from odits.core.errors import OditsError
from odits.core.files import inside
from odits.data.csv_tables import read_table
from odits.data.reading import Reader, Reading, read_text
from odits.data.records import SPLITS, Dataset, ImageRecord
from odits.data.vocabulary import clean_word

FILE = "lexicons.csv"
MAX_BYTES = 256 * 2**20
_SEPARATORS = re.compile(r"[\s,;]+")
_SPLITS = {"": "eval", "test": "eval", "val": "eval", "validation": "eval", "dev": "eval", "training": "train"}
_COLUMNS = {
    "file": ("file", "file_name", "filename", "image", "path"),
    "words": ("words", "lexicon", "word", "text"),
    "split": ("split",),
}


def is_folder(folder: Path) -> bool:
    """Return whether the folder holds lexicons.csv."""
    return (folder / FILE).is_file()


def read_folder(folder: Path) -> Dataset:
    """Read the data set in a folder of images with `lexicons.csv`; what is wrong with one image is a warning.

    The columns are `file` (a path inside the folder), `words` (separated by spaces, commas or semicolons) and, if
    wanted, `split` ("train" or "eval"; "eval" where it is left out, and "test" means it too). A file on several lines
    gets the words of all of them. The table may be what Excel, LibreOffice or pandas write: separated by commas,
    semicolons or tabs, in UTF-8, UTF-16 or Windows-1252.

    Raises:
        OditsError: no `lexicons.csv`, or one that can't be read as such, or no image at all.
    """
    reading = Reading(folder)
    rows: dict[Path, _Row] = {}
    for row in _rows(folder / FILE):
        path = _path_of(row, folder)
        if path is None:
            reading.warn(f"{FILE}, line {row.line}: {row.file!r} is not a path inside the data set; left out.", "image")
            continue
        first = rows.setdefault(path, row)
        if first is not row:
            first.words.extend(row.words)
            if row.split != first.split:
                reading.warn(f"{FILE}, line {row.line}: {row.file} is in {first.split} already, and stays there.")
    records = [record for path, row in rows.items() if (record := _record(path, row, reading))]
    if not records:
        raise OditsError(f"No image that {FILE} names was found in {folder}.")
    return reading.dataset(folder.resolve().name or "folder", records, FOLDER.name)


@dataclass(frozen=True)
class _Row:
    line: int
    file: str
    words: list[str]
    split: str


def _path_of(row: _Row, folder: Path) -> Path | None:
    """Return the path that a row names, with Windows' separators too where there is no such file otherwise."""
    found = inside(folder, row.file) if row.file else None
    if "\\" in row.file and (found is None or not found.exists()):
        return inside(folder, row.file.replace("\\", "/")) or found
    return found


def _record(path: Path, row: _Row, reading: Reading) -> ImageRecord | None:
    """Make the image of a row; None, with a warning, where it can't be opened."""
    name = path.relative_to(reading.folder.resolve()).as_posix()
    image = reading.open_image(path, name, f"{FILE}, line {row.line}")
    if image is None:
        return None
    if not row.words:
        reading.warn(f"{FILE}, line {row.line}: the lexicon of {name} is empty.")
    return ImageRecord(name, path, row.split, tuple(row.words))


def _rows(path: Path) -> Iterator[_Row]:
    """Yield the rows of the table, blank lines left out."""
    text = read_text(path, MAX_BYTES)
    header: list[str] = []
    for line, values in read_table(text, FILE):
        if not header:
            header = _header(values)
        elif len(values) > len(header):
            raise OditsError(f"{FILE}, line {line}: more fields than columns; put words with commas into quotes.")
        else:
            yield _row(dict(zip(header, values, strict=False)), line)


def _header(values: list[str]) -> list[str]:
    """Return what each column holds: "file", "words", "split", or its own name."""
    given = [value.lower() for value in values]
    names = {next((name for name in accepted if name in given), ""): key for key, accepted in _COLUMNS.items()}
    header = [names.get(value, value) if value else "" for value in given]
    if not {"file", "words"} <= set(header):
        raise OditsError(
            f"The first line of {FILE}, a text in UTF-8 or UTF-16, must name the columns: file, words and, if wanted, "
            "split."
        )
    return header


def _row(values: dict[str, str], line: int) -> _Row:
    """Make one row, its words taken apart and its split checked."""
    split = values.get("split", "").lower()
    split = _SPLITS.get(split, split)
    if split not in SPLITS:
        raise OditsError(f"{FILE}, line {line}: the split is {split!r}, not train or eval.")
    words = [word for part in _SEPARATORS.split(values.get("words", "")) if (word := clean_word(part))]
    return _Row(line, values.get("file", ""), words, split)


FOLDER = Reader("images with lexicons.csv", FILE, is_folder, read_folder)
