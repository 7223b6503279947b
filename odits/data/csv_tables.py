"""Tables as text: read in the dialects that spreadsheets write, and written so that no cell runs as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from odits.core.errors import OditsError

# What a spreadsheet would take for a formula, full-width forms included. Apostrophes before it are counted too, so that
# what is written can be read back exactly.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")
_HINT = re.compile(r"\s*\"?sep=(.)\"?\s*$")  # how a table for Excel names its separator
_DELIMITERS = (",", ";", "\t", "|")


def decode_text(content: bytes, name: str) -> str:
    """Decode a text from outside: UTF-8, UTF-16 by its byte order mark, else as Windows writes western languages.

    Raises:
        OditsError: it is no text.
    """
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
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

    Commas, semicolons, tabs and bars separate cells, whichever the first line has (Excel's `sep=` line is followed);
    cells may stand in quotes, with line breaks in them.

    Args:
        text: of the table.
        name: of its file, for messages.

    Raises:
        OditsError: it is no table.
    """
    head, _, rest = text.partition("\n")
    before = 0
    if hint := _HINT.match(head.lstrip("\ufeff")):
        text, before, delimiter = rest, 1, hint[1]
    else:
        head = text.lstrip().partition("\n")[0]
        delimiter = next((mark for mark in _DELIMITERS if mark in head), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            row = [unguard(cell.strip()) for cell in cells]
            if any(row):
                yield reader.line_num + before, row
    except csv.Error as error:
        raise OditsError(f"{name}, line {reader.line_num + before}: {error}.") from error
