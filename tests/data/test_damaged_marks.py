"""A damaged file of marks: it is found, it stays as it is, and what can be read of it is saved beside it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from odits.cli import app
from odits.core.errors import OditsError
from odits.data.annotation_files import annotation_file, annotators, damaged_files
from odits.data.annotation_imports import NEWER
from odits.data.annotations import put_marks, read_marks, set_mark
from odits.data.mark_files import import_file
from odits.data.marks import ImageWord, Mark

PAGE = 4096
COUNT = 3000


def marks_of(count: int) -> dict[ImageWord, Mark]:
    """Marks with notes, some so long that SQLite puts the end of a row on another page."""
    return {
        ImageWord("svt", f"{number:05}.jpg", "hotel"): Mark(
            "right", "é" * (950 if number % 50 == 7 else 20), f"2026-01-01T00:00:00.{number:06}+00:00"
        )
        for number in range(count)
    }


@pytest.fixture
def file() -> Path:
    """The file of Anna, whose marks lie on hundreds of pages."""
    put_marks("Anna", marks_of(COUNT).items())
    path = annotation_file("Anna")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def damage(path: Path, *pages: int) -> bytes:
    """Write noise over pages, which are counted from one; the file's bytes then."""
    data = bytearray(path.read_bytes())
    for page in pages:
        start = (page - 1) * PAGE + (100 if page == 1 else 0)
        data[start : start + 3000] = b"\xa5" * 3000
    path.unlink()  # a file that is not known yet to be sound
    path.write_bytes(data)
    return bytes(data)


def saved_beside(path: Path) -> Path:
    (saved,) = path.parent.glob(f"{path.stem}-saved-*.csv")
    return saved


def restored(path: Path) -> dict[ImageWord, Mark]:
    """The marks after what the sentence says was done: the file moved away, the saved ones added."""
    content = saved_beside(path).read_bytes()
    path.rename(path.with_suffix(".damaged"))
    assert import_file(content, "x.csv", NEWER).name == "Anna"
    return read_marks("Anna")


def test_a_few_damaged_pages_cost_the_marks_on_them_and_no_others(file: Path) -> None:
    pages = len(file.read_bytes()) // PAGE
    damaged = damage(file, *range(pages // 2, pages // 2 + 4), pages // 4)
    with pytest.raises(OditsError, match=r"damaged or no database. [\d,]+ of its marks were saved in anna-"):
        read_marks("Anna", "another data set, whose marks are whole")
    assert file.read_bytes() == damaged
    found, written = restored(file), marks_of(COUNT)
    assert COUNT - 5 * PAGE / 200 < len(found) < COUNT
    assert found == {word: written[word] for word in found}


@pytest.mark.parametrize("page", [1, 3])
def test_without_the_schema_or_the_root_all_leaves_are_read(file: Path, page: int) -> None:
    damage(file, page)
    with pytest.raises(OditsError, match="were saved"):
        read_marks("Anna")
    found, written = restored(file), marks_of(COUNT)
    assert len(found) > COUNT - 100
    assert found == {word: written[word] for word in found}


def test_marks_that_lie_in_the_log_only_are_saved_in_their_last_version() -> None:
    put_marks("Anna", marks_of(40).items())
    path = annotation_file("Anna")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("SELECT * FROM marks").fetchone()  # while it is open, the log stays
        word = next(iter(marks_of(1)))
        set_mark("Anna", word, "wrong", "seen again")
        set_mark("Anna", ImageWord("svt", "new.jpg", "d"), "unsure")
        log = Path(f"{path}-wal").read_bytes()
        whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: 2 * PAGE] + b"\xa5" * PAGE + whole[3 * PAGE :])
    Path(f"{path}-wal").write_bytes(log)
    with pytest.raises(OditsError, match="were saved"):
        read_marks("Anna")
    assert Path(f"{path}-wal").read_bytes() == log
    Path(f"{path}-wal").unlink()
    found = restored(path)
    assert found[word][:2] == ("wrong", "seen again")
    assert any(other.image == "new.jpg" for other in found)
    assert len(found) >= 38  # of 41: those on the damaged page are gone


