"""An index on the disk: written whole into a folder of its own, then named by a small file, and memory-mapped.

KEY/index.json in the store of indexes says which images the index holds and which folder beside it has its arrays; it
is replaced last, so a build that was killed leaves the former index as it was. A folder that does not fit its
description is no index, and is built again from the readings.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from array import array
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.core.files import replacing_folder, write_atomically
from odits.core.pool import Item, Workers
from odits.core.store import Entries
from odits.core.tables import ArrayFile, load_array
from odits.data.images import image_digest, open_image
from odits.data.records import Collection
from odits.models.reading.batch import read_images
from odits.models.reading.ctc import DEFAULT
from odits.models.reading.reader import TextLine, TextReader, is_read, stored_reading
from odits.search import frames as bounds
from odits.search.frames import COLUMNS, frame_table, padding, top_letters

VERSION = 1
INDEXES = Entries("indexes", version=VERSION)
"""Indexes by their collection's key, each a folder."""
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
        columns: uint8 (C, R), upper bounds (`odits.search.frames`).
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
        """Return what was read in a line."""
        first, last = self.text_starts[line : line + 2]
        return bytes(self.texts[first:last]).decode("utf-8", "replace")

    def place(self, line: int) -> TextLine:
        """Return a line with its corners and text; of its frames only the number counts."""
        frames = np.zeros((int(self.lengths[line]), 1), np.float16)
        return TextLine(np.asarray(self.corners[line]), 1.0, self.text(line), frames)


def index_folder(key: str) -> Path:
    """Return where the index of a collection lies."""
    return INDEXES.path(key)


def open_index(key: str) -> Index | None:
    """Open the index of a collection; None where there is none, or it is damaged or of another version."""
    try:
        document = parse_json((index_folder(key) / DESCRIPTION).read_bytes())
        if document["version"] != VERSION:
            return None
        entries = [IndexedImage(**entry) for entry in document["images"]]
        folder = index_folder(key) / document["folder"]
        arrays = {name: load_array(folder / f"{name}.npy") for name in ARRAYS}
        images = tuple(entry for entry in entries if not entry.problem)
        problems = tuple(entry for entry in entries if entry.problem)
        index = Index(folder, document["title"], document["reader"], images, problems, **arrays)
        return index if _fits(index) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
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
    """Return the bytes of index.json."""
    document = {"version": VERSION, "title": title, "reader": reader, "folder": folder}
    return json.dumps(document | {"images": [asdict(image) for image in images]}).encode()


def remove_index(key: str) -> None:
    """Remove the index of a collection; its readings stay."""
    (index_folder(key) / DESCRIPTION).unlink(missing_ok=True)
    INDEXES.remove(key)


# Building an index: every image is read once, then the readings are laid out for searching.
#
# Readings are stored one by one (`odits.models.reading.reader`), so a build that was stopped or killed goes on where it
# was, and a change in the collection costs the new images only.


Progress = Callable[[str, int, int], None]
"""Called with (what is being done, images done, images in all); what it raises stops the build."""
IN_PROCESSES = Workers()
"""As many processes as there are cores: reading uses one each."""
_LINES = 4096  # whose bounds are computed at a time
_COMPARED = 50  # images at most whose pixels are compared, since only their time differs


def no_phases(_what: str, _done: int, _of: int) -> None:
    """Ignore how far the work is."""


def is_current(collection: Collection, index: Index | None, reader: TextReader) -> bool:
    """Return whether an index holds exactly the collection's images as they are now."""
    if index is None or index.reader != settings_of(reader):
        return False
    entries = {(entry.name, entry.path): entry for entry in (*index.images, *index.problems)}
    records = {(item.name, str(item.path)): stamp_of(item.path) for item in collection.records}
    if entries.keys() != records.keys():
        return False
    others = [(entry, records[name]) for name, entry in entries.items() if entry.stamp != records[name]]
    return len(others) <= _COMPARED and all(_same_pixels(entry, stamp) for entry, stamp in others)


