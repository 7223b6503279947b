"""Files of marks as earlier versions wrote them: schema 1, in which a mark belonged to a model too."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from odits.core.files import cache_home, sha256_of

_KEYS = ("data", "image", "model", "checkpoint", "vocabulary", "word")


def legacy_file(name: str) -> Path:
    """Return where an annotator's file lay."""
    stem = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40] or "annotator"
    return cache_home() / "annotations" / f"{stem}-{sha256_of(name)[:12]}.db"


def write_first_schema(name: str, rows: Iterable[tuple[str, ...]]) -> Path:
    """Write such a file with rows of data, image, model, checkpoint, vocabulary, word, verdict, note, time."""
    path = legacy_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ", ".join(f"{column} TEXT NOT NULL" for column in (*_KEYS, "verdict", "note", "time"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE annotator (name TEXT NOT NULL)")
        connection.execute(f"CREATE TABLE marks ({columns}, PRIMARY KEY ({', '.join(_KEYS)})) WITHOUT ROWID")
        connection.execute(f"PRAGMA application_id = {0x0D175A}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("INSERT INTO annotator VALUES (?)", (name,))
        connection.executemany(f"INSERT INTO marks VALUES ({', '.join('?' * 9)})", rows)
    return path
