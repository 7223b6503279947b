"""Parquet and Arrow files with images in them, as Hugging Face's `datasets` writes them.

The image is a struct of `bytes` and `path`, or plain bytes; words are text or lists of texts. Images are unpacked to
ODITS_HOME once, so that every command has them as files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from odits.core.errors import OditsError, WriteError
from odits.core.files import sha256_of
from odits.core.store import Entries
from odits.data.reading import FoundImage, Reader, Reading, files_below, split_of
from odits.data.records import SPLITS, SUFFIXES, BoxedWord, Dataset, ImageRecord
from odits.data.vocabulary import clean_word

PICTURES = Entries("pictures", ".image")
"""Images that were unpacked, by the SHA-256 of their content."""

MAX_GROUP_BYTES = 4 * 2**30
"""The most that a group of rows may hold, unpacked."""

_SUFFIXES = (".parquet", ".arrow")
_BATCH = 64
_IMAGE = ("image", "img", "picture", "jpg", "png")
_LEXICON = ("lexicon", "lexicons")
_WORDS = ("words", "texts", "text", "word", "transcriptions", "transcription", "ocr_words", "label")
_CORNERS = ("polygons", "polygon", "quads", "quad", "points", "boxes", "xyxy")
_BOXES = ("bboxes", "bbox", "xywh")
_NAMES = ("file_name", "filename", "file", "name", "image_id", "id")
_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class _Columns:
    """Which columns hold what; None where none does."""

    image: str
    lexicon: str | None
    words: str | None
    corners: str | None
    boxes: str | None
    name: str | None
    split: str | None

    @property
    def read(self) -> list[str]:
        found = (self.image, self.lexicon, self.words, self.corners, self.boxes, self.name, self.split)
        return [name for name in dict.fromkeys(found) if name]


def _files(place: Path) -> list[Path]:
    """List the files of a data set: the one that is named, or those in a folder and below, caches left out."""
    if place.is_file():
        return [place] if place.suffix.lower() in _SUFFIXES else []
    return [path for path in files_below(place, _SUFFIXES) if not path.name.startswith("cache-")]


def _fits(place: Path) -> bool:
    """Return whether it is a file of images, or a folder of such; a damaged one counts, and is named later."""
    for path in _files(place):
        try:
            if _columns(_schema(path)) is not None:
                return True
        except OditsError:
            return True
    return False


def _read(place: Path) -> Dataset:
    """Read all files; one that can't be read is a warning, and those beside it go on."""
    folder = place if place.is_dir() else place.parent
    reading = Reading(folder)
    records: list[ImageRecord] = []
    boxed = False
    for file in _files(place):
        try:
            for record in _records(reading, file, folder):
                records.append(record)
                boxed = boxed or bool(record.boxed)
        except OditsError as error:
            reading.warn(str(error))
    name = place.resolve().stem or "images"
    remarks = ["Images without a lexicon have the words boxed in them for one."] if boxed else []
    return reading.dataset(name, records, PARQUET.name, *remarks)


def _records(reading: Reading, file: Path, folder: Path) -> Iterator[ImageRecord]:
    """Yield the images of one file, in its order."""
    place = file.relative_to(folder).as_posix()
    columns = _columns(_schema(file))
    if columns is None:
        reading.warn(f"{place} has no column of images; left out.")
        return
    split = split_of(file, folder, by_name=True)
    number = 0
    for rows in _batches(file, columns.read):
        for row in rows:
            number += 1
            record = _record(reading, row, columns, split, f"{place}, row {number}")
            if record is not None:
                yield record


def _record(reading: Reading, row: dict[str, Any], columns: _Columns, split: str, place: str) -> ImageRecord | None:
    image = _image(reading, row, columns, place)
    if image is None:
        return None
    told = str(row[columns.split]).lower() if columns.split else ""
    split = told if told in SPLITS else "eval" if told in ("test", "validation", "val") else split
    words = _texts(row.get(columns.words)) if columns.words else []
    corners = _corners(row, columns)
    boxed: list[BoxedWord] = []
    if corners and len(corners) == len(words):
        found = (reading.box_word(word, points, image, place) for word, points in zip(words, corners, strict=True))
        boxed = [item for item in found if item is not None]
    elif corners:
        reading.warn(
            f"{place}: {len(words)} words and {len(corners)} boxes don't match; the boxes are left out.", "box"
        )
    lexicon = _texts(row.get(columns.lexicon)) if columns.lexicon else []
    lexicon = lexicon or ([item.word for item in boxed] if boxed else words)
    return ImageRecord(image.name, image.path, split, tuple(lexicon), tuple(boxed))


def _image(reading: Reading, row: dict[str, Any], columns: _Columns, place: str) -> FoundImage | None:
    """Unpack the image of a row, or find the file that it names; None, with a warning, where it has neither."""
    cell = row.get(columns.image)
    content, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    told = str(row.get(columns.name) or "") if columns.name else ""
    if isinstance(content, bytes) and content:
        name = _distinct(PurePosixPath(str(path or told).replace("\\", "/")).name or f"{place}", reading.names)
        return reading.open_image(_unpacked(content), name, place)
    if path:
        return reading.find_image(str(path), place)
    reading.warn(f"{place}: it has no image; left out.", "image")
    return None


