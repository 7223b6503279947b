"""Parquet and Arrow files with images in them, as Hugging Face's `datasets` writes them.

The image is a struct of `bytes` and `path`, or plain bytes; words are text or lists of texts. Images are unpacked to
ODITS_HOME once, so that every command has them as files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from odits.core.errors import OditsError, WriteError
from odits.core.files import sha256_of
from odits.core.limits import LIMITS
from odits.core.store import Entries
from odits.data.image_columns import Columns, find_columns
from odits.data.reading import FoundImage, Reader, Reading, files_below, split_of
from odits.data.records import SUFFIXES, BoxedWord, Dataset, ImageRecord

PICTURES = Entries("pictures", ".image")
"""Images that were unpacked, by the SHA-256 of their content."""

MAX_GROUP_BYTES = LIMITS.parquet_group_bytes
"""The most that a group of rows may hold, unpacked."""

MAX_ROWS = LIMITS.parquet_rows
"""The most rows of a file: many more fit a small one, all alike."""

_SUFFIXES = (".parquet", ".arrow")
_MAGIC = b"PAR1"
_BATCH, _BATCH_BYTES = 64, 128 * 2**20  # rows, and bytes, that are unpacked at a time
_BOMB_RATIO, _BOMB_BYTES = 100, 2**20


def _files(place: Path) -> list[Path]:
    """List the files of a data set: the one that is named, or those in a folder and below, caches left out."""
    if place.is_file():
        return [place] if place.suffix.lower() in _SUFFIXES else []
    return [path for path in files_below(place, _SUFFIXES) if not path.name.startswith("cache-")]


def _fits(place: Path) -> bool:
    """Return whether it is a file of images, or a folder of such; a damaged one counts, and is named later."""
    for path in _files(place):
        try:
            if _columns_of(path) is not None:
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
    columns = _columns_of(file)
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


def _record(reading: Reading, row: dict[str, Any], columns: Columns, split: str, place: str) -> ImageRecord | None:
    image = _image(reading, row, columns, place)
    if image is None:
        return None
    words, corners = columns.words_of(row)
    boxed: list[BoxedWord] = []
    if corners and len(corners) == len(words):
        found = (reading.box_word(word, points, image, place) for word, points in zip(words, corners, strict=True))
        boxed = [item for item in found if item is not None]
    elif corners:
        reading.warn(
            f"{place}: {len(words)} words and {len(corners)} boxes don't match; the boxes are left out.", "box"
        )
    lexicon = columns.lexicon_of(row) or ([item.word for item in boxed] if boxed else words)
    return ImageRecord(image.name, image.path, columns.split_of(row, split), tuple(lexicon), tuple(boxed))


def _image(reading: Reading, row: dict[str, Any], columns: Columns, place: str) -> FoundImage | None:
    """Unpack the image of a row, or find the file that it names; None, with a warning, where it has neither."""
    content, path, name = columns.image_of(row)
    if content is not None:
        known = PurePosixPath((path or name).replace("\\", "/")).name or place
        return reading.open_image(_unpacked(content), _distinct(known, reading.names), place)
    if path:
        return reading.find_image(path, place)
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


def _columns_of(file: Path) -> Columns | None:
    """Find the columns of a file; None where none holds images.

    Raises:
        OditsError: it is damaged, or no such file.
    """
    import pyarrow.parquet as pq

    with _sentences(file):
        if _is_parquet(file):
            return find_columns(pq.read_schema(file))
        with _arrow_reader(file) as reader:
            return find_columns(reader.schema)


def _batches(file: Path, columns: list[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a file, some at a time, with these columns.

    Raises:
        OditsError: it is damaged, or unpacks to too much.
    """
    import pyarrow.parquet as pq

    with _sentences(file):
        if not _is_parquet(file):
            with _arrow_reader(file) as reader:
                count = getattr(reader, "num_record_batches", None)
                batches = reader if count is None else (reader.get_batch(index) for index in range(count))
                for batch in batches:
                    batch.validate(full=True)  # what doesn't hold would end the process, not raise
                    for start in range(0, batch.num_rows, _BATCH):
                        yield batch.select(columns).slice(start, _BATCH).to_pylist()
            return
        with pq.ParquetFile(file) as table:
            shape = table.metadata
            if shape.num_columns > LIMITS.parquet_columns or shape.num_row_groups > LIMITS.parquet_groups:
                raise OditsError(f"{file.name} has more columns or groups of rows than such a file may have.")
            if shape.num_rows > MAX_ROWS:
                raise OditsError(f"{file.name} has more than the {MAX_ROWS:,} rows such a file may have.")
            largest = 0
            for index in range(table.num_row_groups):
                group = shape.row_group(index)
                if group.total_byte_size > MAX_GROUP_BYTES:
                    raise OditsError(f"{file.name} unpacks to more than {MAX_GROUP_BYTES // 2**30} GiB at a time.")
                largest = max(largest, group.total_byte_size // max(group.num_rows, 1))
            if largest > LIMITS.picture_bytes or largest > _BOMB_RATIO * max(file.stat().st_size, _BOMB_BYTES):
                raise OditsError(f"{file.name} unpacks to more than pictures have, {largest:,} bytes a row.")
            rows = max(1, min(_BATCH, _BATCH_BYTES // max(largest, 1)))
            for batch in table.iter_batches(rows, columns=columns):
                yield batch.to_pylist()


def _is_parquet(file: Path) -> bool:
    """Return whether it is a Parquet file by its content; one that is cut off at its start, by its ending."""
    with file.open("rb") as stream:
        magic = stream.read(len(_MAGIC))
    return magic == _MAGIC or file.suffix.lower() == ".parquet"


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
