from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.data import annotation_files
from odits.data.annotation_files import annotation_file, annotators
from odits.data.annotations import put_marks, read_marks, remove_mark, set_mark
from odits.data.marks import ImageWord, Mark, clean_name


def image_word(word: str = "HOTEL", image: str = "a.jpg", **other: str) -> ImageWord:
    return ImageWord(**({"data": "demo", "image": image, "word": word} | other))


def test_a_mark_is_stored_with_note_and_time() -> None:
    mark = set_mark("Anna", image_word(), "right", "  on the awning ")
    assert mark.note == "on the awning"
    assert mark.time.endswith("+00:00")
    assert read_marks("Anna") == {image_word(): mark}


def test_a_second_mark_replaces_the_first_and_can_be_removed() -> None:
    set_mark("Anna", image_word(), "right", "first")
    second = set_mark("Anna", image_word(), "wrong")
    assert read_marks("Anna") == {image_word(): second}
    remove_mark("Anna", image_word())
    assert read_marks("Anna") == {}
    assert annotators() == ["Anna"]


@pytest.mark.parametrize("field", ["data", "image", "word"])
def test_marks_of_different_words_stand_beside_each_other(field: str) -> None:
    set_mark("Anna", image_word(), "right")
    other = image_word(**{field: "another"})
    set_mark("Anna", other, "wrong")
    assert {key: mark.verdict for key, mark in read_marks("Anna").items()} == {image_word(): "right", other: "wrong"}


def test_marks_of_one_data_set() -> None:
    set_mark("Anna", image_word(), "right")
    set_mark("Anna", image_word(data="SVT"), "wrong")
    assert [key.data for key in read_marks("Anna", "SVT")] == ["SVT"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..", "/", "a/b", "C:\\x", "con", ".", "名前", "a" * 60, "'; DROP"]
)
def test_a_name_never_leads_out_of_the_folder(name: str, home: Path) -> None:
    path = annotation_file(name)
    assert path.resolve().parent == (home / "annotations").resolve()
    set_mark(name, image_word(), "right")
    assert path.is_file()
    assert annotators() == [name]


def test_names_that_look_alike_do_not_mix() -> None:
    names = ["Anna B", "AnnaB", "Anna-B", "Anna.B", "Anna/B"]
    for name in names:
        set_mark(name, image_word(name), "right")
    assert len({annotation_file(name) for name in names}) == len(names)
    assert all(list(read_marks(name)) == [image_word(name)] for name in names)
    assert sorted(annotators()) == sorted(names)


def test_the_same_name_typed_otherwise_is_the_same_annotator() -> None:
    assert clean_name("  Jose\u0301   K ") == clean_name("José K")
    assert annotation_file(" Anna ") == annotation_file("Anna")


@pytest.mark.parametrize("name", ["", "   ", "a" * 61, "a\x00b", "a\u202eb"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(OditsError, match="name"):
        set_mark(name, image_word(), "right")


def test_an_unknown_verdict_and_a_long_note_are_refused() -> None:
    with pytest.raises(OditsError, match="right, wrong, unsure or skipped"):
        set_mark("Anna", image_word(), "perhaps")
    with pytest.raises(OditsError, match="1,000 characters"):
        set_mark("Anna", image_word(), "right", "x" * 1001)
    assert read_marks("Anna") == {}


def test_limits_are_inclusive() -> None:
    set_mark("Anna", image_word(), "right", "x" * 1000)
    set_mark("a" * 60, image_word(), "right")
    assert len(read_marks("Anna")[image_word()].note) == 1000


def test_a_long_verdict_is_quoted_shortly() -> None:
    with pytest.raises(OditsError, match=f"There is no verdict '{'p' * 40}':"):
        set_mark("Anna", image_word(), "p" * 99)


def test_the_file_says_whose_it_is_and_what(home: Path) -> None:
    set_mark("Anna", image_word(), "right")
    assert annotation_file("Anna").name.startswith("anna-") and len(annotation_file("Anna").stem) == len("anna-") + 12
    assert len(annotation_file("b" * 60).stem) == 40 + 1 + 12
    with sqlite3.connect(annotation_file("Anna")) as connection:
        assert connection.execute("SELECT name FROM annotator").fetchall() == [("Anna",)]
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        assert pragmas == [0x0D175A, 2]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    set_mark("Anna", image_word("BAR"), "wrong")
    with sqlite3.connect(annotation_file("Anna")) as connection:
        assert connection.execute("SELECT count(*) FROM annotator").fetchone() == (1,)


def test_writers_wait_for_each_other_for_ten_seconds_and_every_mark_is_synced() -> None:
    set_mark("Anna", image_word(), "right")
    with annotation_files.writing("Anna") as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (10_000,)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_the_home_folder_is_made_with_the_first_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "not" / "there"))
    assert annotators() == [] and read_marks("Anna") == {}
    assert not (tmp_path / "not").exists(), "reading makes nothing"
    set_mark("Anna", image_word(), "right")
    assert annotators() == ["Anna"]


def test_a_written_mark_replaces_a_newer_one_unless_only_newer_ones_count() -> None:
    early, late = (Mark("right", "", f"2026-01-0{day}T00:00:00.000000+00:00") for day in (1, 2))
    assert put_marks("Anna", [(image_word(), late)]) == 1
    assert put_marks("Anna", [(image_word(), early)], only_newer=True) == 0
    assert put_marks("Anna", [(image_word(), late)], only_newer=True) == 0
    assert read_marks("Anna") == {image_word(): late}
    assert put_marks("Anna", [(image_word(), early), (image_word("BAR"), late)]) == 2
    assert read_marks("Anna") == {image_word("BAR"): late, image_word(): early}


