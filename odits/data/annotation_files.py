"""The SQLite file of each annotator: where it lies, how it is opened, brought up to date, and saved when damaged.

Names that differ only in case are one annotator, who is shown under the first spelling. Files of schema 1, in which a
mark belonged to a model too and every spelling had a file of its own, are read as they are and brought up to date with
the next change: of several marks of one word the newest counts, and all are in the history.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from odits.core.errors import OditsError
from odits.core.files import cache_home, move_into_place, sha256_of, write_atomically
from odits.data.annotation_tables import marks_csv
from odits.data.damaged import first_value, is_sound, readable_rows
from odits.data.marks import (
    ADJUDICATION,
    ANNOTATION,
    KEY_COLUMNS,
    MARK_COLUMNS,
    SKIPPED,
    VERDICTS,
    ImageWord,
    Mark,
    Shown,
    check_id,
    clean_name,
    fold_name,
    mark_of,
    to_row,
    word_of,
)

SCHEMA = 2
WORD_COLUMNS = (*KEY_COLUMNS, "role")
"""The primary key of the table of marks."""
TABLE_COLUMNS = (*WORD_COLUMNS, *MARK_COLUMNS)
HISTORY_COLUMNS = ("batch", "place", *WORD_COLUMNS, "old", *MARK_COLUMNS)
LEGACY_COLUMNS = ("data", "image", "model", "checkpoint", "vocabulary", "word", "verdict", "note", "time")
_LEGACY_KEYS = 6

_APPLICATION = 0x0D175A  # tells our files from other SQLite files
_BUSY_SECONDS = 10.0


def _columns(names: Iterable[str]) -> str:
    return ", ".join(f"{name} TEXT NOT NULL" for name in names)


_TABLES = (
    "CREATE TABLE IF NOT EXISTS annotator (name TEXT NOT NULL)",
    # all text and without rowids: `odits.data.damaged` reads such rows from damaged files
    f"""CREATE TABLE IF NOT EXISTS marks (
    {_columns(TABLE_COLUMNS)}, PRIMARY KEY ({", ".join(WORD_COLUMNS)})
) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY AUTOINCREMENT, batch TEXT NOT NULL UNIQUE, "
    "session TEXT NOT NULL, reverts TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS batches_of_session ON batches (session)",
    f"""CREATE TABLE IF NOT EXISTS history (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, batch TEXT NOT NULL, place INTEGER NOT NULL,
    {_columns(HISTORY_COLUMNS[2:])}
)""",
    "CREATE UNIQUE INDEX IF NOT EXISTS history_of_batch ON history (batch, place)",
    f"CREATE INDEX IF NOT EXISTS history_of_word ON history ({', '.join(WORD_COLUMNS)})",
)
INSERT_BATCH = "INSERT OR IGNORE INTO batches (batch, session, reverts)"
INSERT_HISTORY = (
    f"INSERT OR IGNORE INTO history ({', '.join(HISTORY_COLUMNS)}) VALUES ({', '.join('?' * len(HISTORY_COLUMNS))})"
)
REPLACE_MARK = (
    f"INSERT OR REPLACE INTO marks ({', '.join(TABLE_COLUMNS)}) VALUES ({', '.join('?' * len(TABLE_COLUMNS))})"
)


def annotation_folder() -> Path:
    """Return the folder with a file an annotator; it may be missing."""
    return cache_home() / "annotations"


def annotation_file(name: str) -> Path:
    """Return the file of an annotator's marks; it need not exist. Different annotators never share one."""
    return annotation_folder() / f"{_stem(name)}-{sha256_of(fold_name(name))[:12]}.db"


