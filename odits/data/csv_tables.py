"""Tables as text: read in the dialects that spreadsheets write, and written so that no cell runs as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from odits.core.errors import OditsError
from odits.core.limits import LIMITS

# What a spreadsheet would take for a formula, full-width forms included. Apostrophes before it are counted too, so that
# what is written can be read back exactly.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")
_HINT = re.compile(r"\s*\"?sep=(.)\"?\s*$")  # how a table for Excel names its separator
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_QUOTED = re.compile(r'"[^"]*"')
_DELIMITERS = (",", ";", "\t", "|")


def decode_text(content: bytes, name: str) -> str:
    """Decode a text from outside: UTF-8, UTF-16 (with or without byte order mark), else as Windows writes western ones.

    Raises:
        OditsError: it is no text.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    elif len(content) > 1 and not (content[0] and content[1]):  # of the first letter, one byte is zero
        encodings = ["utf-16-le" if content[0] else "utf-16-be"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.lstrip("\ufeff")
    raise OditsError(f"{name} is not a text file in UTF-8 or UTF-16.")


def guard(cell: str) -> str:
    """Return the cell with an apostrophe before it where a spreadsheet would run it as a formula.

    Example:
        >>> guard("=1+1"), guard("HOTEL"), unguard(guard("=1+1"))
        ("'=1+1", 'HOTEL', '=1+1')
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguard(cell: str) -> str:
    """Return the cell as it was before `guard`."""
    return cell[1:] if _GUARDED.match(cell) else cell


def write_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Write a table as CSV: UTF-8 with a byte order mark, texts guarded, numbers as they are, None as an empty cell."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow([guard(column) for column in columns])
    for row in rows:
        writer.writerow([guard(cell) if isinstance(cell, str) else cell for cell in row])
    return stream.getvalue().encode("utf-8-sig", "replace")


def read_table(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table with the line on which each ends: cells trimmed and unguarded, blank rows left out.

    Commas, semicolons, tabs and bars separate cells, whichever the first line has most of outside quotes (Excel's
    `sep=` line is followed); cells may stand in quotes, with line breaks in them.

    Args:
        text: of the table.
        name: of its file, for messages.

    Raises:
        OditsError: it is no table.
    """
    head, *rest = _LINE_BREAK.split(text, 1)
    before = 0
    if hint := _HINT.match(head.lstrip("\ufeff")):
        text, before, delimiter = "".join(rest), 1, hint[1]
    else:
        head = _QUOTED.sub("", _LINE_BREAK.split(text.lstrip("\r\n"), 1)[0])
        delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        if '"' in text and (line := _unclosed(text, delimiter)):
            raise OditsError(f"{name}, line {line + before}: a quote opens here and is never closed.")
        for number, cells in enumerate(reader):
            if max(map(len, cells), default=0) > LIMITS.csv_field:
                raise OditsError(
                    f"{name}, line {reader.line_num + before}: a cell is longer than {LIMITS.csv_field:,}."
                )
            if number >= LIMITS.csv_rows or len(cells) > LIMITS.csv_fields:
                raise OditsError(
                    f"{name}, line {reader.line_num + before}: a table may have {LIMITS.csv_rows:,} rows of "
                    f"{LIMITS.csv_fields:,} cells."
                )
            row = [unguard(cell.strip()) for cell in cells]
            if any(row):
                yield reader.line_num + before, row
    except csv.Error as error:
        raise OditsError(f"{name}, line {reader.line_num + before}: {error}.") from error


def _unclosed(text: str, delimiter: str) -> int:
    """Return the line on which the cell begins whose quote is never closed; 0 where there is none."""
    last: list[str] = []
    start = end = 0
    reader = csv.reader(io.StringIO(f"{text}\n.", newline=""), delimiter=delimiter)
    for cells in reader:
        start, end, last = end, reader.line_num, cells
    return 0 if last == ["."] else start + 1
