"""The marks of annotators and their history, in a SQLite file per annotator.

Every change is committed to the disk before it is confirmed, so a crash of the program or of the machine loses none.
Nothing is ever taken out of the history: removing a mark, undo and redo are changes too. Changes that are made together
are a batch; a batch with an id that was applied before changes nothing, so whoever got no answer sends it again.
"""

from __future__ import annotations

import heapq
import sqlite3
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from operator import itemgetter

from odits.core.errors import OditsError
from odits.data.annotation_files import (
    HISTORY_COLUMNS,
    INSERT_BATCH,
    INSERT_HISTORY,
    REPLACE_MARK,
    SCHEMA,
    WORD_COLUMNS,
    StoredChange,
    annotation_file,
    legacy_marks,
    reading,
    schema_of,
    writing,
)
from odits.data.marks import (
    ANNOTATION,
    KEY_COLUMNS,
    MARK_COLUMNS,
    NOTHING_SHOWN,
    Change,
    Changed,
    Entry,
    ImageWord,
    Mark,
    Shown,
    check_id,
    check_mark,
    check_shown,
    check_word,
    clean_name,
    from_row,
    now,
    to_row,
)

_KEY_IS = " AND ".join(f"{column} = ?" for column in WORD_COLUMNS)
_HISTORY = (
    f"SELECT sequence, history.batch, session, reverts, {', '.join(HISTORY_COLUMNS[2:])} "
    "FROM history JOIN batches ON history.batch = batches.batch"
)
Condition = tuple[str, str | int]
"""A condition in SQL on a column, and the value in it."""


def read_marks(
    name: str, data: str | None = None, image: str | None = None, role: str = ANNOTATION
) -> dict[ImageWord, Mark]:
    """Read the marks of an annotator; none where the annotator has no file yet.

    Args:
        name: the annotator.
        data: only those in this data set.
        image: only those of pictures of this name.
        role: "annotation", or "adjudication" for what the annotator decided between others.

    Raises:
        OditsError: the file can't be read, is no database, or was written by a newer version.
    """
    conditions: list[Condition] = [("role = ?", role)]
    conditions += [("data = ?", data)] if data is not None else []
    conditions += [("image = ?", image)] if image is not None else []
    where = " AND ".join(condition for condition, _ in conditions)
    values = [value for _, value in conditions]
    with reading(annotation_file(name), clean_name(name)) as connection:
        if connection is not None and schema_of(connection) == SCHEMA:
            rows = connection.execute(
                f"SELECT {', '.join((*KEY_COLUMNS, *MARK_COLUMNS))} FROM marks WHERE {where} "
                f"ORDER BY {', '.join(KEY_COLUMNS)}",
                values,
            ).fetchall()
            return {ImageWord(*row[: len(KEY_COLUMNS)]): from_row(row[len(KEY_COLUMNS) :]) for row in rows}
    found = {
        about: mark
        for about, mark in legacy_marks(name)
        if role == ANNOTATION and data in (None, about.data) and image in (None, about.image)
    }
    return {about: found[about] for about in sorted(found)}


def history(
    name: str,
    data: str | None = None,
    about: ImageWord | None = None,
    session: str | None = None,
    after: int = 0,
) -> list[Entry]:
    """Read what an annotator changed, in the order in which it was changed.

    Args:
        name: the annotator.
        data: only changes in this data set.
        about: only changes of this word.
        session: only changes of this session.
        after: only changes after the one with this sequence number.

    Raises:
        OditsError: the file can't be read.
    """
    conditions: list[Condition] = [("sequence > ?", after)]
    if about is not None:
        conditions += [(f"{column} = ?", value) for column, value in zip(KEY_COLUMNS, astuple(about), strict=True)]
    conditions += [("data = ?", data)] if data is not None else []
    conditions += [("session = ?", session)] if session is not None else []
    with reading(annotation_file(name), clean_name(name)) as connection:
        if connection is not None and schema_of(connection) == SCHEMA:
            return _entries(connection, conditions)
    return []  # a file of schema 1 gets a history with the next change


