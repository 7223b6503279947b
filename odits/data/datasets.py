"""The folder of a data set: found by what names it, read by the reader of its format."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from odits.core.errors import OditsError
from odits.core.files import expand_home
from odits.data.folder import FILE, is_folder, read_folder
from odits.data.records import Dataset
from odits.data.svt import is_svt, read_svt

DEFAULT_FOLDER = Path("data/svt1")
"""Where a data set that nothing names is looked for, below the working folder."""

_FORMATS = ((is_svt, read_svt), (is_folder, read_folder))
_NO_DATA = f"holds no data set: neither train.xml, test.xml nor {FILE} is in it."


def find_data_folder(named: Path | None = None) -> Path | None:
    """Find the folder of the data set: the one named, else ODITS_DATA's, else data/svt1 below the working folder.

    A name may mean the folder itself or one that holds it as `svt1`.

    Args:
        named: as `--data` names it.

    Returns:
        The folder; None where nothing names one and there is no data/svt1.

    Raises:
        OditsError: a folder is named, here or by ODITS_DATA, and holds no data set.
    """
    variable = os.environ.get("ODITS_DATA", "").strip()
    origin = ""
    if named is None and variable:
        named, origin = expand_home(variable), " (named by ODITS_DATA)"
    if named is None:
        return DEFAULT_FOLDER.resolve() if _holds_data(DEFAULT_FOLDER) else None
    for folder in (named, named / "svt1"):
        if _holds_data(folder):
            return folder
    raise OditsError(f"{named}{origin} {_NO_DATA}")


def read_dataset(folder: Path) -> Dataset:
    """Read the data set in a folder: SVT where train.xml or test.xml is in it, else images with lexicons.csv.

    Raises:
        OditsError: the folder holds neither, or what it holds can't be read.
    """
    read = _reader_of(folder)
    if read is None:
        raise OditsError(f"{folder} {_NO_DATA}")
    return read(folder)


def _holds_data(folder: Path) -> bool:
    return _reader_of(folder) is not None


def _reader_of(folder: Path) -> Callable[[Path], Dataset] | None:
    """Return the reader of the folder's format; None where it holds no data set, or can't be looked into."""
    try:
        return next((read for fits, read in _FORMATS if fits(folder)), None)
    except OSError:  # a name too long, or a folder that this user may not enter
        return None
