"""Marks of annotators: which predicted words they hold right or wrong, in a SQLite file per annotator.

Every mark is committed to the disk before it is confirmed, so a crash of the program or of the machine loses none.
As CSV an annotator's marks go to spreadsheets and to other machines.
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from odits.core.errors import OditsError
from odits.core.files import cache_home, sha256_of, write_atomically
from odits.data.csv_tables import unguard, write_table
from odits.data.damaged import first_value, is_sound, readable_rows

VERDICTS = ("right", "wrong", "unsure")
SCHEMA = 1
MAX_NAME = 60
MAX_NOTE = 1000
MAX_BYTES = 32 * 2**20
"""The largest CSV file that is read."""
MAX_FIELD = 4000
"""The most characters that a field of a CSV file may have."""

_APPLICATION = 0x0D175A  # tells our files from other SQLite files
_BUSY_SECONDS = 10.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS annotator (name TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS marks (
    data TEXT NOT NULL, image TEXT NOT NULL, model TEXT NOT NULL, checkpoint TEXT NOT NULL, vocabulary TEXT NOT NULL,
    word TEXT NOT NULL, verdict TEXT NOT NULL, note TEXT NOT NULL, time TEXT NOT NULL,
    PRIMARY KEY (data, image, model, checkpoint, vocabulary, word)
) WITHOUT ROWID""",
)


@dataclass(frozen=True)
class ImageWord:
    """A word that a model predicted for an image: what a mark judges.

    Attributes:
        data: the data set's name.
        image: the image's name within it.
        model: the model's name as shown to users.
        checkpoint: hexadecimal digest of its weights.
        vocabulary: hexadecimal digest of the vocabulary that the model chose from.
        word: the word it predicted.
    """

    data: str
    image: str
    model: str
    checkpoint: str
    vocabulary: str
    word: str


class Mark(NamedTuple):
    """An annotator's judgement of a predicted word.

    Attributes:
        verdict: "right", "wrong" or "unsure".
        note: free text, may be empty.
        time: when it was given, UTC, ISO 8601.
    """

    verdict: str
    note: str = ""
    time: str = ""


KEY_COLUMNS = tuple(field.name for field in fields(ImageWord))
"""The columns that identify a mark, in the order in which files and tables have them."""

COLUMNS = ("annotator", *KEY_COLUMNS, *Mark._fields)
"""The columns of the CSV file."""


def clean_name(name: str) -> str:
    """Normalise an annotator's name: composed (NFC), runs of space made one.

    Raises:
        OditsError: it is empty, longer than 60 characters, or has characters that can't be printed.
    """
    cleaned = " ".join(unicodedata.normalize("NFC", name).split())
    if not cleaned:
        raise OditsError("An annotator needs a name.")
    if len(cleaned) > MAX_NAME:
        raise OditsError(f"An annotator's name may have at most {MAX_NAME} characters.")
    if not cleaned.isprintable():
        raise OditsError("An annotator's name may only have characters that can be printed.")
    return cleaned


def annotation_file(name: str) -> Path:
    """Return the file of an annotator's marks; it need not exist. Different names never share one."""
    cleaned = clean_name(name)
    stem = re.sub(r"[^a-z0-9]+", "-", cleaned.casefold()).strip("-")[:40] or "annotator"
    return _folder() / f"{stem}-{sha256_of(cleaned)[:12]}.db"


def annotators() -> list[str]:
    """List the names of all annotators with a file here, in alphabetical order; damaged files are left out."""
    found = []
    for path in _folder().glob("*.db"):
        try:
            with _reading(path, "") as connection:
                row = connection.execute("SELECT name FROM annotator").fetchone() if connection else None
        except OditsError:
            continue  # it is reported where its marks are asked for
        if row is not None and isinstance(row[0], str) and path.name == _file_name(row[0]):
            found.append(row[0])
    return sorted(found, key=str.casefold)


def _folder() -> Path:
    return cache_home() / "annotations"


def _file_name(name: str) -> str | None:
    try:
        return annotation_file(name).name
    except OditsError:
        return None


def read_marks(name: str, data: str | None = None) -> dict[ImageWord, Mark]:
    """Read all marks of an annotator, or those in one data set; none where the annotator has no file yet.

    Raises:
        OditsError: the file can't be read, is no database, or was written by a newer version.
    """
    query = f"SELECT {', '.join(KEY_COLUMNS)}, verdict, note, time FROM marks"
    with _reading(annotation_file(name), clean_name(name)) as connection:
        if connection is None:
            return {}
        where, values = (" WHERE data = ?", (data,)) if data is not None else ("", ())
        rows = connection.execute(f"{query}{where} ORDER BY {', '.join(KEY_COLUMNS)}", values).fetchall()
    return {ImageWord(*row[: len(KEY_COLUMNS)]): Mark(*row[len(KEY_COLUMNS) :]) for row in rows}


