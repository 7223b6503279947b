from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.data import annotations
from odits.data.annotations import Claim, annotation_file, annotators, clean_name, read_marks, set_mark, take_back


def claim(word: str = "HOTEL", image: str = "a.jpg", **other: str) -> Claim:
    found = {"data": "demo", "image": image, "model": "M", "checkpoint": "c" * 64, "vocabulary": "v" * 64, "word": word}
    return Claim(**(found | other))


def test_a_mark_is_kept_with_note_and_time() -> None:
    mark = set_mark("Anna", claim(), "right", "  on the awning ")
    assert mark.note == "on the awning"
    assert mark.time.endswith("+00:00")
    assert read_marks("Anna") == {claim(): mark}


def test_a_second_mark_replaces_the_first_and_can_be_taken_back() -> None:
    set_mark("Anna", claim(), "right", "first")
    second = set_mark("Anna", claim(), "wrong")
    assert read_marks("Anna") == {claim(): second}
    take_back("Anna", claim())
    assert read_marks("Anna") == {}
    assert annotators() == ["Anna"]


@pytest.mark.parametrize("field", ["data", "image", "model", "checkpoint", "vocabulary", "word"])
def test_marks_of_different_claims_stand_beside_each_other(field: str) -> None:
    set_mark("Anna", claim(), "right")
    other = claim(**{field: "another"})
    set_mark("Anna", other, "wrong")
    assert {key: mark.verdict for key, mark in read_marks("Anna").items()} == {claim(): "right", other: "wrong"}


def test_marks_of_one_data_set() -> None:
    set_mark("Anna", claim(), "right")
    set_mark("Anna", claim(data="SVT"), "wrong")
    assert [key.data for key in read_marks("Anna", "SVT")] == ["SVT"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..", "/", "a/b", "C:\\x", "con", ".", "名前", "a" * 60, "'; DROP"]
)
def test_a_name_never_leads_out_of_the_folder(name: str, home: Path) -> None:
    path = annotation_file(name)
    assert path.resolve().parent == (home / "annotations").resolve()
    set_mark(name, claim(), "right")
    assert path.is_file()
    assert annotators() == [name]


def test_names_that_look_alike_do_not_mix() -> None:
    names = ["Anna B", "anna b", "Anna-B", "Anna.B", "Anna/B"]
    for name in names:
        set_mark(name, claim(name), "right")
    assert len({annotation_file(name) for name in names}) == len(names)
    assert all(list(read_marks(name)) == [claim(name)] for name in names)
    assert sorted(annotators()) == sorted(names)


def test_the_same_name_typed_otherwise_is_the_same_annotator() -> None:
    assert clean_name("  Jose\u0301   K ") == clean_name("José K")
    assert annotation_file(" Anna ") == annotation_file("Anna")


@pytest.mark.parametrize("name", ["", "   ", "a" * 61, "a\x00b", "a\u202eb"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(OditsError, match="name"):
        set_mark(name, claim(), "right")


def test_an_unknown_verdict_and_a_long_note_are_refused() -> None:
    with pytest.raises(OditsError, match="right, wrong or unsure"):
        set_mark("Anna", claim(), "perhaps")
    with pytest.raises(OditsError, match="1,000 characters"):
        set_mark("Anna", claim(), "right", "x" * 1001)
    assert read_marks("Anna") == {}


def test_marks_survive_a_kill() -> None:
    """A process is killed right after its mark was confirmed."""
    code = (
        "import os, signal; from odits.data.annotations import *; "
        "set_mark('Anna', Claim('d', 'i', 'm', 'c', 'v', 'w'), 'wrong', 'last word'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ.copy())
    assert done.returncode == -signal.SIGKILL
    found = read_marks("Anna")
    assert [(key.word, mark.verdict, mark.note) for key, mark in found.items()] == [("w", "wrong", "last word")]


def test_a_kill_in_the_middle_of_a_transaction_leaves_what_was_there() -> None:
    set_mark("Anna", claim(), "right")
    code = (
        "import os, sys; from odits import annotations as a\n"
        "with a._writing('Anna') as c:\n"
        "    c.execute('DELETE FROM marks'); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], env=os.environ.copy())
    assert list(read_marks("Anna")) == [claim()]


def test_a_file_that_is_no_database_is_told_and_left() -> None:
    path = annotation_file("Anna")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database, though of some length" * 100)
    before = path.read_bytes()
    for call in (lambda: read_marks("Anna"), lambda: set_mark("Anna", claim(), "right")):
        with pytest.raises(OditsError, match="damaged or no database"):
            call()
    assert path.read_bytes() == before
    set_mark("Ben", claim(), "right")
    assert annotators() == ["Ben"]


def test_a_database_of_something_else_is_left_alone() -> None:
    path = annotation_file("Anna")
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (soup TEXT)")
    with pytest.raises(OditsError, match="something else"):
        set_mark("Anna", claim(), "right")
    assert annotators() == []


def test_a_file_of_a_newer_version_is_told() -> None:
    set_mark("Anna", claim(), "right")
    with sqlite3.connect(annotation_file("Anna")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OditsError, match="newer version"):
        read_marks("Anna")


def test_a_folder_that_cannot_be_made_is_told(home: Path) -> None:
    (home / "annotations").write_text("in the way")
    with pytest.raises(OditsError, match="can't be written"):
        set_mark("Anna", claim(), "right")
    assert read_marks("Anna") == {}
    assert annotators() == []


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
def test_a_full_disk_is_told_and_nothing_is_lost() -> None:
    """The system refuses to let the files grow, as it does when the disk is full."""
    code = """
import resource, sys
from odits.annotations import *
from odits.errors import OditsError
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
for number in range(10_000):
    try:
        set_mark("Anna", Claim("d", "i", "m", "c", "v", f"w{number}"), "right", "x" * 900)
    except OditsError as error:
        sys.exit(f"{number}|{error}")
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ.copy(), capture_output=True, text=True)
    count, _, told = done.stderr.strip().partition("|")
    assert "The marks of Anna can't be written" in told
    assert "Nothing marked before is lost" in told
    assert int(count) > 5
    assert len(read_marks("Anna")) == int(count)


def test_marks_on_a_read_only_disk_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself is told to open the file without writing, as it must on a read-only disk."""
    set_mark("Anna", claim(), "right")
    plain = annotations._opened

    def refuse(path: Path, how: str = "") -> sqlite3.Connection:
        if not how:
            raise sqlite3.OperationalError("unable to open database file")
        return plain(path, how)

    monkeypatch.setattr(annotations, "_opened", refuse)
    assert list(read_marks("Anna")) == [claim()]
    with pytest.raises(OditsError, match="can't be written: unable to open"):
        set_mark("Anna", claim(), "wrong")


def test_several_at_once_lose_nothing() -> None:
    failed: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for number in range(12):
                set_mark("Anna", claim(f"{start}-{number}"), "right")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(read_marks("Anna")) == 48