def latest(name: str) -> int:
    """Return the sequence number of an annotator's last change, 0 before the first: whether there is anything new."""
    with reading(annotation_file(name), clean_name(name)) as connection:
        if connection is None or schema_of(connection) < SCHEMA:
            return 0
        return int(connection.execute("SELECT coalesce(max(sequence), 0) FROM history").fetchone()[0])


def _entries(connection: sqlite3.Connection, conditions: Sequence[Condition]) -> list[Entry]:
    where = " AND ".join(condition for condition, _ in conditions)
    rows = connection.execute(f"{_HISTORY} WHERE {where} ORDER BY sequence", [value for _, value in conditions])
    return [
        Entry(sequence, batch, session, reverts, ImageWord(data, image, word), role, old or None, from_row(tuple(mark)))
        for sequence, batch, session, reverts, data, image, word, role, old, *mark in rows
    ]


# Changing marks.


def change_marks(name: str, changes: Iterable[Change], batch: str | None = None, session: str = "") -> Changed:
    """Change marks: all of the batch, or nothing; it is on the disk when this returns.

    Args:
        name: the annotator.
        changes: in order.
        batch: an id for all of them, chosen by who sends them; a batch that was applied before changes nothing, and
            what it changed then is returned. Default: a new one.
        session: names what undo and redo go through.

    Raises:
        OditsError: a change is impossible, or the file can't be written; nothing was changed.
    """
    changes = list(changes)
    for change in changes:
        check_word(change.about)
        if change.verdict is None:
            check_shown(change.shown)
        else:
            check_mark(Mark(change.verdict, change.note or "", "", change.shown, False, change.box, change.parties))
    with writing(name) as connection:
        batch, repeated = _begin(connection, batch, session)
        if not repeated:
            for place, change in enumerate(changes):
                key = (*astuple(change.about), change.role)
                before = _mark_at(connection, key)
                _store(connection, batch, place, key, before, change.mark(before, now()))
        return Changed(batch, tuple(_entries(connection, [("history.batch = ?", batch)])), repeated)


def set_mark(name: str, about: ImageWord, verdict: str, note: str = "", shown: Shown = NOTHING_SHOWN) -> Mark:
    """Write a mark; it replaces an earlier one of the same word.

    Returns:
        The mark as it now lies on the disk.

    Raises:
        OditsError: there is no such verdict, the note is too long, or the file can't be written.
    """
    change_marks(name, [Change(about, verdict, note, shown)])
    return read_marks(name, about.data, about.image)[about]


def remove_mark(name: str, about: ImageWord) -> None:
    """Remove the annotator's mark of a word, if there is one; the history keeps it.

    Raises:
        OditsError: the file can't be written.
    """
    change_marks(name, [Change(about, None)])


def put_marks(
    name: str,
    marks: Iterable[tuple[ImageWord, Mark]],
    only_newer: bool = False,
    accept: Callable[[ImageWord, Mark | None, Mark], bool] | None = None,
) -> int:
    """Write whole marks with their own times, as files have them: all in one transaction, or none.

    Args:
        name: the annotator.
        marks: what to write; a mark replaces an earlier one of the same word.
        only_newer: an earlier mark that is as new or newer stays.
        accept: given a word, the mark that is there and the one to write, says whether it is written.

    Returns:
        How many were written.

    Raises:
        OditsError: a mark is impossible, or the file can't be written; nothing was written.
    """
    written = 0
    with writing(name) as connection:
        batch, _ = _begin(connection, None, "")
        for place, (about, mark) in enumerate(marks):
            check_word(about)
            check_mark(mark)
            key = (*astuple(about), mark.role)
            before = _mark_at(connection, key)
            newer = not only_newer or before is None or mark.time > before.time
            if newer and (accept is None or accept(about, before, mark)):
                _store(connection, batch, place, key, before, mark)
                written += 1
    return written


