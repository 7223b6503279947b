"""SQLite files that are not MLflow's, or not of its present schema: one sentence, and not a byte of them changes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from odits.core.errors import StoreError
from odits.core.files import file_digest
from odits.tracking.mlflow_client import sqlite_file
from odits.tracking.mlflow_database import check_database
from odits.tracking.sources import make_tracker, open_store
from odits.tracking.store import TrackingError


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of somebody else's."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "given"
    folder.mkdir()
    return folder


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Check that no file of the folder changes, goes or comes."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    yield
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def make_database(path: Path, *statements: str, mode: str = "DELETE") -> Path:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        for statement in statements:
            database.execute(statement)
        database.commit()
    return path


def copy_store(empty_store: Path, path: Path, revision: str | None, drop: str = "") -> Path:
    """Copy an MLflow store, with another revision of its schema, or one of its newer tables missing."""
    with closing(sqlite3.connect(empty_store)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        if revision is not None:
            copy.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        if drop:
            copy.execute(f"DROP TABLE {drop}")
        copy.commit()
    return path


def refuse(path: Path, said: str) -> None:
    """Every way to open the file is refused with the sentence."""
    source = f"mlflow:{path}"
    for ask in (lambda: open_store(source).list(), lambda: open_store(f"mlflow:sqlite:///{path}").run("0123")):
        with unchanged(path.parent), pytest.raises(StoreError, match=said) as caught:
            ask()
        assert "\n" not in str(caught.value)
    with unchanged(path.parent), pytest.raises(TrackingError, match=said):
        make_tracker(source).start("a run", {}, {})


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_database_of_another_program(given: Path, mode: str) -> None:
    path = make_database(given / "photos.db", "CREATE TABLE albums (name TEXT)", mode=mode)
    refuse(path, "photos.db is not MLflow's: it is a database of another program, with the table 'albums'")


def test_one_with_a_table_called_runs(given: Path) -> None:
    path = make_database(given / "jogging.sqlite", "CREATE TABLE runs (km REAL)", "CREATE TABLE experiments (x)")
    refuse(path, "jogging.sqlite is not MLflow's")


@pytest.mark.parametrize("drop", ["", "logged_models"])
def test_an_older_schema_is_never_migrated(empty_store: Path, given: Path, drop: str) -> None:
    """MLflow migrates without a word where a table is missing; https://github.com/mlflow/mlflow/issues/6703 ."""
    path = copy_store(empty_store, given / "old.db", "bd07f7e963c5", drop)
    refuse(path, rf"written by an older MLflow.*back it up and run `mlflow db upgrade sqlite:///{path}`")


def test_a_newer_schema_is_not_either(empty_store: Path, given: Path) -> None:
    path = copy_store(empty_store, given / "new.db", "ffffffffffff")
    refuse(path, r"written by a newer MLflow than the \d.*update mlflow")


def test_an_empty_file_is_not_filled_by_looking_at_it(given: Path) -> None:
    path = given / "empty.db"
    path.touch()
    with unchanged(given), pytest.raises(StoreError, match=r"empty.db is not MLflow's: it is an empty file"):
        open_store(f"mlflow:{path}").list()


def test_looking_at_somebody_elses_store_changes_nothing(empty_store: Path, given: Path) -> None:
    path = copy_store(empty_store, given / "theirs.db", None)
    with unchanged(given):
        assert open_store(f"mlflow:{path}").list().runs == ()


def test_a_file_without_the_usual_ending(empty_store: Path, given: Path) -> None:
    path = copy_store(empty_store, given / "backup of monday", None)
    with unchanged(given):
        assert open_store(f"mlflow:{path}").list().runs == ()
    assert sqlite_file(f"sqlite:///{path}") == path and file_digest(path)


def test_a_folder_that_is_none_of_mlflows_is_not_made_one(given: Path) -> None:
    (given / "holiday.txt").write_text("sun")
    for place in (given, given / "absent", given.as_uri()):
        with unchanged(given), pytest.raises(StoreError, match="is no folder of MLflow's"):
            open_store(f"mlflow:{place}").list()


def test_looking_at_a_store_leaves_the_locks_of_this_process_alone(given: Path, empty_store: Path) -> None:
    """A file that is closed loses the POSIX locks of its process, and another one then takes the log of writes away."""
    path = given / "mlflow.db"
    with closing(sqlite3.connect(empty_store)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = WAL")
    child = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('CREATE TABLE t%s (x)' % sys.argv[2])"
    with closing(sqlite3.connect(path)) as held:
        for number in range(3):
            held.execute("SELECT count(*) FROM runs").fetchone()
            check_database(path, create=False)
            subprocess.run([sys.executable, "-c", f"{child}; d.commit(); d.close()", path, str(number)], check=True)
            assert path.with_name("mlflow.db-wal").exists(), "the child was not the last one to close it"
            assert held.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (f"t{number}",)).fetchone()
