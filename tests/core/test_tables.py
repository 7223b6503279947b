"""Tables that are written row by row: whole, resumed, begun anew."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
import pytest

from odits.core.errors import WriteError
from odits.core.tables import BATCH, ArrayFile, fill_table, load_array

TABLE = np.arange(15, dtype=np.float32).reshape(5, 3)


class Rows:
    """Gives out the rows of TABLE, and remembers which were asked for."""

    def __init__(self, end_after: int = 99) -> None:
        self.asked: list[tuple[int, int]] = []
        self.end_after = end_after

    def __call__(self, images: slice) -> np.ndarray:
        if len(self.asked) == self.end_after:
            raise KeyboardInterrupt
        self.asked.append((images.start, images.stop))
        return TABLE[images]


def test_rows_come_in_batches_and_progress_counts_them(tmp_path: Path) -> None:
    rows, seen = Rows(), []
    found = fill_table(tmp_path / "new" / "table.npy", TABLE.shape, rows, lambda done, of: seen.append((done, of)))
    np.testing.assert_array_equal(found, TABLE)
    assert isinstance(found, np.memmap) and found.dtype == np.float32
    assert rows.asked == [(0, 2), (2, 4), (4, 5)] and BATCH == 2
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]


def test_a_whole_table_is_only_read(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    fill_table(path, TABLE.shape, Rows())
    before, rows = path.read_bytes(), Rows()
    np.testing.assert_array_equal(fill_table(path, TABLE.shape, rows), TABLE)
    assert rows.asked == [] and path.read_bytes() == before


@pytest.mark.parametrize(("extra", "first"), [(0, 2), (1, 2), (11, 2), (12, 2), (23, 2), (24, 4)])
def test_an_interrupted_table_is_resumed_at_a_whole_batch(tmp_path: Path, extra: int, first: int) -> None:
    path, whole = tmp_path / "table.npy", tmp_path / "whole.npy"
    with pytest.raises(KeyboardInterrupt):
        fill_table(path, TABLE.shape, Rows(end_after=1))
    fill_table(whole, TABLE.shape, Rows())
    path.write_bytes(whole.read_bytes()[: path.stat().st_size + extra])  # a batch has 24 bytes; this is cut off in one
    rows = Rows()
    np.testing.assert_array_equal(fill_table(path, TABLE.shape, rows), TABLE)
    assert rows.asked[0][0] == first
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("former", [b"", b"no table", b"\x93NUMPY\x01\x00"])
def test_another_file_in_its_place_is_begun_anew(tmp_path: Path, former: bytes) -> None:
    path = tmp_path / "table.npy"
    path.write_bytes(former)
    np.testing.assert_array_equal(fill_table(path, TABLE.shape, Rows()), TABLE)


def test_a_table_of_another_shape_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "table.npy"
    fill_table(path, (3, 5), lambda images: TABLE.reshape(3, 5)[images])
    np.testing.assert_array_equal(fill_table(path, TABLE.shape, Rows()), TABLE)


def test_an_error_of_the_disk_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(WriteError, match=r"table\.npy can't be written: (Not a directory|File exists)\.$"):
        fill_table(tmp_path / "file" / "table.npy", TABLE.shape, Rows())

    def without_a_number(images: slice) -> np.ndarray:
        raise OSError("the cable is out")

    with pytest.raises(WriteError, match=r"can't be written: the cable is out\.$"):
        fill_table(tmp_path / "table.npy", TABLE.shape, without_a_number)

    def full(images: slice) -> np.ndarray:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WriteError, match=r"can't be written: No space left on device\.$"):
        fill_table(tmp_path / "table.npy", TABLE.shape, full)


def test_a_writing_error_of_the_rows_is_passed_on(tmp_path: Path) -> None:
    def rows(images: slice) -> np.ndarray:
        raise WriteError("Another store is full.")

    with pytest.raises(WriteError, match="Another store is full"):
        fill_table(tmp_path / "table.npy", TABLE.shape, rows)


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b"PK\3\4",
            b"\x93NUMPY\1\0\x04\0{(1,",
            b"\x93NUMPY\1\0\x0a\0'''abc\n\n\n",
            b"\x80\x02}.",
            b"not an array",
        ),
        b"\x93NUMPY\1\0v\0"
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 9), }".ljust(117)
        + b"\n",
    ],
)
def test_what_is_no_array_is_a_value_error(content: bytes, tmp_path: Path) -> None:
    """NumPy meets damaged headers with errors of Python's own parser."""
    (tmp_path / "a.npy").write_bytes(content)
    for source in (tmp_path / "a.npy", io.BytesIO(content)):
        with pytest.raises(ValueError):
            load_array(source)


def test_arrays_that_hold_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}, print], object), allow_pickle=True)
    np.savez(tmp_path / "b.npz", a=np.ones(2))
    for name in ("a.npy", "b.npz"):
        with pytest.raises(ValueError):
            load_array(tmp_path / name)


@pytest.mark.parametrize("shape", [(0,), (0, 40), (4, 0), (7,), (5, 3), (2, 4, 2)])
@pytest.mark.parametrize("kind", [np.uint8, np.float16, np.float32])
def test_an_array_written_in_pieces_is_what_numpy_saves(shape: tuple[int, ...], kind: type, tmp_path: Path) -> None:
    values = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    np.save(tmp_path / "whole.npy", values)
    with ArrayFile(tmp_path / "pieces.npy", np.dtype(kind), shape) as file:
        for start in range(0, shape[0], 2):
            file.append(values[start : start + 2])
    assert (tmp_path / "pieces.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_columns_are_written_in_any_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (6, 11), np.uint8)
    with ArrayFile(tmp_path / "columns.npy", values.dtype, values.shape) as file:
        for start in (8, 0, 4):
            file.write_columns(start, values[:, start : start + 4])
    assert np.array_equal(load_array(tmp_path / "columns.npy"), values)


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"somebody's")
    with pytest.raises(FileExistsError):
        ArrayFile(tmp_path / "a.npy", np.dtype(np.uint8), (1,))
    assert (tmp_path / "a.npy").read_bytes() == b"somebody's"
