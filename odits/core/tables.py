"""A table on the disk: written row by row, resumed after an interruption, memory-mapped.

Rows are written plainly and not through a memory map: a full disk is then an error rather than a crash, and what was
written is no memory of the process.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np

from odits.core.errors import WriteError
from odits.core.progress import Progress, no_progress

BATCH = 2  # images at a time; a table that is resumed has to be cut into the same batches to get the same bytes


def fill_table(
    path: Path,
    shape: tuple[int, int],
    rows_of: Callable[[slice], np.ndarray],
    advance: Progress = no_progress,
) -> np.ndarray:
    """Fill the table float32 (m, n) and map it for reading; rows that the file has already are not computed again.

    Args:
        path: an .npy file, complete when its size fits its shape.
        shape: (m, n).
        rows_of: computes the rows of a slice of images.
        advance: called with (images done, images in all) at the start and after each batch; may raise to stop.

    Raises:
        WriteError: the file can't be written.
    """
    count, words = shape
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "w+b") as file:
            start = _header(file, shape)
            size = file.seek(0, os.SEEK_END) - start
            # whole batches only: the last one may have been cut off
            done = count if size == 4 * count * words else min(size // (4 * words), count) // BATCH * BATCH
            file.truncate(start + 4 * done * words)
            file.seek(0, os.SEEK_END)
            advance(done, count)
            while done < count:
                images = slice(done, min(done + BATCH, count))
                rows = np.ascontiguousarray(rows_of(images), np.float32)
                file.write(rows.tobytes())
                file.flush()
                os.fsync(file.fileno())
                done = images.stop
                advance(done, count)
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}.") from error
    return load_array(path)


def load_array(source: Path | BinaryIO) -> np.ndarray:
    """Return the array of an .npy file, that of a path mapped into memory.

    Raises:
        ValueError: it is damaged, or something else, such as objects.
        OSError: it can't be read.
    """
    try:
        found = np.load(source, mmap_mode="r" if isinstance(source, Path) else None, allow_pickle=False)
    except (TokenError, SyntaxError, BadZipFile, EOFError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"damaged: {error}") from error
    if not isinstance(found, np.ndarray):
        raise ValueError("several arrays")
    return found


def header_of(kind: np.dtype, shape: tuple[int, ...]) -> bytes:
    """Return the bytes with which the .npy file of an array begins."""
    stream = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, described)
    return stream.getvalue()


class ArrayFile:
    """An .npy file of known shape, written piece by piece.

    Args:
        path: of the file, which must not exist.
        kind: of its numbers.
        shape: of the array.

    Raises:
        OSError: it can't be written.

    Example:
        >>> from odits.core.files import temporary_folder
        >>> with temporary_folder("example") as folder:
        ...     with ArrayFile(folder / "a.npy", np.dtype(np.uint8), (2, 3)) as file:
        ...         file.append(np.array([[1, 2, 3]]))
        ...         file.append(np.array([[4, 5, 6]]))
        ...     load_array(folder / "a.npy").tolist()
        [[1, 2, 3], [4, 5, 6]]
    """

    def __init__(self, path: Path, kind: np.dtype, shape: tuple[int, ...]) -> None:
        self._kind, self._shape = kind, shape
        header = header_of(kind, shape)
        self._start = len(header)
        self._file = path.open("xb")
        self._file.write(header)
        self._file.truncate(self._start + kind.itemsize * math.prod(shape))

    def append(self, rows: np.ndarray) -> None:
        """Write rows behind those that were appended before."""
        self._file.write(np.ascontiguousarray(rows, self._kind).tobytes())

    def write_columns(self, first: int, values: np.ndarray) -> None:
        """Write some columns (K, C) of an array of two axes, from column `first` on."""
        size, width = self._kind.itemsize, self._shape[1]
        for row, part in enumerate(np.ascontiguousarray(values, self._kind)):
            self._file.seek(self._start + size * (row * width + first))
            self._file.write(part.tobytes())

    def close(self) -> None:
        """Bring everything to the disk."""
        with self._file as file:
            file.flush()
            os.fsync(file.fileno())

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _header(file: BinaryIO, shape: tuple[int, int]) -> int:
    """Return where the rows begin in the open file; one that does not begin as a table of this shape is begun anew."""
    header = header_of(np.dtype("<f4"), shape)
    file.seek(0)
    if file.read(len(header)) != header:
        file.seek(0)
        file.truncate()
        file.write(header)
    return len(header)
