"""Files for other tools: which format a file gets, how it names its pictures, and how tables are written."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from odits.core.errors import OditsError
from odits.core.files import clear_interrupted, write_atomically
from odits.data.csv_tables import write_table
from odits.data.images import Size
from odits.data.predictions import WordProbability

ENDINGS = {"label-studio": ".json", "cvat": ".xml", "csv": ".csv", "parquet": ".parquet"}
"""The formats with the endings that mean them."""

TITLES = {"label-studio": "Label Studio", "cvat": "CVAT", "csv": "CSV", "parquet": "Parquet", "coco": "COCO"}
LOCAL_FILES = "/data/local-files/?d="
"""What Label Studio puts before the path of a picture that lies on its own machine."""

SHAPES = ("polygon", "mask", "box")
"""How an object is drawn: its outline (which can be edited), its very pixels, or the box around it."""

Files = dict[str, bytes]
"""Contents by the endings of the files' names: one file, or one with others beside it."""


class WordsOfImage(NamedTuple):
    """The words that a model predicts for one image, best first.

    Attributes:
        image: its name within the data set.
        size: width and height of the upright picture.
        words: with their probabilities.
    """

    image: str
    size: Size
    words: Sequence[WordProbability]


class Predictor(NamedTuple):
    """Who predicted words, and of what: what a mark of one of them is about.

    Attributes:
        data: name of the data set.
        model: as shown to users.
        checkpoint: hexadecimal digest of its weights.
        vocabulary: hexadecimal digest of the words that it chose from.
    """

    data: str
    model: str
    checkpoint: str
    vocabulary: str


def format_of(path: Path, named: str | None, allowed: Sequence[str] = tuple(ENDINGS)) -> str:
    """Return the format of a file to write: the one that is named, else the one that its ending means.

    Args:
        path: of the file.
        named: a format, or None.
        allowed: formats that there are here.

    Raises:
        OditsError: there is no such format, or the ending means none.

    Example:
        >>> format_of(Path("objects.xml"), None)
        'cvat'
    """
    if named is not None:
        if named not in allowed:
            raise OditsError(f"There is no format {named!r} here; there is {', '.join(allowed)}.")
        return named
    found = next((name for name in allowed if ENDINGS.get(name) == path.suffix.lower()), None)
    if found is None:
        endings = ", ".join(f"{ENDINGS[name]} ({TITLES[name]})" for name in allowed if name in ENDINGS)
        raise OditsError(f"The ending of {path.name} means no format: use {endings}, or name it with --format.")
    return found


def write_files(path: Path, files: Files) -> list[Path]:
    """Write an export: the file itself at `path`, those beside it named after it; return their paths.

    Raises:
        WriteError: one can't be written.
    """
    written: list[Path] = []
    clear_interrupted(path.parent)
    for ending, content in files.items():
        place = path if not written else path.with_name(f"{path.stem}{ending}")
        write_atomically(place, content)
        written.append(place)
    return written


def relative_names(paths: Sequence[Path]) -> list[str]:
    """Name files by their paths below the folder that all of them share, with forward slashes."""
    whole = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100  (links stay as they are named)
    if not whole:
        return []
    shared = Path(os.path.commonpath([path.parent for path in whole]))
    return [path.relative_to(shared).as_posix() for path in whole]


def picture_address(name: str, prefix: str | None, default: str = "") -> str:
    """Return how a file for another tool refers to a picture.

    Args:
        name: of the picture, a path with forward slashes.
        prefix: an address or a folder that stands before the name; None for the tool's own default.
        default: of the tool.
    """
    first = default if prefix is None else prefix
    is_address = "://" in first or "?" in first
    return first + (quote(name) if is_address else name)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], format: str) -> Files:
    """Write a table as CSV, cells that a spreadsheet would run made harmless, or as Parquet."""
    if format == "csv":
        return {".csv": write_table(columns, rows)}
    import pyarrow as pa
    import pyarrow.parquet as pq

    listed = [list(row) for row in rows]
    values = {column: [row[place] for row in listed] for place, column in enumerate(columns)}
    stream = io.BytesIO()
    pq.write_table(pa.table(values), stream)
    return {".parquet": stream.getvalue()}
