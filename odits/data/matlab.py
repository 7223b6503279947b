"""Variables of MATLAB files (version 5), as several data sets have them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

from odits.core.errors import OditsError

MAX_BYTES = 256 * 2**20
"""The most that a file may hold, uncompressed."""

_HEADER = 128
_COMPRESSED = 15  # miCOMPRESSED


def read_matlab(path: Path, variable: str) -> Any:
    """Read one variable of a MATLAB file; cells and structs are object arrays.

    Raises:
        OditsError: it can't be read, has no such variable, or is too large when it is unpacked.
    """
    from scipy.io import loadmat

    try:
        _check_size(path)
        found = loadmat(path, variable_names=[variable], squeeze_me=False)
    except OditsError:
        raise
    except OSError as error:
        raise OditsError(f"{path} can't be read: {error.strerror or error}.") from error
    except Exception as error:
        # what damaged bytes make of loadmat is any kind of exception
        raise OditsError(f"{path.name} is damaged, or no MATLAB file of version 5.") from error
    if variable not in found:
        raise OditsError(f"{path.name} has no variable {variable}.")
    return found[variable]


def text_of(cell: Any) -> str:
    """Return the text in a cell, however many arrays of one element are around it; empty where there is none."""
    while getattr(cell, "ndim", None) is not None and not isinstance(cell, str):
        if cell.size == 0:
            return ""
        cell = cell.flat[0]
    return str(cell)


def _check_size(path: Path) -> None:
    """Refuse a file that would fill the memory: its parts are unpacked piece by piece, and only counted."""
    with path.open("rb") as file:
        file.seek(_HEADER)
        total = 0
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack("<II", tag)
            if kind != _COMPRESSED:
                total += size
                file.seek(size, 1)
            else:
                total += _unpacked_size(file.read(size), MAX_BYTES - total)
            if total > MAX_BYTES:
                raise OditsError(f"{path.name} unpacks to more than {MAX_BYTES // 2**20} MiB, which is refused.")


def _unpacked_size(data: bytes, most: int) -> int:
    """Return how large compressed bytes are when unpacked; as soon as it is more than `most`, that."""
    unpacker, size = zlib.decompressobj(), 0
    while data and size <= most:
        size += len(unpacker.decompress(data, 2**20))
        data = unpacker.unconsumed_tail
    return size
