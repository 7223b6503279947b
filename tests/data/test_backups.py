"""Back-up and restoring of marks: online, merging, and never in silence."""

from __future__ import annotations

import sqlite3
import threading
import zipfile
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.data.annotation_files import annotation_file
from odits.data.annotation_imports import all_marks
from odits.data.annotations import change_marks, history, latest, read_marks, remove_mark, set_mark, undo
from odits.data.backups import back_up, restore
from odits.data.marks import Change, ImageWord
from tests.data.first_schema import write_first_schema


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "home"))


def about(word: str) -> ImageWord:
    return ImageWord("SVT", "a.jpg", word)


def test_a_back_up_brings_marks_to_a_machine_that_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Ada", "Bo"):
        for number in range(20):
            set_mark(name, about(f"word{number}"), "right", f"note {number}")
    given = {name: read_marks(name) for name in ("Ada", "Bo")}
    assert back_up(tmp_path / "marks.zip") == {"Ada": 20, "Bo": 20}
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "elsewhere"))
    done = restore(tmp_path / "marks.zip")
    assert [(one.name, one.read, one.new, one.kept) for one in done.files] == [
        ("Ada", 20, 20, None),
        ("Bo", 20, 20, None),
    ]
    assert {name: read_marks(name) for name in ("Ada", "Bo")} == given


def test_newer_marks_stay_and_the_file_before_is_kept_beside(tmp_path: Path) -> None:
    set_mark("Ada", about("one"), "right")
    set_mark("Ada", about("two"), "right")
    back_up(tmp_path / "marks.zip")
    set_mark("Ada", about("one"), "wrong")
    remove_mark("Ada", about("two"))
    set_mark("Ada", about("three"), "unsure")
    (done,) = restore(tmp_path / "marks.zip").files
    assert (done.read, done.new) == (2, 1)
    verdicts = {key.word: mark.verdict for key, mark in read_marks("Ada").items()}
    assert verdicts == {"one": "wrong", "two": "right", "three": "unsure"}
    assert done.kept is not None and done.kept.parent == annotation_file("Ada").parent
    kept = sqlite3.connect(done.kept)
    assert dict(kept.execute("SELECT word, verdict FROM marks")) == {"one": "wrong", "three": "unsure"}
    kept.close()
    (again,) = restore(tmp_path / "marks.zip").files
    assert (again.new, again.kept) == (0, None)


def changes_of(name: str) -> list[tuple[str, str, str | None, str]]:
    """Return the changes of an annotator as a history tells them."""
    return [(entry.batch, entry.about.word, entry.old, entry.mark.verdict) for entry in history(name)]


def test_a_back_up_brings_the_history_and_what_can_be_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change_marks("Ada", [Change(about("one"), "right"), Change(about("two"), "wrong")], "b1", "s")
    change_marks("Ada", [Change(about("one"), None)], "b2", "s")
    change_marks("Ada", [Change(about("two"), "right", "decided", parties=("Bo", "Cy"))], "b3", "s")
    given, marks = changes_of("Ada"), all_marks("Ada")
    back_up(tmp_path / "marks.zip")
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "elsewhere"))
    (done,) = restore(tmp_path / "marks.zip").files
    assert (done.read, done.new, done.kept) == (2, 2, None)
    assert changes_of("Ada") == given and all_marks("Ada") == marks
    assert restore(tmp_path / "marks.zip").files[0].new == 0 and changes_of("Ada") == given
    assert change_marks("Ada", [Change(about("one"), "unsure")], "b1").repeated, "what was sent there counts here"
    assert undo("Ada", "s") and undo("Ada", "s")
    assert {key.word: mark.verdict for key, mark in read_marks("Ada").items()} == {"one": "right", "two": "wrong"}


