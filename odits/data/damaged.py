"""Rows of a damaged SQLite file: all that the tree of a table still leads to, and what its pages hold besides.

Python's `sqlite3` comes without SQLite's own recovery, so pages that no query reaches any more are read here, after
https://www.sqlite.org/fileformat2.html: those of a table WITHOUT ROWID whose columns are all text.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from odits.core.files import temporary_folder

Row = tuple[str, ...]
_LEAF, _INTERIOR = 0x0A, 0x02  # pages of a table without rowids
_WAL_HEADER, _FRAME_HEADER = 32, 24


def is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with a file; one that can't be opened now counts as sound."""
    # nothing is left beside a file that nobody has open; where somebody writes meanwhile, it is looked at again
    if not Path(f"{path}-wal").exists() and _passes(path, "mode=ro&immutable=1"):
        return True
    return _passes(path, "mode=ro")


def _passes(path: Path, options: str) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:  # in use, or read-only: whoever needs it is told
        return True
    except sqlite3.DatabaseError:
        return False


def readable_rows(path: Path, table: str, columns: Sequence[str], keys: int) -> list[Row]:
    """Read what can be read of a table of a damaged file, which stays as it is.

    Args:
        path: of the file; its write-ahead log beside it is read too.
        table: WITHOUT ROWID.
        columns: all of the table's, in order, each text.
        keys: how many of them, from the first, are the primary key.

    Returns:
        The rows, by their keys; of two versions of a row the one that the tree leads to.
    """
    with temporary_folder("damaged") as folder:
        copy = folder / "copy.db"  # SQLite writes even where it only reads
        pages = _pages(path)
        for ending in ("", "-wal"):
            with suppress(OSError):
                shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
        found: dict[Row, Row] = {}
        for page in pages.values():
            for row in _rows_of_page(page, pages, len(columns)):
                found[row[:keys]] = row
        for row in _rows_by_tree(copy, table, columns, keys):
            found[row[:keys]] = row
    return [found[key] for key in sorted(found)]


def first_value(path: Path, table: str, column: str) -> str | None:
    """Return the first value of a column of a damaged file, where it can be read."""
    with temporary_folder("damaged") as folder:
        copy = shutil.copyfile(path, folder / "copy.db")
        try:
            with closing(sqlite3.connect(copy)) as connection:
                row = connection.execute(f"SELECT {column} FROM {table}").fetchone()
        except sqlite3.Error:
            return None
    return row[0] if row and isinstance(row[0], str) else None


def _rows_by_tree(path: Path, table: str, columns: Sequence[str], keys: int) -> Iterator[Row]:
    """Yield rows from the first on until the damage, and from the last one back."""
    for order in ("ASC", "DESC"):
        ordered = ", ".join(f"{column} {order}" for column in columns[:keys])
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
            for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {ordered}"):
                if all(isinstance(value, str) for value in row):
                    yield row


def _pages(path: Path) -> dict[int, bytes]:
    """Return the pages by their numbers: those that the log's finished transactions wrote are the newer ones."""
    data = path.read_bytes()
    size = int.from_bytes(data[16:18], "big")
    size = 65536 if size == 1 else size if size >= 512 and size & (size - 1) == 0 else 4096
    pages = {number + 1: data[number * size : (number + 1) * size] for number in range(len(data) // size)}
    log = Path(f"{path}-wal")
    written = log.read_bytes() if log.is_file() else b""
    step, waiting = size + _FRAME_HEADER, dict[int, bytes]()
    for start in range(_WAL_HEADER, len(written) - step + 1, step):
        header = written[start : start + _FRAME_HEADER]
        if header[8:16] != written[16:24]:  # of an earlier log in the same file
            break
        waiting[int.from_bytes(header[:4], "big")] = written[start + _FRAME_HEADER : start + step]
        if any(header[4:8]):  # ends a transaction
            pages |= waiting
            waiting = {}
    return pages


def _rows_of_page(page: bytes, pages: Mapping[int, bytes], columns: int) -> Iterator[Row]:
    """Yield the rows that the cells of a page hold."""
    if page[0] not in (_LEAF, _INTERIOR):
        return
    cells, first = int.from_bytes(page[3:5], "big"), 8 if page[0] == _LEAF else 12
    for number in range(min(cells, len(page) // 4)):
        with suppress(LookupError, ValueError):
            start = int.from_bytes(page[first + 2 * number : first + 2 * number + 2], "big")
            yield _texts(_payload(page, start + (4 if page[0] == _INTERIOR else 0), pages), columns)


def _payload(page: bytes, start: int, pages: Mapping[int, bytes]) -> bytes:
    """Return the record of a cell, with what of it lies on overflow pages."""
    length, start = _varint(page, start)
    usable = len(page)
    most, least = (usable - 12) * 64 // 255 - 23, (usable - 12) * 32 // 255 - 23
    if length <= most:
        return page[start : start + length]
    local = least + (length - least) % (usable - 4)
    local = local if local <= most else least
    record = page[start : start + local]
    following = int.from_bytes(page[start + local : start + local + 4], "big")
    while len(record) < length and following:
        overflow = pages[following]
        record += overflow[4 : 4 + length - len(record)]
        following = int.from_bytes(overflow[:4], "big")
    return record


def _texts(record: bytes, columns: int) -> Row:
    """Return the values of a record whose columns are all text."""
    end, place = _varint(record, 0)
    start, values = end, []
    while place < end:
        kind, place = _varint(record, place)
        if kind < 13 or kind % 2 == 0:
            raise ValueError("no text")
        length = (kind - 13) // 2
        if start + length > len(record):
            raise ValueError("cut off")
        values.append(record[start : start + length].decode())
        start += length
    if len(values) != columns:
        raise ValueError("another table")
    return tuple(values)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the number at a place, of one to nine bytes with the high ones first, and the place after it."""
    value = 0
    for count in range(9):
        byte = data[place + count]
        if count == 8:
            return value << 8 | byte, place + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("no number")
