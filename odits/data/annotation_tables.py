"""Marks of one annotator as CSV, for spreadsheets and other machines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import astuple

from odits.core.errors import OditsError
from odits.data.csv_tables import unguard, write_table
from odits.data.marks import KEY_COLUMNS, MARK_COLUMNS, ImageWord, Mark, clean_name, fold_name, mark_of, to_row, word_of

MAX_BYTES = 32 * 2**20
"""The largest file of marks that is read."""
COLUMNS = ("annotator", *KEY_COLUMNS, *MARK_COLUMNS)
"""The columns of the CSV file."""
_NEEDED = ("annotator", *KEY_COLUMNS, "verdict", "note", "time")
"""What a file has to have: earlier versions wrote no more than this, and the model."""

Marks = Iterable[tuple[ImageWord, Mark]]


def marks_csv(name: str, marks: Marks) -> bytes:
    """Write the marks of an annotator as CSV, UTF-8 with a byte order mark: a heading, then a row a mark.

    A field that a spreadsheet would run as a formula gets an apostrophe before it; reading takes it away again.
    """
    return write_table(COLUMNS, mark_rows(name, marks))


def mark_rows(name: str, marks: Marks) -> list[tuple[str, ...]]:
    """Return the marks of an annotator as texts, by `COLUMNS`."""
    return [(name, *astuple(about), *to_row(mark)) for about, mark in marks]


def read_marks_csv(content: bytes, file: str = "The file") -> tuple[str, list[tuple[ImageWord, Mark]]]:
    """Read whose marks a CSV file holds, and the marks, in order of time: earlier versions wrote several of one word.

    Args:
        content: of the file.
        file: what messages call it.

    Raises:
        OditsError: it is no such file, or a row is wrong (it is named).
    """
    return marks_of_rows(((f"line {line}", row) for line, row in _rows(content, file)), file)


def marks_of_rows(rows: Iterable[tuple[str, Mapping[str, str]]], file: str) -> tuple[str, list[tuple[ImageWord, Mark]]]:
    """Read whose marks the rows of a file are, and the marks, in order of time.

    Args:
        rows: by `COLUMNS`, each with what messages call it.
        file: what messages call it.

    Raises:
        OditsError: a row is wrong (it is named), there is none, or they are of several annotators.
    """
    names: dict[str, str] = {}
    marks: list[tuple[ImageWord, Mark]] = []
    for place, row in rows:
        try:
            annotator = row.get("annotator") or ""
            names.setdefault(fold_name(annotator), clean_name(annotator))
            marks.append((word_of(row), mark_of(row)))
        except OditsError as error:
            raise OditsError(f"{file}, {place}: {error} Nothing was taken over.") from error
    if not names:
        raise OditsError(f"{file} holds no marks.")
    if len(names) > 1:
        raise OditsError(f"{file} holds marks of {len(names)} annotators; a file may hold those of one.")
    return names.popitem()[1], sorted(marks, key=lambda pair: pair[1].time)


def _rows(content: bytes, file: str) -> list[tuple[int, dict[str, str]]]:
    """Read the rows with the lines they end on, each field as it was before it was guarded."""
    if len(content) > MAX_BYTES:
        raise OditsError(f"{file} is larger than {MAX_BYTES // 2**20} MiB.")
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        if missing := [column for column in _NEEDED if column not in header]:
            raise OditsError(f"{file} is no table of marks: it has no column {missing[0]!r}.")
        found = []
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise OditsError(f"{file}, line {reader.line_num}: {len(row)} fields instead of {len(header)}.")
            found.append((reader.line_num, dict(zip(header, map(unguard, row), strict=True))))
    except UnicodeDecodeError as error:
        raise OditsError(f"{file} is not a text file in UTF-8.") from error
    except csv.Error as error:
        raise OditsError(f"{file} is no CSV file: {error}.") from error
    return found