def test_removing_what_is_not_marked_is_no_mistake() -> None:
    set_mark("Anna", image_word(), "right")
    for field in ("data", "image", "word"):
        remove_mark("Anna", image_word(**{field: "another"}))
    assert list(read_marks("Anna")) == [image_word()]


def test_files_that_are_not_an_annotators_are_not_listed() -> None:
    set_mark("anna", image_word(), "right")
    set_mark("Ben", image_word(), "right")
    path = annotation_file("anna")
    shutil.copy(path, path.with_name("copy.db"))
    for name, rows in (("nobody", []), ("blob", [(b"anna",)]), ("unnamed", [("",)])):
        shutil.copy(path, path.with_name(f"{name}.db"))
        with sqlite3.connect(path.with_name(f"{name}.db")) as connection:
            connection.execute("DELETE FROM annotator")
            connection.executemany("INSERT INTO annotator VALUES (?)", rows)
    path.with_name("empty.db").touch()
    path.with_name("folder.db").mkdir()
    assert annotators() == ["anna", "Ben"]


def test_an_empty_file_holds_no_marks_and_takes_them() -> None:
    path = annotation_file("Anna")
    path.parent.mkdir(parents=True)
    path.touch()
    assert read_marks("Anna") == {} and annotators() == []
    set_mark("Anna", image_word(), "right")
    assert annotators() == ["Anna"]


def test_marks_survive_a_kill() -> None:
    """A process is killed right after its mark was confirmed."""
    code = (
        "import os; from odits.data.annotations import set_mark; from odits.data.marks import ImageWord; "
        "set_mark('Anna', ImageWord('d', 'i', 'w'), 'wrong', 'last word'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ.copy())
    assert done.returncode == -signal.SIGKILL
    found = read_marks("Anna")
    assert [(key.word, mark.verdict, mark.note) for key, mark in found.items()] == [("w", "wrong", "last word")]


def test_a_kill_in_the_middle_of_a_transaction_leaves_what_was_there() -> None:
    set_mark("Anna", image_word(), "right")
    code = (
        "import os; from odits.data import annotation_files\n"
        "with annotation_files.writing('Anna') as connection:\n"
        "    connection.execute('DELETE FROM marks'); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ.copy())
    assert done.returncode == -signal.SIGKILL
    assert list(read_marks("Anna")) == [image_word()]


def test_a_file_that_is_no_database_is_reported_and_left() -> None:
    path = annotation_file("Anna")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database, though of some length" * 100)
    before = path.read_bytes()
    for call in (lambda: read_marks("Anna"), lambda: set_mark("Anna", image_word(), "right")):
        with pytest.raises(OditsError, match="damaged or no database"):
            call()
    assert path.read_bytes() == before
    set_mark("Ben", image_word(), "right")
    assert annotators() == ["Ben"]


def test_a_database_of_something_else_is_left_alone() -> None:
    path = annotation_file("Anna")
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (soup TEXT)")
    with pytest.raises(OditsError, match="something else"):
        set_mark("Anna", image_word(), "right")
    assert annotators() == []


def test_a_file_of_a_newer_version_is_reported() -> None:
    set_mark("Anna", image_word(), "right")
    with sqlite3.connect(annotation_file("Anna")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OditsError, match="newer version"):
        read_marks("Anna")


def test_a_folder_that_cannot_be_made_is_reported(home: Path) -> None:
    (home / "annotations").write_text("in the way")
    with pytest.raises(OditsError) as caught:
        set_mark("Anna", image_word(), "right")
    place = f"({annotation_file('Anna')}). Nothing marked before is lost."
    assert str(caught.value) == f"The marks of Anna can't be written: File exists {place}"
    assert read_marks("Anna") == {}
    assert annotators() == []


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
def test_a_full_disk_is_reported_and_nothing_is_lost() -> None:
    """The system refuses to let the files grow, as it does when the disk is full."""
    code = """
import resource, sys
from odits.core.errors import OditsError
from odits.data.annotations import set_mark
from odits.data.marks import ImageWord
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
for number in range(10_000):
    try:
        set_mark("Anna", ImageWord("d", "i", f"w{number}"), "right", "x" * 900)
    except OditsError as error:
        sys.exit(f"{number}|{error}")
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ.copy(), capture_output=True, text=True)
    count, _, message = done.stderr.strip().partition("|")
    assert "The marks of Anna can't be written" in message
    assert "Nothing marked before is lost" in message
    assert int(count) > 5
    assert len(read_marks("Anna")) == int(count)


def test_marks_on_a_read_only_disk_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself is message to open the file without writing, as it must on a read-only disk."""
    set_mark("Anna", image_word(), "right")
    connect = annotation_files._connect

    def refuse(path: Path, options: str = "") -> sqlite3.Connection:
        if not options:
            raise sqlite3.OperationalError("unable to open database file")
        return connect(path, options)

    monkeypatch.setattr(annotation_files, "_connect", refuse)
    assert list(read_marks("Anna")) == [image_word()]
    with pytest.raises(OditsError, match="can't be written: unable to open"):
        set_mark("Anna", image_word(), "wrong")


def test_several_at_once_lose_nothing() -> None:
    failed: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for number in range(12):
                set_mark("Anna", image_word(f"{start}-{number}"), "right")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(read_marks("Anna")) == 48
