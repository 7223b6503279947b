"""Back-up and restoring of marks: online, merging, and never in silence."""

from __future__ import annotations

import sqlite3
import threading
import zipfile
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.data.annotation_files import annotation_file
from odits.data.annotations import read_marks, remove_mark, set_mark
from odits.data.backups import back_up, restore
from odits.data.marks import ImageWord


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
