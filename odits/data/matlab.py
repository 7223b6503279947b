"""Variables of MATLAB files (version 5), as several data sets have them: cells, structs, texts and numbers.

SciPy's reader ends the whole process over some damaged files, so files from outside are not given to it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from odits.core.errors import OditsError
from odits.core.limits import LIMITS

MAX_BYTES = LIMITS.matlab_bytes
"""The most that a file, and all its variables together, may hold, uncompressed."""

_HEADER = 128
_ORDERS = {b"IM": "<", b"MI": ">"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _NUMBERS = 1, 2, 4, range(6, 16)
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_DEPTH = 8


class _DamagedError(ValueError):
    pass


class _Budget:
    """How many numbers and cells a file may still have: each takes far more memory than bytes of it."""

    def __init__(self) -> None:
        self._left = LIMITS.matlab_values

    def take(self, count: int) -> None:
        """Take so many; raise where there are no more."""
        self._left -= count
        if self._left < 0:
            raise _DamagedError("too many values")


@dataclass(frozen=True)
class Matrix:
    """A value of a MATLAB file.

    Attributes:
        size: numbers of rows, columns and so on; values lie column by column.
        cells: of a cell array, or of a struct entry by entry, its fields in their order; else empty.
        fields: names of a struct's fields; else empty.
        text: of a text; else empty.
        numbers: of a matrix of numbers; else empty.
    """

    size: tuple[int, ...]
    cells: tuple[Matrix, ...] = ()
    fields: tuple[str, ...] = ()
    text: str = ""
    numbers: tuple[float, ...] = ()

    def rows(self) -> list[tuple[Matrix, ...]]:
        """Return the entries of a struct, each with its fields, or the rows of a cell array."""
        if self.fields:
            width = len(self.fields)
            return [self.cells[start : start + width] for start in range(0, len(self.cells), width)]
        return [self.cells[start :: self.size[0]] for start in range(min(self.size[0], len(self.cells)))]

    def texts(self) -> list[str]:
        """Return the texts in it, however many cells are around them, in their order."""
        return [self.text] if self.text else [text for cell in self.cells for text in cell.texts()]


def read_matlab(path: Path, *variables: str, fields: frozenset[str] | None = None) -> Matrix:
    """Read the first of these variables that a MATLAB file has.

    Args:
        path: of the file.
        variables: their names.
        fields: of structs, which to read; the others are empty. Default: all.

    Raises:
        OditsError: the file can't be read, has none of them, is damaged, or unpacks to too much.
    """
    try:
        content = path.read_bytes() if path.stat().st_size <= MAX_BYTES else b""
    except OSError as error:
        raise OditsError(f"{path} can't be read: {error.strerror or error}.") from error
    try:
        order = _ORDERS[content[126:128]]
        room, budget = MAX_BYTES, _Budget()
        for kind, data in _elements(content[_HEADER:], order):
            if kind == _COMPRESSED:
                unpacked = zlib.decompressobj().decompress(data, room + 1)
                room -= len(unpacked)
                if room < 0:
                    raise OditsError(f"{path.name} unpacks to more than {MAX_BYTES // 2**20} MiB, which is refused.")
                kind, data = next(_elements(unpacked, order))
            if kind == _MATRIX and _name_of(data, order) in variables:
                return _matrix(data, order, fields, _DEPTH, budget)
    except OditsError:
        raise
    except (_DamagedError, KeyError, StopIteration, ValueError, struct.error, zlib.error, OverflowError) as error:
        raise OditsError(f"{path.name} is damaged, or no MATLAB file of version 5.") from error
    raise OditsError(f"{path.name} has no variable {variables[0]}.")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yield the elements that follow each other: their types and what they hold."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        if kind >> 16:  # at most four bytes, beside the type
            yield kind & 0xFFFF, data[at + 4 : at + 4 + min(kind >> 16, 4)]
            at += 8
            continue
        if at + 8 + size > len(data):
            raise _DamagedError("cut off")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (0 if kind == _COMPRESSED else -size % 8)


def _name_of(data: bytes, order: str) -> str:
    elements = _elements(data, order)
    _, _, (_, name) = next(elements), next(elements), next(elements)
    return name.decode("latin-1")


def _matrix(data: bytes, order: str, fields: frozenset[str] | None, depth: int, budget: _Budget) -> Matrix:
    """Read a matrix element: flags, size, name, and what its class holds."""
    if not data:
        return Matrix((0, 0))
    if depth <= 0:
        raise _DamagedError("too deep")
    elements = _elements(data, order)
    (_, flags), (_, sizes), _ = next(elements), next(elements), next(elements)
    kind = struct.unpack_from(f"{order}I", flags)[0] & 0xFF
    size = tuple(int(side) for side in np.frombuffer(sizes, f"{order}i4"))
    if len(size) < 2 or min(size) < 0:
        raise _DamagedError("no size")
    if kind == _CELL:
        return Matrix(size, _cells(elements, order, fields, depth, prod(size), budget))
    if kind == _STRUCT:
        names = _field_names(elements, order)
        return Matrix(size, _cells(elements, order, fields, depth, prod(size) * len(names), budget, names), names)
    if kind == _CHAR:
        coded, content = next(elements)
        encoding = _ENCODINGS[coded]
        if encoding.startswith("utf-") and encoding != "utf-8":
            encoding += "-le" if order == "<" else "-be"
        return Matrix(size, text=content.decode(encoding, "replace"))
    if kind in _NUMBERS:
        coded, content = next(elements)
        values = np.frombuffer(content, f"{order}{_TYPES[coded]}").astype(float)
        budget.take(len(values))
        return Matrix(size, numbers=tuple(values.tolist()))
    return Matrix(size)


def _field_names(elements: Iterator[tuple[int, bytes]], order: str) -> tuple[str, ...]:
    (_, width), (_, joined) = next(elements), next(elements)
    length = struct.unpack_from(f"{order}i", width)[0]
    if length <= 0:
        raise _DamagedError("no names of fields")
    parts = (joined[start : start + length] for start in range(0, len(joined), length))
    return tuple(part.split(b"\0")[0].decode("latin-1") for part in parts)


def _cells(
    elements: Iterator[tuple[int, bytes]],
    order: str,
    fields: frozenset[str] | None,
    depth: int,
    count: int,
    budget: _Budget,
    names: tuple[str, ...] = (),
) -> tuple[Matrix, ...]:
    """Read as many matrices as there are cells; of a struct only the fields asked for."""
    found = []
    for place, (kind, data) in zip(range(count), elements, strict=False):
        if kind != _MATRIX:
            raise _DamagedError("no cell")
        budget.take(1)
        is_wanted = fields is None or not names or names[place % len(names)] in fields
        found.append(_matrix(data, order, fields, depth - 1, budget) if is_wanted else Matrix((0, 0)))
    if len(found) != count:
        raise _DamagedError("cells are missing")
    return tuple(found)