def read_file(path: Path) -> tuple[str, dict[ImageWord, Mark]]:
    """Read whose marks a file from elsewhere holds, and the marks, each checked. Raises OditsError."""
    columns = (*KEY_COLUMNS, *Mark._fields)
    with _reading(path, "") as connection:
        row = connection.execute("SELECT name FROM annotator").fetchone() if connection else None
        if connection is None or row is None or not isinstance(row[0], str):
            raise OditsError("it holds no marks.")
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM marks").fetchall()
    marks: dict[ImageWord, Mark] = {}
    for values in rows:
        if not all(isinstance(value, str) for value in values):
            raise OditsError("a mark in it is no text.")
        found = dict(zip(columns, values, strict=True))
        marks[_image_word(found)] = _mark(found)
    return clean_name(row[0]), marks


def set_mark(name: str, image_word: ImageWord, verdict: str, note: str = "") -> Mark:
    """Write a mark; it replaces an earlier one of the same word.

    Returns:
        The mark as it now lies on the disk.

    Raises:
        OditsError: there is no such verdict, the note is too long, or the file can't be written.
    """
    mark = Mark(verdict, note.strip(), now())
    check_mark(mark)
    # a clock that was set back must not make a mark older than the one that it replaces
    _put(name, [(image_word, mark)], time="max(excluded.time, marks.time)")
    return mark


def check_mark(mark: Mark) -> None:
    """Refuse a mark whose verdict is unknown or whose note is too long.

    Raises:
        OditsError: what is wrong with it.
    """
    if mark.verdict not in VERDICTS:
        raise OditsError(f"There is no verdict {mark.verdict[:40]!r}: choose right, wrong or unsure.")
    if len(mark.note) > MAX_NOTE:
        raise OditsError(f"A note may have at most {MAX_NOTE:,} characters.")


def put_marks(name: str, marks: Iterable[tuple[ImageWord, Mark]], only_newer: bool = False) -> int:
    """Write marks: all in one transaction, or none.

    Args:
        name: the annotator.
        marks: what to write; a mark replaces an earlier one of the same word.
        only_newer: an earlier mark that is as new or newer stays.

    Returns:
        How many were written.

    Raises:
        OditsError: the file can't be written.
    """
    return _put(name, marks, where="WHERE excluded.time > marks.time" if only_newer else "")


def _put(name: str, marks: Iterable[tuple[ImageWord, Mark]], time: str = "excluded.time", where: str = "") -> int:
    """Write marks: with this time, in SQL, where there is an earlier one already that this clause holds for."""
    columns = (*KEY_COLUMNS, *Mark._fields)
    statement = (
        f"INSERT INTO marks ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "
        f"ON CONFLICT DO UPDATE SET verdict = excluded.verdict, note = excluded.note, time = {time} {where}"
    )
    rows = [(*astuple(image_word), *mark) for image_word, mark in marks]
    with _writing(name) as connection:
        return connection.executemany(statement, rows).rowcount


def undo(name: str, image_word: ImageWord) -> None:
    """Remove the annotator's mark of a word, if there is one.

    Raises:
        OditsError: the file can't be written.
    """
    where = " AND ".join(f"{column} = ?" for column in KEY_COLUMNS)
    with _writing(name) as connection:
        connection.execute(f"DELETE FROM marks WHERE {where}", astuple(image_word))


