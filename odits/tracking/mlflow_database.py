"""MLflow's SQLite file, looked at before MLflow opens it: that would make its tables in any file, or migrate them."""

from __future__ import annotations

import os
import shlex
import sqlite3
from contextlib import closing
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from odits.core.errors import StoreError

_TABLES = {"experiments", "runs", "params", "metrics"}
"""Tables that MLflow's first version had already."""


def check_database(file: Path, create: bool) -> None:
    """Check that a SQLite file is MLflow's, of the schema that the installed MLflow writes; it stays as it is.

    Args:
        file: the SQLite file.
        create: whether a file that is absent or empty will do, since the tables are made in it.

    Raises:
        StoreError: it is absent, no database, another program's, or of an older or newer schema.
    """
    if not file.exists() and create:
        return
    if not file.is_file():
        raise StoreError(f"There is no MLflow store {file}.")
    try:
        tables, revisions = _read_schema(file)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The MLflow store {file} can't be opened: {error}.") from error
    if not tables and create:
        return
    if not tables >= _TABLES:
        raise StoreError(f"{file} is not MLflow's: it is {_kind(tables)}. Nothing was changed in it.")
    known, newest = _revisions()
    if revisions != {newest}:
        raise StoreError(_other_schema(file, revisions, known))


def prepare_database(file: Path) -> None:
    """Make the file where it is missing, in WAL mode: pages read while a training writes.

    Raises:
        StoreError: it can't be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=20)) as database:
            database.execute("PRAGMA busy_timeout = 20000")
            database.execute("PRAGMA journal_mode = WAL")
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The MLflow store {file} can't be opened: {error}.") from error


def _read_schema(file: Path) -> tuple[set[str], set[str]]:
    """Read the names of the tables, and the revisions of the schema, without leaving a trace.

    SQLite alone opens the file: closing it in any other way would release the locks of this process's connections.
    """
    # A connection that may write takes its files of WAL mode away again when it ends. One that is told "immutable"
    # keeps no account of locks: its end would release those of this process, and another's writes would break the file
    writable = os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    address = f"{file.absolute().as_uri()}?{'mode=rw' if writable else 'immutable=1'}"
    with closing(sqlite3.connect(address, uri=True, timeout=20)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        stamped = "alembic_version" in tables
        found = database.execute("SELECT version_num FROM alembic_version").fetchall() if stamped else []
    return tables, {str(revision) for (revision,) in found}


def _kind(tables: set[str]) -> str:
    return f"a database of another program, with the table '{min(tables)[:60]}'" if tables else "an empty file"


def _revisions() -> tuple[set[str], str]:
    """Return the revisions of the schema that the installed MLflow knows, and the one that it works with."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(files("mlflow") / "store" / "db_migrations"))
    return {script.revision for script in scripts.walk_revisions()}, str(scripts.get_current_head())


def _other_schema(file: Path, revisions: set[str], known: set[str]) -> str:
    if revisions <= known:
        command = f"mlflow db upgrade {shlex.quote(f'sqlite:///{file.absolute()}')}"
        return (
            f"{file} was written by an older MLflow, and nothing was changed in it: back it up and run `{command}`, "
            "then it can be opened here."
        )
    return (
        f"{file} was written by a newer MLflow than the {version('mlflow')} that is installed, and nothing was changed "
        "in it: update mlflow to open it here."
    )
