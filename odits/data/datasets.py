"""The folder of a data set: found by what names it, read by the reader of its format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from odits.core.errors import OditsError
from odits.core.files import expand_home
from odits.data.cocotext import COCO_TEXT, TEXT_OCR
from odits.data.folder import FILE, FOLDER
from odits.data.icdar import ICDAR_2013, ICDAR_2015
from odits.data.iiit import IIIT5K, IIIT_STR
from odits.data.label_files import LABEL_FILES
from odits.data.parquet import PARQUET
from odits.data.reading import Reader
from odits.data.records import Dataset
from odits.data.svt import SVT
from odits.data.totaltext import TOTAL_TEXT

DEFAULT_FOLDER = Path("data/svt1")
"""Where a data set that nothing names is looked for, below the working folder."""

READERS: tuple[Reader, ...] = (
    SVT,
    FOLDER,
    TOTAL_TEXT,
    ICDAR_2013,
    ICDAR_2015,
    COCO_TEXT,
    TEXT_OCR,
    IIIT5K,
    IIIT_STR,
    LABEL_FILES,
    PARQUET,
)
"""The layouts that are recognised; the first that fits is the data set's."""

_EXACT = 2  # so many look only into the folder itself, the others below it too

_NO_DATA = (
    f"holds no data set: neither train.xml, test.xml nor {FILE} is in it, nor is it "
    f"{', '.join(reader.name for reader in READERS[2:-1])}, or a folder of Parquet or Arrow files with images."
)


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
        return DEFAULT_FOLDER.resolve() if _reader_of(DEFAULT_FOLDER) is not None else None
    if _reader_of(named, READERS[:_EXACT]) is None and _reader_of(named / "svt1", READERS[:_EXACT]) is not None:
        return named / "svt1"
    if _reader_of(named) is not None:
        return named
    raise OditsError(f"{named}{origin} {_NO_DATA}")


def read_dataset(folder: Path) -> Dataset:
    """Read the data set in a folder, or in one Parquet or Arrow file, by the first of `READERS` whose layout it has.

    Raises:
        OditsError: it has none of these layouts, or what it holds can't be read.
    """
    reader = _reader_of(folder)
    if reader is None:
        raise OditsError(f"{folder} {_NO_DATA}")
    return reader.read(folder)


def _reader_of(folder: Path, readers: Sequence[Reader] = READERS) -> Reader | None:
    """Return the reader of the folder's layout; None where it holds no data set, or can't be looked into."""
    try:
        return next((reader for reader in readers if reader.fits(folder)), None)
    except OSError:  # a name too long, or a folder that this user may not enter
        return None