def now() -> str:
    """Return the present time, UTC, to the microsecond: "2026-01-31T12:00:00.000000+00:00"."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@contextmanager
def _reading(path: Path, name: str) -> Iterator[sqlite3.Connection | None]:
    """Connect to the file of an annotator, where it is there; None where it is not, or holds nothing yet."""
    with _disk_errors(path, name, "read"):
        if not path.is_file() or not path.stat().st_size:
            yield None
            return
        _require_sound(path)
        try:
            connection = _connect(path)
        except sqlite3.OperationalError:
            # WAL wants to write even for a reader; on a read-only disk the file is read as it lies
            if Path(f"{path}-wal").exists():
                raise
            connection = _connect(path, "?mode=ro&immutable=1")
        with closing(connection):
            # without a table a writer was killed, or is still at work, before its first mark was there
            yield connection if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] else None


@contextmanager
def _writing(name: str) -> Iterator[sqlite3.Connection]:
    """Open a transaction that is on the disk when the block ends, or leaves no trace where the block failed."""
    path, name = annotation_file(name), clean_name(name)
    with _disk_errors(path, name, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            _require_sound(path)
        with closing(_connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            with connection:  # commits, or rolls back
                for statement in _TABLES:
                    connection.execute(statement)
                if connection.execute("SELECT count(*) FROM annotator").fetchone()[0] == 0:
                    connection.execute("INSERT INTO annotator VALUES (?)", (name,))
                    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                    connection.execute(f"PRAGMA user_version = {SCHEMA}")
                yield connection


def _connect(path: Path, options: str = "") -> sqlite3.Connection:
    """Connect to a file of ours or a new one; raise OditsError where the file is something else."""
    connection = sqlite3.connect(
        path.absolute().as_uri() + options, timeout=_BUSY_SECONDS, uri=True, isolation_level=None
    )
    try:
        used = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if used and application != _APPLICATION:
            raise OditsError(f"{path} is a database of something else. Move it away; it was left as it is.")
        if version > SCHEMA:
            raise OditsError(f"{path} was written by a newer version of this program. Update it to go on.")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _disk_errors(path: Path, name: str, what: str) -> Iterator[None]:
    """Turn failures of the disk and of SQLite inside the block into one sentence.

    Args:
        path: of an annotator's file.
        name: of the annotator; empty where it is not known.
        what: is done with the marks: "read" or "written".
    """
    sentence = f"The marks {f'of {name}' if name else f'in {path.name}'} can't be {what}"
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OditsError(f"{sentence}: {error} ({path}). Nothing marked before is lost.") from error
    except sqlite3.DatabaseError as error:
        raise OditsError(f"{sentence}: {path} is damaged or no database. {_rescue(path, name)}") from error
    except OSError as error:
        raise OditsError(f"{sentence}: {error.strerror or error} ({path}). Nothing marked before is lost.") from error
    except UnicodeEncodeError as error:  # of a file whose name is no text
        raise OditsError(f"{sentence}: {ascii(error.object)[:60]} is no text in Unicode.") from error


# Damaged files.


def damaged_files() -> list[str]:
    """Look into every file of marks here; return a sentence for each that is damaged, and save what it still holds."""
    sentences = []
    for path in sorted(_folder().glob("*.db")):
        try:
            with _reading(path, ""):
                pass
        except OditsError as error:
            sentences.append(str(error))
    return sentences


def _require_sound(path: Path) -> None:
    """Raise where SQLite finds a file damaged; one that has not changed since is not looked through again."""
    status = path.stat()
    if not _is_sound(path, status.st_ino, status.st_size, status.st_mtime_ns):
        raise sqlite3.DatabaseError(f"{path} is damaged")


@lru_cache(maxsize=1024)
def _is_sound(path: Path, _inode: int, _size: int, _modified: int) -> bool:
    return is_sound(path)


def _rescue(path: Path, name: str) -> str:
    """Save the marks that can still be read of a damaged file beside it, as CSV; say what is to be done.

    The file itself stays as it is. The CSV file is named after what it holds, so that no earlier one is overwritten.
    """
    try:
        name = name or clean_name(first_value(path, "annotator", "name") or path.stem)
        marks: dict[ImageWord, Mark] = {}
        for row in readable_rows(path, "marks", (*KEY_COLUMNS, *Mark._fields), len(KEY_COLUMNS)):
            values = dict(zip((*KEY_COLUMNS, *Mark._fields), row, strict=True))
            with suppress(OditsError):  # what a damaged page made of a mark
                marks[_image_word(values)] = _mark(values)
        if not marks:
            return "Move it away; it was left as it is."
        table = marks_csv(name, marks)
        saved = path.with_name(f"{path.stem}-saved-{sha256_of(table)[:8]}.csv")
        if not saved.exists():
            write_atomically(saved, table)
    except (OSError, OditsError):  # a full or read-only disk; a name that is damaged too
        return "Move it away; it was left as it is."
    return f"{len(marks):,} of its marks were saved in {saved.name} beside it: move the damaged file away and add them."


class Conflict(NamedTuple):
    """A word of which there is a mark here already, with another verdict.

    Attributes:
        about: the word.
        here: the mark that there is.
        there: the one in a file.
    """

    about: ImageWord
    here: Mark
    there: Mark


def conflicts_of(here: Mapping[ImageWord, Mark], marks: Mapping[ImageWord, Mark]) -> list[Conflict]:
    """List the words to which an annotator's marks here and those of a file give different verdicts."""
    return [
        Conflict(about, here[about], mark)
        for about, mark in marks.items()
        if about in here and here[about].verdict != mark.verdict
    ]