def _distinct(name: str, taken: set[str]) -> str:
    stem, number, found = PurePosixPath(name), 2, name
    while found in taken:
        suffix = stem.suffix if stem.suffix.lower() in SUFFIXES else ""
        found, number = f"{name.removesuffix(suffix)} ({number}){suffix}", number + 1
    return found


def _unpacked(content: bytes) -> Path:
    """Return the file that holds these bytes, written now where it is missing.

    Raises:
        OditsError: it can't be written.
    """
    key = sha256_of(content)

    def write(path: Path) -> None:
        path.write_bytes(content)

    try:
        return PICTURES.get_or_write(key, write)
    except WriteError as error:
        raise OditsError(f"Images can't be unpacked: {error}") from error


def _texts(cell: Any) -> list[str]:
    """Return the words of a cell: a list as it is, a text taken apart at spaces, commas and semicolons."""
    parts = cell if isinstance(cell, list) else _SEPARATORS.split(cell) if isinstance(cell, str) else ()
    return [word for part in parts if isinstance(part, str) and (word := clean_word(part))]


def _corners(row: dict[str, Any], columns: _Columns) -> list[list[float]]:
    """Return x, y, x, y, … of each word's polygon or box."""
    cell = row.get(columns.corners or columns.boxes or "")
    if not isinstance(cell, list):
        return []
    if cell and not isinstance(cell[0], list):  # of the only word
        cell = [cell]
    found = [_numbers(entry) for entry in cell]
    if columns.corners:
        return found
    return [[x, y, x + width, y + height] for x, y, width, height in (one for one in found if len(one) == 4)]


def _numbers(entry: Any) -> list[float]:
    """Return the numbers of a polygon, [x, y, …] or [[x, y], …]; none where something else is among them."""
    flat: list[Any] = []
    for value in entry if isinstance(entry, list) else []:
        flat += value if isinstance(value, list) else [value]
    good = all(isinstance(value, int | float) and not isinstance(value, bool) for value in flat)
    return [float(value) for value in flat] if good else []


def _columns(schema: Any) -> _Columns | None:
    """Find the columns by their names and types; None where none holds images."""
    import pyarrow as pa

    names = {name.lower(): name for name in schema.names}

    def is_image(name: str) -> bool:
        kind = schema.field(name).type
        if pa.types.is_struct(kind):
            return any(field.name == "bytes" for field in kind)
        return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)

    def is_words(name: str) -> bool:
        kind = schema.field(name).type
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = kind.value_type
        return pa.types.is_string(kind) or pa.types.is_large_string(kind)

    def first(accepted: Sequence[str], test: Callable[[str], bool] = lambda _: True) -> str | None:
        return next((names[name] for name in accepted if name in names and test(names[name])), None)

    image = first(_IMAGE, is_image) or next((name for name in schema.names if is_image(name)), None)
    if image is None:
        return None
    name = first(_NAMES, lambda one: is_words(one) or pa.types.is_integer(schema.field(one).type))
    lexicon, words, split = first(_LEXICON, is_words), first(_WORDS, is_words), first(("split",), is_words)
    return _Columns(image, lexicon, words, first(_CORNERS), first(_BOXES), name, split)


def _schema(file: Path) -> Any:
    """Read what columns a file has.

    Raises:
        OditsError: it is damaged, or no such file.
    """
    import pyarrow.parquet as pq

    with _sentences(file):
        if file.suffix.lower() == ".parquet":
            return pq.read_schema(file)
        with _arrow_reader(file) as reader:
            return reader.schema


def _batches(file: Path, columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a file, some at a time, with these columns.

    Raises:
        OditsError: it is damaged, or unpacks to too much.
    """
    import pyarrow.parquet as pq

    with _sentences(file):
        if file.suffix.lower() != ".parquet":
            with _arrow_reader(file) as reader:
                count = getattr(reader, "num_record_batches", None)
                batches = reader if count is None else (reader.get_batch(index) for index in range(count))
                for batch in batches:
                    for start in range(0, batch.num_rows, _BATCH):
                        yield batch.select(columns).slice(start, _BATCH).to_pylist()
            return
        with pq.ParquetFile(file) as table:
            for index in range(table.num_row_groups):
                if table.metadata.row_group(index).total_byte_size > MAX_GROUP_BYTES:
                    raise OditsError(f"{file.name} unpacks to more than {MAX_GROUP_BYTES // 2**30} GiB at a time.")
            for batch in table.iter_batches(_BATCH, columns=columns):
                yield batch.to_pylist()


def _arrow_reader(file: Path) -> Any:
    """Open an Arrow file of either format, mapped into memory."""
    import pyarrow as pa

    source = pa.memory_map(str(file))
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


@contextmanager
def _sentences(file: Path) -> Iterator[None]:
    """Turn what pyarrow raises over a damaged file in the block into one sentence."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
        kind = file.suffix[1:].capitalize()
        raise OditsError(f"{file.name} is damaged, cut off, or no {kind} file.") from error


PARQUET: Reader = Reader("Parquet or Arrow", "*.parquet or *.arrow with images", _fits, _read)