def test_histories_of_two_machines_become_one_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def at(day: int, word: str, verdict: str) -> None:
        monkeypatch.setattr("odits.data.annotations.now", lambda: f"2026-01-{day:02}T00:00:00.000000+00:00")
        change_marks("Ada", [Change(about(word), verdict)], f"day {day}")

    at(1, "one", "right")
    at(4, "one", "wrong")
    at(2, "two", "right")  # the clock was set back
    back_up(tmp_path / "marks.zip")
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "elsewhere"))
    at(3, "one", "unsure")
    at(5, "two", "unsure")
    before = latest("Ada")
    (done,) = restore(tmp_path / "marks.zip").files
    assert (done.new, done.kept is not None) == (1, True)
    assert [batch for batch, *_ in changes_of("Ada")[:5]] == ["day 1", "day 3", "day 4", "day 2", "day 5"]
    assert {key.word: mark.verdict for key, mark in read_marks("Ada").items()} == {"one": "wrong", "two": "unsure"}
    assert latest("Ada") > before, "pages see that there is something new"
    for word in ("one", "two"):
        last = history("Ada", about=about(word))[-1]
        assert last.mark == read_marks("Ada")[about(word)], "the history ends with what is there"
    assert restore(tmp_path / "marks.zip").files[0].new == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history SET verdict = 'maybe'",
        "UPDATE history SET role = 'owner'",
        "UPDATE history SET note = x'00'",
        "UPDATE history SET time = 'yesterday'",
        "UPDATE history SET word = ''",
        "UPDATE history SET old = 'maybe'",
        f"UPDATE batches SET session = '{'s' * 101}'",
    ],
)
def test_a_history_that_is_none_is_refused_whole(
    statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_mark("Ada", about("one"), "right")
    with sqlite3.connect(annotation_file("Ada")) as connection:
        connection.execute(statement)
    back_up(tmp_path / "marks.zip")
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "elsewhere"))
    done = restore(tmp_path / "marks.zip")
    assert done.files == [] and len(done.problems) == 1
    assert read_marks("Ada") == {}


def test_a_back_up_of_the_first_schema_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = ("SVT", "a.jpg", "CLIP", "c", "v", "one", "right", "", "2026-01-01T00:00:00.000000+00:00")
    path = write_first_schema("Ada", [row])
    write_first_schema("ADA", [(*row[:5], "two", *row[6:])])
    assert list(back_up(tmp_path / "marks.zip").values()) == [2]
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "elsewhere"))
    assert [one.new for one in restore(tmp_path / "marks.zip").files] == [1, 1]
    assert [key.word for key in read_marks("Ada")] == ["one", "two"]
    assert read_marks("Ada")[about("one")].shown.model == "CLIP"
    assert path.exists()


def test_a_back_up_while_people_mark_holds_every_mark_acknowledged_before_it(tmp_path: Path) -> None:
    stop = threading.Event()
    acknowledged: dict[str, int] = dict.fromkeys((f"person {number}" for number in range(6)), 0)

    def mark(name: str) -> None:
        while not stop.is_set():
            set_mark(name, about(f"word{acknowledged[name]}"), "right")
            acknowledged[name] += 1

    threads = [threading.Thread(target=mark, args=(name,)) for name in acknowledged]
    for thread in threads:
        thread.start()
    try:
        while min(acknowledged.values()) < 3:
            stop.wait(0.01)
        for round_ in range(5):
            before = dict(acknowledged)
            counts = back_up(tmp_path / f"{round_}.zip")
            assert all(counts[name] >= before[name] for name in before)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {name: len(read_marks(name)) for name in acknowledged} == acknowledged


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_back_up_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(OditsError, match="no back-up of marks"):
        restore(tmp_path / "x.zip")


def test_a_bad_file_in_it_is_named_and_the_rest_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_mark("Ada", about("one"), "right")
    back_up(tmp_path / "marks.zip")
    with zipfile.ZipFile(tmp_path / "marks.zip", "a") as archive:
        archive.writestr("../../evil.db", b"SQLite format 3\0" + b"x" * 5000)
        archive.writestr("empty.db", b"")
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "elsewhere"))
    done = restore(tmp_path / "marks.zip")
    assert [one.name for one in done.files] == ["Ada"]
    assert len(done.problems) == 2 and "evil.db" in done.problems[0]
    assert not list(tmp_path.parent.glob("evil*"))