class ImportedMarks(NamedTuple):
    """What came out of a CSV file: whose marks, how many it holds, and how many of them were new here."""

    name: str
    read: int
    new: int


def marks_csv(name: str, marks: Mapping[ImageWord, Mark]) -> bytes:
    """Write the marks of an annotator as CSV, UTF-8 with a byte order mark: a heading, then a row a mark.

    A field that a spreadsheet would run as a formula gets an apostrophe before it; `import_marks` takes it away again.
    """
    return write_table(COLUMNS, ((name, *astuple(image_word), *mark) for image_word, mark in marks.items()))


def import_marks(content: bytes, file: str = "The file") -> ImportedMarks:
    """Take over the marks of a CSV file that `marks_csv` wrote; of two marks of one word the newer stays.

    Args:
        content: of the file.
        file: what messages call it.

    Raises:
        OditsError: it is no such file, a row is wrong (it is named), or marks can't be written; nothing was taken over.
    """
    name, marks = _marks_of(content, file)
    return ImportedMarks(name, len(marks), put_marks(name, marks.items(), only_newer=True))


def differing_marks(content: bytes, file: str = "The file") -> list[Conflict]:
    """List the words that a CSV file of marks judges otherwise than the same annotator here; see `import_marks`."""
    name, marks = _marks_of(content, file)
    return conflicts_of(read_marks(name), marks)


def _marks_of(content: bytes, file: str) -> tuple[str, dict[ImageWord, Mark]]:
    """Read whose marks a CSV file holds, and the marks."""
    names: set[str] = set()
    marks: dict[ImageWord, Mark] = {}
    for line, row in _rows(content, file):
        try:
            names.add(clean_name(row["annotator"]))
            marks[_image_word(row)] = _mark(row)
        except OditsError as error:
            raise OditsError(f"{file}, line {line}: {error} Nothing was taken over.") from error
    if not names:
        raise OditsError(f"{file} holds no marks.")
    if len(names) > 1:
        raise OditsError(f"{file} holds marks of {len(names)} annotators; a file may hold those of one.")
    return names.pop(), marks


def _rows(content: bytes, file: str) -> list[tuple[int, dict[str, str]]]:
    """Read the rows with the lines they end on, each field as it was before it was guarded."""
    if len(content) > MAX_BYTES:
        raise OditsError(f"{file} is larger than {MAX_BYTES // 2**20} MiB.")
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        if missing := [column for column in COLUMNS if column not in header]:
            raise OditsError(f"{file} is no table of marks: it has no column {missing[0]!r}.")
        found = []
        for row in reader:
            if not any(row):
                continue
            if len(row) != len(header):
                raise OditsError(f"{file}, line {reader.line_num}: {len(row)} fields instead of {len(header)}.")
            found.append((reader.line_num, dict(zip(header, map(unguard, row), strict=True))))
    except UnicodeDecodeError as error:
        raise OditsError(f"{file} is not a text file in UTF-8.") from error
    except csv.Error as error:
        raise OditsError(f"{file} is no CSV file: {error}.") from error
    return found


def _image_word(row: Mapping[str, str]) -> ImageWord:
    values = {column: row[column] for column in KEY_COLUMNS}
    for column, value in values.items():
        if not value or len(value) > MAX_FIELD or "\0" in value:
            raise OditsError(f"{column} is empty or too long.")
    return ImageWord(**values)


def _mark(row: Mapping[str, str]) -> Mark:
    try:
        time = datetime.fromisoformat(row["time"])
        if time.tzinfo is None:
            raise OditsError(f"{row['time'][:40]!r} is a time without its zone.")
        # a clock that runs ahead must not make a mark win for ever
        time = min(time.astimezone(UTC), datetime.now(UTC))
    except (ValueError, OverflowError) as error:  # the latter: before the year 1 in UTC
        raise OditsError(f"{row['time'][:40]!r} is no time.") from error
    mark = Mark(row["verdict"], row["note"], time.isoformat(timespec="microseconds"))
    check_mark(mark)
    return mark