def is_unchanged(entry: IndexedImage) -> bool:
    """Return whether the file of an image still holds what was read."""
    stamp = stamp_of(Path(entry.path))
    return stamp == entry.stamp or _same_pixels(entry, stamp)


def _same_pixels(entry: IndexedImage, stamp: str) -> bool:
    """Return whether a file with another time shows the same: an update of the explorer writes its images anew."""
    as_large = stamp.partition(" ")[0] == entry.stamp.partition(" ")[0]
    return as_large and bool(entry.digest) and _pixels_of(entry.path, stamp) == entry.digest


@lru_cache(maxsize=1024)
def _pixels_of(path: str, _stamp: str) -> str:
    try:
        return image_digest(open_image(Path(path)))
    except OditsError:
        return ""


def settings_of(reader: TextReader) -> str:
    """Describe what an index depends on besides its images."""
    return f"{reader.key}, {DEFAULT.boundary:g} for an end within a longer word"


def stamp_of(path: Path) -> str:
    """Return the size and the time of change of a file; empty where it is gone."""
    try:
        status = os.stat(path)  # noqa: PTH116  (a hundred thousand of them: the plain call is the fast one)
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def build_index(collection: Collection, workers: Workers = IN_PROCESSES, progress: Progress = no_phases) -> Index:
    """Return the index of a collection: the stored one if nothing has changed, else a new one.

    Args:
        collection: what is searched.
        workers: where they are read; by default in a process for each core, at most eight.
        progress: as `Progress` says.

    Raises:
        OditsError: no image can be read, the disk is full, or somebody else is building the same index.
    """
    reader = TextReader()
    folder = index_folder(collection.key)
    with INDEXES.lock(collection.key, "This index is being built already; please wait for it to end."):
        stored = open_index(collection.key)
        if stored is not None and is_current(collection, stored, reader):
            return stored
        entries = _read(collection, stored, reader, workers, progress)
        name = secrets.token_hex(8)
        with replacing_folder(folder / name) as arrays:
            _lay_out(arrays, entries, reader, progress)
        write_atomically(folder / DESCRIPTION, description(collection.title, settings_of(reader), name, entries))
        for other in folder.iterdir():  # the former one, and what a killed build left
            if other.is_dir() and other.name != name:
                shutil.rmtree(other, ignore_errors=True)
    found = open_index(collection.key)
    if found is None:
        raise OditsError(f"The index of {collection.title} can't be read back from {folder}.")
    return found


def _read(
    collection: Collection, former: Index | None, reader: TextReader, workers: Workers, progress: Progress
) -> list[IndexedImage]:
    """List all images of the collection with their readings' sizes; those that are new or have changed are read."""
    known: dict[tuple[str, str], IndexedImage] = {}
    if former is not None and former.reader == settings_of(reader):
        known = {(entry.path, entry.stamp): entry for entry in former.images}
    found: dict[int, IndexedImage] = {}
    unread: dict[int, IndexedImage] = {}
    for place, record in enumerate(collection.records):
        fresh = IndexedImage(record.name, str(record.path), stamp_of(record.path))
        entry = known.get((fresh.path, fresh.stamp))
        if entry is not None and is_read(entry.digest, reader.key):
            found[place] = replace(entry, name=fresh.name)
        else:
            unread[place] = fresh
    places, before = list(unread), len(found)
    items = [Item(collection.records[place].name, collection.records[place].source) for place in places]

    def report(done: int, _: int) -> None:
        progress("Reading images", before + done, len(collection.records))

    with closing(read_images(items, reader, workers, report)) as outcomes:
        for index, image, problem in outcomes:
            entry = unread[places[index]]
            if problem is None:
                lengths = [len(line.frames) for line in image.lines if len(line.frames)]
                found[places[index]] = replace(
                    entry,
                    digest=image.digest,
                    width=image.width,
                    height=image.height,
                    lines=len(lengths),
                    frames=sum(lengths),
                )
            else:
                found[places[index]] = replace(entry, problem=problem)
    return [found[place] for place in range(len(collection.records))]