def test_damaged_files_are_found_at_the_start_and_saved_once(file: Path) -> None:
    set_mark("Ben", ImageWord("svt", "a.jpg", "d"), "right")
    damage(file, 5, 6)
    (sentence,) = damaged_files()
    assert "were saved" in sentence and "\n" not in sentence
    first = saved_beside(file).read_bytes()
    assert damaged_files() == [sentence]
    with pytest.raises(OditsError, match="were saved"):
        set_mark("Anna", ImageWord("svt", "a.jpg", "d"), "right")
    assert saved_beside(file).read_bytes() == first
    assert annotators() == ["Ben"]


def test_the_list_of_annotators_names_damaged_files(file: Path) -> None:
    set_mark("Ben", ImageWord("svt", "a.jpg", "d"), "right")
    damage(file, 5)
    done = CliRunner().invoke(app, ["annotations", "list", "--json"])
    assert done.exit_code == 1
    assert [row["annotator"] for row in json.loads(done.stdout)] == ["Ben"]
    assert "is damaged" in done.stderr


def test_a_file_whose_writer_was_killed_before_the_first_mark_holds_none() -> None:
    path = annotation_file("Anna")
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    assert path.stat().st_size
    assert read_marks("Anna") == {} and annotators() == [] and damaged_files() == []
    set_mark("Anna", ImageWord("svt", "a.jpg", "d"), "right")
    assert annotators() == ["Anna"]


def test_the_app_names_damaged_files_when_it_starts(file: Path) -> None:
    damage(file, 5)
    command = [sys.executable, "-m", "odits", "app", "--server.port=0", "--server.headless=true"]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert "marks were saved in anna-" in process.stderr.readline()
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("name", ["x" * 300, " ", "", "\t\n", "a\x00b", "a\x1b[2J", "\u202eanna", "\ud800"])
def test_names_that_nobody_can_have_are_one_sentence(name: str) -> None:
    with pytest.raises(OditsError) as refused:
        set_mark(name, ImageWord("svt", "a.jpg", "d"), "right")
    assert "\n" not in str(refused.value)
    assert annotators() == []


@pytest.mark.parametrize("image", ["i" * 300, " ", "\x01\x02.jpg", "\u202egpj.a"])
def test_images_and_words_of_any_text_are_marked(image: str) -> None:
    word = ImageWord("svt", image, image)
    set_mark("Anna", word, "right", image)
    assert list(read_marks("Anna")) == [word]


def test_a_name_with_a_nul_is_refused_as_no_table_could_hold_it() -> None:
    with pytest.raises(OditsError, match=r"^image is empty or too long, or has a NUL\.$"):
        set_mark("Anna", ImageWord("svt", "a\x00b", "d"), "right")


def test_a_file_whose_name_is_no_text_is_one_sentence() -> None:
    with pytest.raises(OditsError, match="no text in Unicode"):
        set_mark("Anna", ImageWord("svt", "\udcff.jpg", "d"), "right")


def test_a_clock_that_was_set_back_makes_no_mark_older_than_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    word = ImageWord("svt", "a.jpg", "d")
    late, early = "2026-05-01T00:00:00.000000+00:00", "2026-01-01T00:00:00.000000+00:00"
    put_marks("Anna", [(word, Mark("right", "", late))])
    monkeypatch.setattr("odits.data.annotations.now", lambda: early)
    set_mark("Anna", word, "wrong")
    assert read_marks("Anna")[word] == Mark("wrong", "", late)
    put_marks("Anna", [(word, Mark("right", "", "2026-03-01T00:00:00.000000+00:00"))], only_newer=True)
    assert read_marks("Anna")[word].verdict == "wrong"
