"""An index on the disk: written whole into a folder of its own, then named by a small file, and memory-mapped.

ODITS_HOME/indexes/KEY/index.json says which images the index holds and which folder beside it has its arrays. It is
replaced last, so a build that was killed leaves the former index as it was. A folder that does not fit its description
is no index, and is built again from the readings.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from odits.files import cache_home
from odits.search import bounds
from odits.search.frames import COLUMNS
from odits.spotting.reader import TextLine

VERSION = 1
DESCRIPTION = "index.json"
ARRAYS = ("table", "top", "starts", "columns", "corners", "certainty", "height", "texts", "text_starts")


@dataclass(frozen=True)
class IndexedImage:
    """An image as it was when it was read.

    Attributes:
        name, path: of its file.
        stamp: "size mtime" of the file; another one means that it has changed.
        digest: of its pixels.
        width, height: in pixels.
        lines, frames: of its reading.
        problem: why it can't be searched, in one sentence; empty where it can.
    """

    name: str
    path: str
    stamp: str
    digest: str = ""
    width: int = 0
    height: int = 0
    lines: int = 0
    frames: int = 0
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Index:
    """A collection, ready to be searched.

    Attributes:
        folder: where its arrays are.
        title: of the collection.
        reader: the reader and its settings.
        images: those that can be searched, in the collection's order; their lines follow each other.
        problems: those that can't.
        table: float16 (F + 1, 40), all frames (`odits.search.frames`), the last one `padding`.
        top: symbols uint8 (F + 1,), each frame's most probable letter.
        starts: int64 (R + 1,), the first frame of each of the R lines.
        columns: uint8 (C, R), upper bounds (`odits.search.bounds`).
        corners: float32 (R, 4, 2), of the lines in their images.
        certainty, height: float32 (R,), of the lines (`TextLine`).
        texts, text_starts: UTF-8 bytes of what was read, and int64 (R + 1,) where each line's begin.
    """

    folder: Path
    title: str
    reader: str
    images: tuple[IndexedImage, ...]
    problems: tuple[IndexedImage, ...]
    table: np.ndarray
    top: np.ndarray
    starts: np.ndarray
    columns: np.ndarray
    corners: np.ndarray
    certainty: np.ndarray
    height: np.ndarray
    texts: np.ndarray
    text_starts: np.ndarray

    @cached_property
    def first_lines(self) -> np.ndarray:
        """The first line of each image, and their number at the end, int64 (I + 1,)."""
        return np.concatenate([[0], np.cumsum([image.lines for image in self.images], dtype=np.int64)])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Frames of each line, int64 (R,)."""
        return np.diff(self.starts)

    def text(self, line: int) -> str:
        """What was read in a line."""
        first, last = self.text_starts[line : line + 2]
        return bytes(self.texts[first:last]).decode("utf-8", "replace")

    def place(self, line: int) -> TextLine:
        """A line with its corners and text; of its frames only the number counts."""
        frames = np.zeros((int(self.lengths[line]), 1), np.float16)
        return TextLine(np.asarray(self.corners[line]), 1.0, self.text(line), frames)


def index_folder(key: str) -> Path:
    """Where the index of a collection is kept."""
    return cache_home() / "indexes" / key


def open_index(key: str) -> Index | None:
    """The index of a collection; None where there is none, or it is damaged or of another version."""
    try:
        document = json.loads((index_folder(key) / DESCRIPTION).read_bytes())
        if document["version"] != VERSION:
            return None
        entries = [IndexedImage(**entry) for entry in document["images"]]
        folder = index_folder(key) / document["folder"]
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        images = tuple(entry for entry in entries if not entry.problem)
        problems = tuple(entry for entry in entries if entry.problem)
        index = Index(folder, document["title"], document["reader"], images, problems, **arrays)
        return index if _fits(index) else None
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _fits(index: Index) -> bool:
    lines, frames = sum(image.lines for image in index.images), sum(image.frames for image in index.images)
    return (
        index.table.shape == (frames + 1, COLUMNS)
        and index.columns.shape == (bounds.COUNT, lines)
        and index.starts.shape == index.text_starts.shape == (lines + 1,)
        and index.corners.shape == (lines, 4, 2)
        and len(index.top) == frames + 1
        and len(index.certainty) == len(index.height) == lines
        and int(index.starts[-1]) == frames
        and int(index.text_starts[-1]) <= len(index.texts)
    )


def description(title: str, reader: str, folder: str, images: list[IndexedImage]) -> bytes:
    """The bytes of index.json."""
    document = {"version": VERSION, "title": title, "reader": reader, "folder": folder}
    return json.dumps(document | {"images": [asdict(image) for image in images]}).encode()


def forget_index(key: str) -> None:
    """Nothing; the index of a collection is gone afterwards, its readings are not."""
    (index_folder(key) / DESCRIPTION).unlink(missing_ok=True)
    shutil.rmtree(index_folder(key), ignore_errors=True)