def _stem(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", clean_name(name).casefold()).strip("-")[:40] or "annotator"


def _legacy_file_name(name: str) -> str:
    """Return how the file of this spelling was called under schema 1."""
    return f"{_stem(name)}-{sha256_of(clean_name(name))[:12]}.db"


def annotators() -> list[str]:
    """List the names of all annotators with a file here, in alphabetical order; damaged files are left out."""
    found: dict[str, str] = {}
    for path in sorted(annotation_folder().glob("*.db")):
        try:
            name = _owner(path)
            if name is None:
                continue
            if path.name == annotation_file(name).name:
                found[fold_name(name)] = name
            elif path.name == _legacy_file_name(name):
                found.setdefault(fold_name(name), name)
        except OditsError:
            continue  # it is reported where its marks are asked for
    return sorted(found.values(), key=str.casefold)


def _owner(path: Path) -> str | None:
    with reading(path, "") as connection:
        row = connection.execute("SELECT name FROM annotator").fetchone() if connection else None
    return row[0] if row is not None and isinstance(row[0], str) else None


# Opening.


@contextmanager
def reading(path: Path, name: str) -> Iterator[sqlite3.Connection | None]:
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
def writing(name: str) -> Iterator[sqlite3.Connection]:
    """Open a transaction that is on the disk when the block ends, or leaves no trace where the block failed."""
    path, name = annotation_file(name), clean_name(name)
    with _disk_errors(path, name, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            _require_sound(path)
        merged: list[Path] = []
        with closing(_connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            with connection:  # commits, or rolls back
                if schema_of(connection) < SCHEMA:
                    merged = _bring_up_to_date(connection, path, name)
                yield connection
        _note_sound(path)
        for old in merged:
            if not Path(f"{old}-wal").exists():
                move_into_place(old, old.with_name(f"{old.name}.merged"))


def _connect(path: Path, options: str = "") -> sqlite3.Connection:
    """Connect to a file of ours or a new one; raise OditsError where the file is something else."""
    connection = sqlite3.connect(
        path.absolute().as_uri() + options, timeout=_BUSY_SECONDS, uri=True, isolation_level=None
    )
    try:
        used = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if used and application != _APPLICATION:
            raise OditsError(f"{path} is a database of something else. Move it away; it was left as it is.")
        if schema_of(connection) > SCHEMA:
            raise OditsError(f"{path} was written by a newer version of this program. Update it to go on.")
    except BaseException:
        connection.close()
        raise
    return connection


def schema_of(connection: sqlite3.Connection) -> int:
    """Return the schema of a file: 0 where it has no tables yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def read_file(path: Path) -> tuple[str, list[tuple[ImageWord, Mark]]]:
    """Read whose marks a file from elsewhere holds, and the marks, each checked. Raises OditsError."""
    with reading(path, "") as connection:
        row = connection.execute("SELECT name FROM annotator").fetchone() if connection else None
        if connection is None or row is None or not isinstance(row[0], str):
            raise OditsError("it holds no marks.")
        columns = TABLE_COLUMNS if schema_of(connection) == SCHEMA else LEGACY_COLUMNS
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM marks ORDER BY time").fetchall()
    if not all(isinstance(value, str) for values in rows for value in values):
        raise OditsError("a mark in it is no text.")
    found = [dict(zip(columns, values, strict=True)) for values in rows]
    return clean_name(row[0]), [(word_of(values), mark_of(values)) for values in found]


class StoredChange(NamedTuple):
    """A row of a history as another file has it.

    Attributes:
        batch: the id of the changes that were made together; `session` and `reverts` are its own.
        session: see `batch`.
        reverts: see `batch`.
        key: the word and the role, by `WORD_COLUMNS`.
        old: the verdict before; empty where there was none.
        mark: the mark after it; without a verdict where it was removed.
    """

    batch: str
    session: str
    reverts: str
    key: tuple[str, ...]
    old: str
    mark: Mark


def read_history(path: Path) -> list[StoredChange]:
    """Read the history in a file from elsewhere, in order, each change checked; none in a file of schema 1.

    Raises:
        OditsError: a change is none.
    """
    columns = ", ".join(f"history.{column}" for column in HISTORY_COLUMNS)
    question = (
        f"SELECT session, reverts, {columns} FROM history JOIN batches ON history.batch = batches.batch "
        "ORDER BY sequence"
    )
    found = []
    with reading(path, "") as connection:
        if connection is None or schema_of(connection) < SCHEMA:
            return []
        for session, reverts, batch, _, *texts in connection.execute(question):
            if not all(isinstance(value, str) for value in (session, reverts, batch, *texts)):
                raise OditsError("a change in it is no text.")
            for value, what in ((batch, "batch"), (reverts, "batch"), (session, "session")):
                check_id(value, what)
            values = dict(zip(HISTORY_COLUMNS[2:], texts, strict=True))
            about = word_of(values)
            if values["role"] not in (ANNOTATION, ADJUDICATION) or values["old"] not in ("", *VERDICTS):
                raise OditsError("a change in it is none.")
            # a removal has no verdict; all else of it is checked like that of any other change
            mark = mark_of(values | {"verdict": values["verdict"] or SKIPPED})._replace(verdict=values["verdict"])
            key = (*astuple(about), values["role"])
            found.append(StoredChange(batch, session, reverts, key, values["old"], mark))
    return found


# Files of schema 1.


def files_of(name: str) -> list[Path]:
    """List the files that hold an annotator's marks: one, or before the first change also those of other spellings."""
    path = annotation_file(name)
    with reading(path, clean_name(name)) as connection:
        if connection is not None and schema_of(connection) == SCHEMA:
            return [path]
    return [*([path] if path.is_file() else []), *_legacy_files(path, name)]


def legacy_marks(name: str) -> list[tuple[ImageWord, Mark]]:
    """Read the marks of an annotator that still lie in files of schema 1, of all spellings, the oldest first."""
    marks: list[tuple[ImageWord, Mark]] = []
    for one in files_of(name):
        with reading(one, clean_name(name)) as connection:
            if connection is not None and schema_of(connection) < SCHEMA:
                marks += read_legacy(connection)
    return sorted(marks, key=lambda pair: pair[1].time)


def read_legacy(connection: sqlite3.Connection) -> list[tuple[ImageWord, Mark]]:
    """Read the marks of a file of schema 1, the oldest first; there may be several of one word, of several models."""
    rows = connection.execute(
        f"SELECT {', '.join(LEGACY_COLUMNS)} FROM marks ORDER BY time, {', '.join(LEGACY_COLUMNS[:_LEGACY_KEYS])}"
    )
    return [_legacy(row) for row in rows]


def _legacy(row: tuple[str, ...]) -> tuple[ImageWord, Mark]:
    data, image, model, checkpoint, vocabulary, word, verdict, note, time = row
    return ImageWord(data, image, word), Mark(verdict, note, time, Shown(model, checkpoint, vocabulary))


def _legacy_files(path: Path, name: str) -> list[Path]:
    """List the files that other spellings of the same name had under schema 1."""
    found = []
    for one in sorted(path.parent.glob(f"{_stem(name)}-*.db")):
        if one != path:
            with suppress(OditsError):  # damaged: it is named at the start, and by `odits annotations list`
                owner = _owner(one)
                if owner is not None and fold_name(owner) == fold_name(name) and one.name == _legacy_file_name(owner):
                    found.append(one)
    return found


def _bring_up_to_date(connection: sqlite3.Connection, path: Path, name: str) -> list[Path]:
    """Make the tables; take over what files of schema 1 hold, and return those that are of no use any more."""
    found: list[tuple[ImageWord, Mark]] = []
    others = _legacy_files(path, name)
    if schema_of(connection):
        found += read_legacy(connection)
        connection.execute("DROP TABLE marks")
        name = connection.execute("SELECT name FROM annotator").fetchone()[0]
        connection.execute("DROP TABLE annotator")
    elif others:
        name = _owner(others[0]) or name
    for other in others:
        with reading(other, name) as source:
            found += read_legacy(source) if source is not None else []
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO annotator VALUES (?)", (name,))
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")
    if found:
        batch = f"schema 1 {uuid.uuid4().hex}"
        connection.execute(f"{INSERT_BATCH} VALUES (?, '', '')", (batch,))
        verdicts: dict[ImageWord, str] = {}
        for place, (about, mark) in enumerate(sorted(found, key=lambda pair: pair[1].time)):
            key, row = (*astuple(about), ANNOTATION), to_row(mark)
            connection.execute(INSERT_HISTORY, (batch, place, *key, verdicts.get(about, ""), *row))
            connection.execute(REPLACE_MARK, (*key, *row))
            verdicts[about] = mark.verdict
    return others


# Damaged files.


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


def damaged_files() -> list[str]:
    """Look into every file of marks here; return a sentence for each that is damaged, and save what it still holds."""
    sentences = []
    for path in sorted(annotation_folder().glob("*.db")):
        try:
            with reading(path, ""):
                pass
        except OditsError as error:
            sentences.append(str(error))
    return sentences


Stamp = tuple[int, int, int]


def _require_sound(path: Path) -> None:
    """Raise where SQLite finds a file damaged; one that only this process has changed since is not looked through."""
    noted, stamp = _sound_stamps(path), _stamp(path)
    if stamp not in noted:
        if not is_sound(path):
            raise sqlite3.DatabaseError(f"{path} is damaged")
        noted[:] = [stamp]


def _note_sound(path: Path) -> None:
    """Remember a file that was found sound and that SQLite has written since: with many marks looking takes long."""
    with suppress(OSError):
        _sound_stamps(path)[:] = [_stamp(path)]


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1024)
def _sound_stamps(_path: Path) -> list[Stamp]:
    """Return the one list in which the state of a file is noted that was last found sound."""
    return []


def _rescue(path: Path, name: str) -> str:
    """Save the marks that can still be read of a damaged file beside it, as CSV; say what is to be done.

    The file itself stays as it is. The CSV file is named after what it holds, so that no earlier one is overwritten.
    """
    try:
        name = name or clean_name(first_value(path, "annotator", "name") or path.stem)
        marks = _readable_marks(path)
        if not marks:
            return "Move it away; it was left as it is."
        table = marks_csv(name, marks)
        saved = path.with_name(f"{path.stem}-saved-{sha256_of(table)[:8]}.csv")
        if not saved.exists():
            write_atomically(saved, table)
    except (OSError, OditsError):  # a full or read-only disk; a name that is damaged too
        return "Move it away; it was left as it is."
    return f"{len(marks):,} of its marks were saved in {saved.name} beside it: move the damaged file away and add them."


def _readable_marks(path: Path) -> list[tuple[ImageWord, Mark]]:
    """Read what can be read of the marks of a damaged file, of either schema: rows tell which by their length."""
    marks: list[tuple[ImageWord, Mark]] = []
    for columns, keys in ((TABLE_COLUMNS, len(WORD_COLUMNS)), (LEGACY_COLUMNS, _LEGACY_KEYS)):
        for row in readable_rows(path, "marks", columns, keys):
            values = dict(zip(columns, row, strict=True))
            with suppress(OditsError):  # what a damaged page made of a mark
                marks.append((word_of(values), mark_of(values)))
    return marks