def merge_history(name: str, changes: Sequence[StoredChange], marks: Iterable[tuple[ImageWord, Mark]]) -> int:
    """Put the history of another file of the same annotator into the one here, and its marks where they are newer.

    Both keep their own order and are merged by time; batches that are here already are not doubled. What was restored
    is a change too, where the history does not end with it by itself.

    Args:
        name: the annotator.
        changes: of the other file, in order.
        marks: of the other file.

    Returns:
        How many marks were written.

    Raises:
        OditsError: the file can't be written.
    """
    written = 0
    with writing(name) as connection:
        known = {batch for (batch,) in connection.execute("SELECT batch FROM batches")}
        if new := [change for change in changes if change.batch not in known]:
            here = [
                StoredChange(
                    one.batch, one.session, one.reverts, (*astuple(one.about), one.role), one.old or "", one.mark
                )
                for one in _entries(connection, [("sequence > ?", 0)])
            ]
            connection.execute("DELETE FROM history")  # and written anew: the sequence tells the order
            merged = heapq.merge(_by_time(here), _by_time(new), key=itemgetter(0))
            for place, (_, change) in enumerate(merged):
                connection.execute(f"{INSERT_BATCH} VALUES (?, ?, ?)", (change.batch, change.session, change.reverts))
                row = (change.batch, place, *change.key, change.old, *to_row(change.mark))
                connection.execute(INSERT_HISTORY, row)
        batch, _ = _begin(connection, None, "")
        for place, (about, mark) in enumerate(marks):
            key = (*astuple(about), mark.role)
            before = _mark_at(connection, key)
            if before is None or mark.time > before.time:
                if _mark_before(connection, key, sys.maxsize) == mark:
                    connection.execute(REPLACE_MARK, (*key, *to_row(mark)))
                else:
                    _store(connection, batch, place, key, before, mark)
                written += 1
    return written


def _by_time(changes: Iterable[StoredChange]) -> Iterator[tuple[str, StoredChange]]:
    """Yield changes with times that never fall, whatever a clock did: no order of one file is upset."""
    latest_time = ""
    for change in changes:
        latest_time = max(latest_time, change.mark.time)
        yield latest_time, change


def revert(name: str, batch: str, by: str | None = None, session: str = "") -> Changed:
    """Take back what a batch changed; reverting the batch that this makes does it again.

    Words that were changed again after the batch are left as they are, and named.

    Args:
        name: the annotator.
        batch: the id of the batch to take back.
        by: the id of the batch that takes it back, see `change_marks`.
        session: that this belongs to.

    Raises:
        OditsError: there is no such batch, or the file can't be written.
    """
    kept: list[ImageWord] = []
    with writing(name) as connection:
        if not connection.execute("SELECT count(*) FROM batches WHERE batch = ?", (batch,)).fetchone()[0]:
            raise OditsError("What is to be taken back is not in the history of these marks.")
        by, repeated = _begin(connection, by, session, batch)
        if not repeated:
            changed: dict[tuple[str, ...], list[Entry]] = {}
            for entry in _entries(connection, [("history.batch = ?", batch)]):
                changed.setdefault((*astuple(entry.about), entry.role), []).append(entry)
            for place, (key, entries) in enumerate(changed.items()):
                here = _mark_at(connection, key)
                if not _is_as_after(here, entries[-1]):
                    kept.append(entries[-1].about)
                    continue
                before = _mark_before(connection, key, entries[0].sequence)
                _store(connection, by, place, key, here, before._replace(time=max(now(), here.time if here else "")))
        done = tuple(_entries(connection, [("history.batch = ?", by)]))
    return Changed(by, done, repeated, tuple(kept))


def undo(name: str, session: str, by: str | None = None) -> Changed | None:
    """Take back the last thing that was done in a session and not taken back yet; None where there is nothing.

    Raises:
        OditsError: the file can't be written.
    """
    done, _ = undoable(name, session)
    return _step(name, session, by, done)