def _lay_out(folder: Path, entries: list[IndexedImage], reader: TextReader, progress: Progress) -> None:
    """Write the arrays of an index into an empty folder."""
    images = [entry for entry in entries if not entry.problem]
    frames, lines = sum(image.frames for image in images), sum(image.lines for image in images)
    try:
        needed = (frames + 1) * (2 * COLUMNS + 1) + lines * (bounds.COUNT + 100)
        if shutil.disk_usage(folder).free < needed + 2**26:
            raise OditsError(f"The index needs {needed / 2**20:,.0f} MB, and {folder.parent} has less left.")
        writer = ArrayWriter(folder, frames, lines)
        for done, image in enumerate(images):
            read = stored_reading(image.digest, reader.key)
            if read is None:
                raise OditsError(f"The reading of {image.name} was removed meanwhile: build the index again.")
            writer.add([line for line in read if len(line.frames)])
            progress("Laying out the index", done + 1, len(images))
        writer.finish()
    except OSError as error:
        raise OditsError(f"The index can't be written to {folder.parent}: {error.strerror or error}.") from error


class ArrayWriter:
    """Writes the arrays of an index of known size, line by line; only the last few thousand lines are in memory.

    Args:
        folder: exists and is empty.
        frames: how many there will be in all.
        lines: how many there will be.
    """

    def __init__(self, folder: Path, frames: int, lines: int) -> None:
        def new(name: str, kind: type, *shape: int) -> ArrayFile:
            return ArrayFile(folder / f"{name}.npy", np.dtype(kind), shape)

        self._folder = folder
        self._table, self._top = new("table", np.float16, frames + 1, COLUMNS), new("top", np.uint8, frames + 1)
        self._columns = new("columns", np.uint8, bounds.COUNT, lines)
        self._corners = new("corners", np.float32, lines, 4, 2)
        self._of_lines = {name: new(name, np.float32, lines) for name in ("certainty", "height")}
        self._starts, self._text_starts = array("q", [0]), array("q", [0])
        self._texts = bytearray()
        self._unbounded: list[np.ndarray] = []  # tables of the lines whose bounds are not written yet

    def add(self, lines: list[TextLine]) -> None:
        """Write lines behind those that were added before."""
        for line in lines:
            self.add_frames(frame_table(line.frames), line.corners, line.certainty, line.height, line.text)

    def add_frames(self, table: np.ndarray, corners: np.ndarray, certainty: float, height: float, text: str) -> None:
        """Write a line whose frames are rows of the table already."""
        self._table.append(table)
        self._top.append(top_letters(table))
        self._corners.append(corners)
        self._of_lines["certainty"].append(np.array([certainty]))
        self._of_lines["height"].append(np.array([height]))
        self._texts += text.encode("utf-8", "replace")
        self._starts.append(self._starts[-1] + len(table))
        self._text_starts.append(len(self._texts))
        self._unbounded.append(table)
        if len(self._unbounded) >= _LINES:
            self._bound()

    def _bound(self) -> None:
        if self._unbounded:
            lengths = np.array([len(table) for table in self._unbounded], np.int64)
            found = bounds.columns_of(
                np.concatenate([*self._unbounded, padding()]), lengths.cumsum() - lengths, lengths
            )
            self._columns.write_columns(len(self._starts) - 1 - len(self._unbounded), found)
            self._unbounded = []

    def finish(self) -> None:
        """Write what is left: all arrays are on the disk then."""
        self._bound()
        self._table.append(padding())
        self._top.append(np.array([1]))
        for file in (self._table, self._top, self._columns, self._corners, *self._of_lines.values()):
            file.close()
        rest: dict[str, np.ndarray] = {
            "starts": np.array(self._starts, np.int64),
            "texts": np.frombuffer(self._texts, np.uint8),
            "text_starts": np.array(self._text_starts, np.int64),
        }
        for name, values in rest.items():
            np.save(self._folder / f"{name}.npy", values)
