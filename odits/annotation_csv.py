"""Marks as CSV: for spreadsheets, and to bring an annotator's marks to another machine."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from odits.annotations import CLAIM, Claim, Mark, check_mark, clean_name, put_marks
from odits.errors import OditsError

COLUMNS = ("annotator", *CLAIM, "verdict", "note", "time")
MAX_BYTES = 32 * 2**20
MAX_FIELD = 4000

# What a spreadsheet would take for a formula, full-width forms included. Apostrophes before it are counted too, so that
# what is written can be read back exactly.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")


class Imported(NamedTuple):
    """What came out of a CSV file: whose marks, how many it holds, and how many of them were new here."""

    name: str
    read: int
    new: int


def marks_csv(name: str, marks: Mapping[Claim, Mark]) -> bytes:
    """The marks of an annotator as CSV, UTF-8 with a byte order mark: a heading, then a row a mark.

    A field that a spreadsheet would run as a formula gets an apostrophe before it; `import_marks` takes it away again.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(COLUMNS)
    for claim, mark in marks.items():
        row = (name, *(getattr(claim, column) for column in CLAIM), *mark)
        writer.writerow([f"'{field}" if _FORMULA.match(field) else field for field in row])
    return stream.getvalue().encode("utf-8-sig", "replace")


def import_marks(content: bytes, file: str = "The file") -> Imported:
    """What was taken over from a CSV file that `marks_csv` wrote; of two marks of one claim the newer stays.

    Raises:
        OditsError: it is no such file, a row is wrong (it is named), or marks can't be written; nothing was taken over.
    """
    names: set[str] = set()
    marks: dict[Claim, Mark] = {}
    for line, row in _rows(content, file):
        try:
            names.add(clean_name(row["annotator"]))
            marks[_claim(row)] = _mark(row)
        except OditsError as error:
            raise OditsError(f"{file}, line {line}: {error} Nothing was taken over.") from error
    if not names:
        raise OditsError(f"{file} holds no marks.")
    if len(names) > 1:
        raise OditsError(f"{file} holds marks of {len(names)} annotators; a file may hold those of one.")
    name = names.pop()
    return Imported(name, len(marks), put_marks(name, marks.items(), only_newer=True))


def _rows(content: bytes, file: str) -> list[tuple[int, dict[str, str]]]:
    """The rows with the lines they end on, each field as it was before it was guarded."""
    if len(content) > MAX_BYTES:
        raise OditsError(f"{file} is larger than {MAX_BYTES // 2**20} MiB.")
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        if missing := [column for column in COLUMNS if column not in header]:
            raise OditsError(f"{file} is no table of marks: it has no column {missing[0]!r}.")
        found = []
        for fields in reader:
            if not any(fields):
                continue
            if len(fields) != len(header):
                raise OditsError(f"{file}, line {reader.line_num}: {len(fields)} fields instead of {len(header)}.")
            plain = [field[1:] if _GUARDED.match(field) else field for field in fields]
            found.append((reader.line_num, dict(zip(header, plain, strict=True))))
    except UnicodeDecodeError as error:
        raise OditsError(f"{file} is not a text file in UTF-8.") from error
    except csv.Error as error:
        raise OditsError(f"{file} is no CSV file: {error}.") from error
    return found


def _claim(row: Mapping[str, str]) -> Claim:
    values = {column: row[column] for column in CLAIM}
    for column, value in values.items():
        if not value or len(value) > MAX_FIELD or "\0" in value:
            raise OditsError(f"{column} is empty or too long.")
    return Claim(**values)


def _mark(row: Mapping[str, str]) -> Mark:
    try:
        time = datetime.fromisoformat(row["time"])
    except ValueError as error:
        raise OditsError(f"{row['time'][:40]!r} is no time.") from error
    if time.tzinfo is None:
        raise OditsError(f"{row['time'][:40]!r} is a time without its zone.")
    # a clock that runs ahead must not make a mark win for ever
    time = min(time.astimezone(UTC), datetime.now(UTC))
    mark = Mark(row["verdict"], row["note"], time.isoformat(timespec="microseconds"))
    check_mark(mark)
    return mark