def redo(name: str, session: str, by: str | None = None) -> Changed | None:
    """Do again what was taken back last in a session, if nothing else was done since; None where there is nothing.

    Raises:
        OditsError: the file can't be written.
    """
    _, undone = undoable(name, session)
    return _step(name, session, by, undone)


def _step(name: str, session: str, by: str | None, batches: Sequence[str]) -> Changed | None:
    """Revert the last of some batches, unless that was done under this id before: then return what it did."""
    with reading(annotation_file(name), clean_name(name)) as connection:
        if by is not None and connection is not None and schema_of(connection) == SCHEMA:
            earlier = connection.execute("SELECT reverts FROM batches WHERE batch = ?", (by,)).fetchone()
            batches = earlier or batches
    return revert(name, batches[-1], by, session) if batches else None


def undoable(name: str, session: str) -> tuple[list[str], list[str]]:
    """Return the batches of a session that undo takes back, and those that redo does, each with the next one last.

    Raises:
        OditsError: the file can't be read.
    """
    done: list[str] = []
    undone: list[str] = []
    with reading(annotation_file(name), clean_name(name)) as connection:
        if connection is None or schema_of(connection) < SCHEMA:
            return done, undone
        batches = connection.execute(
            "SELECT batch, reverts FROM batches WHERE session = ? AND (reverts != '' OR EXISTS "
            "(SELECT 1 FROM history WHERE history.batch = batches.batch)) ORDER BY number",
            (session,),
        ).fetchall()
    for batch, reverts in batches:
        if done and reverts == done[-1]:
            done.pop()
            undone.append(batch)
        elif undone and reverts == undone[-1]:
            undone.pop()
            done.append(batch)
        else:
            done.append(batch)
            undone.clear()
    return done, undone


def _begin(connection: sqlite3.Connection, batch: str | None, session: str, reverts: str = "") -> tuple[str, bool]:
    """Begin a batch; return its id, and whether it was applied before."""
    batch = batch or uuid.uuid4().hex
    check_id(batch, "batch")
    check_id(session, "session")
    new = connection.execute(f"{INSERT_BATCH} VALUES (?, ?, ?)", (batch, session, reverts))
    return batch, new.rowcount == 0


def _mark_at(connection: sqlite3.Connection, key: Sequence[str]) -> Mark | None:
    row = connection.execute(f"SELECT {', '.join(MARK_COLUMNS)} FROM marks WHERE {_KEY_IS}", key).fetchone()
    return from_row(row) if row else None


def _mark_before(connection: sqlite3.Connection, key: Sequence[str], sequence: int) -> Mark:
    """Return the mark of a word as it was before a change; without a verdict where there was none."""
    row = connection.execute(
        f"SELECT {', '.join(MARK_COLUMNS)} FROM history WHERE {_KEY_IS} AND sequence < ? "
        "ORDER BY sequence DESC LIMIT 1",
        (*key, sequence),
    ).fetchone()
    return from_row(row) if row else Mark("")


def _is_as_after(here: Mark | None, entry: Entry) -> bool:
    """Whether a mark is what a change made of it, or is so again after later changes were taken back."""
    if here is None or entry.removed:
        return here is None and entry.removed
    return here._replace(time="") == entry.mark._replace(time="")


def _store(
    connection: sqlite3.Connection, batch: str, place: int, key: Sequence[str], before: Mark | None, after: Mark
) -> None:
    """Write a mark, or where it has no verdict remove it, and put that into the history, if it changes anything."""
    if before == after or (before is None and not after.verdict):
        return
    if after.verdict:
        connection.execute(REPLACE_MARK, (*key, *to_row(after)))
    else:
        connection.execute(f"DELETE FROM marks WHERE {_KEY_IS}", key)
    old = before.verdict if before is not None else ""
    connection.execute(INSERT_HISTORY, (batch, place, *key, old, *to_row(after)))
