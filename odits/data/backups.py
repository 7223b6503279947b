"""Back-up and restoring of all marks, while people mark.

A back-up is a ZIP with a copy of each annotator's file, made by SQLite's online back-up, so that it holds a state that
was there at one moment. Restoring merges: of two marks of one word the newer stays, the history comes along, and each
file is copied beside itself before anything is written into it.
"""

from __future__ import annotations

import io
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from odits.core.errors import OditsError
from odits.core.files import write_atomically
from odits.data.annotation_files import annotation_file, annotators, files_of, read_file, read_history
from odits.data.annotation_imports import all_marks
from odits.data.annotations import history, merge_history
from odits.data.marks import Mark

MAX_FILES = 10_000
MAX_BYTES = 2**30
"""The most bytes of marks, unpacked, that a back-up is read with."""

_SUFFIX = ".db"


class RestoredMarks(NamedTuple):
    """What came of one annotator's file in a back-up.

    Attributes:
        name: the annotator.
        read: how many marks the back-up holds.
        new: how many of them were written here: those that are missing here or older.
        kept: the copy of the file as it was before; None where there was none.
    """

    name: str
    read: int
    new: int
    kept: Path | None


class Restored(NamedTuple):
    """What came of a back-up: the files taken in, and a sentence for each that was not."""

    files: list[RestoredMarks]
    problems: list[str]


def back_up(target: Path) -> dict[str, int]:
    """Write a back-up of everybody's marks; people may go on marking meanwhile.

    Args:
        target: the ZIP to write; an earlier one there is replaced once the new one is whole.

    Returns:
        How many marks of each annotator it holds.

    Raises:
        OditsError: there are no marks, or a file can't be read or written.
    """
    counts: dict[str, int] = {}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in annotators():
            for path in files_of(name):
                content, count = copy_of(path)
                counts[name] = counts.get(name, 0) + count
                archive.writestr(path.name, content)
    if not counts:
        raise OditsError("There are no marks here to back up.")
    try:
        write_atomically(target, stream.getvalue())
    except OSError as error:
        raise OditsError(f"{target} can't be written: {error.strerror or error}.") from error
    return counts


def copy_of(path: Path) -> tuple[bytes, int]:
    """Return a copy of a file of marks as it is at one moment, by SQLite's online back-up, and how many marks it holds.

    Raises:
        OditsError: it can't be read.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="odits-backup-") as folder:
            target = Path(folder) / path.name
            with (
                closing(sqlite3.connect(path, timeout=10)) as source,
                closing(sqlite3.connect(target, isolation_level=None)) as copy,
            ):
                source.backup(copy)
                # the copy is one file: without this it would ask for the log beside it
                copy.execute("PRAGMA journal_mode=DELETE")
                count = copy.execute("SELECT count(*) FROM marks").fetchone()[0]
            return target.read_bytes(), count
    except (sqlite3.Error, OSError) as error:
        raise OditsError(f"The marks in {path.name} can't be copied: {error}.") from error


def restore(file: Path) -> Restored:
    """Take over the marks of a back-up; newer marks here stay, and each file is copied beside itself before.

    Args:
        file: that `back_up` wrote.

    Raises:
        OditsError: it can't be read, or is no back-up.
    """
    files: list[RestoredMarks] = []
    problems: list[str] = []
    try:
        with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory(prefix="odits-restore-") as folder:
            members = _members(archive, file)
            for number, member in enumerate(members):
                unpacked = Path(folder) / f"{number}{_SUFFIX}"
                try:
                    unpacked.write_bytes(archive.read(member))
                    files.append(_restore_one(unpacked))
                except (OditsError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
                    problems.append(f"{ascii(member.filename)[:80]} was not taken over: {error}")
    except zipfile.BadZipFile as error:
        raise OditsError(f"{file} is no back-up of marks.") from error
    except OSError as error:
        raise OditsError(f"{file} can't be read: {error.strerror or error}.") from error
    return Restored(files, problems)


def _members(archive: zipfile.ZipFile, file: Path) -> list[zipfile.ZipInfo]:
    """List the files of a back-up; refuse what is none before anything is unpacked."""
    members = archive.infolist()
    if not members or len(members) > MAX_FILES or not all(one.filename.endswith(_SUFFIX) for one in members):
        raise OditsError(f"{file} is no back-up of marks.")
    if sum(one.file_size for one in members) > MAX_BYTES:
        raise OditsError(f"{file} holds more than {MAX_BYTES >> 30} GiB of marks.")
    return members


def _restore_one(unpacked: Path) -> RestoredMarks:
    """Merge one file of a back-up into the annotator's file here."""
    name, marks = read_file(unpacked)
    changes = read_history(unpacked)
    here = annotation_file(name)
    before = {(about, mark.role): mark for about, mark in all_marks(name)}
    batches = {entry.batch for entry in history(name)}
    new = [(about, mark) for about, mark in marks if _is_new(mark, before.get((about, mark.role)))]
    kept = None
    if not new and all(change.batch in batches for change in changes):
        return RestoredMarks(name, len(marks), 0, None)
    if here.is_file():
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        kept = here.with_name(f"{here.stem}{_SUFFIX}.before-{moment}")
        write_atomically(kept, copy_of(here)[0])
    return RestoredMarks(name, len(marks), merge_history(name, changes, marks), kept)


def _is_new(mark: Mark, here: Mark | None) -> bool:
    return here is None or mark.time > here.time
