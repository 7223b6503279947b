"""The history of marks: batches that are sent twice, undo and redo, clocks, and files of the first schema."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.data.annotation_files import annotation_file, annotators, legacy_marks
from odits.data.annotations import change_marks, history, latest, read_marks, redo, remove_mark, revert, set_mark, undo
from odits.data.marks import ADJUDICATION, Change, ImageWord, Mark, Shown, fold_name
from tests.data.first_schema import legacy_file, write_first_schema

BAR, INN, CAFE = (ImageWord("demo", "a.jpg", word) for word in ("BAR", "INN", "CAFE"))
SHOWN = Shown("ODITS Signs", "c" * 64, "v" * 64, 0.75, "1.2")


def verdicts(name: str = "Anna") -> dict[str, str]:
    return {about.word: mark.verdict for about, mark in read_marks(name).items()}


def test_a_mark_says_what_was_on_screen_and_where_the_word_stands() -> None:
    box = (1.5, 2.0, 30.0, 40.0)
    done = change_marks("Anna", [Change(BAR, "right", "on the door", SHOWN, added=True, box=box)])
    mark = read_marks("Anna")[BAR]
    assert mark == Mark("right", "on the door", mark.time, SHOWN, True, box)
    assert [entry.mark for entry in done.entries] == [mark]
    change_marks("Anna", [Change(BAR, "wrong")])
    assert read_marks("Anna")[BAR][:2] == ("wrong", "on the door"), "a note that is not given stays"
    assert read_marks("Anna")[BAR].box == box and read_marks("Anna")[BAR].added


def test_every_change_is_in_the_history_and_none_is_taken_out() -> None:
    set_mark("Anna", BAR, "right", "", SHOWN)
    set_mark("Anna", BAR, "wrong")
    remove_mark("Anna", BAR)
    remove_mark("Anna", BAR)  # nothing there: nothing to tell
    set_mark("Anna", INN, "unsure")
    found = history("Anna")
    assert [(entry.about.word, entry.old, entry.mark.verdict, entry.removed) for entry in found] == [
        ("BAR", None, "right", False),
        ("BAR", "right", "wrong", False),
        ("BAR", "wrong", "", True),
        ("INN", None, "unsure", False),
    ]
    assert found[0].mark.shown == SHOWN
    assert [entry.sequence for entry in found] == [1, 2, 3, 4] and latest("Anna") == 4
    assert [entry.about for entry in history("Anna", about=BAR)] == [BAR] * 3
    assert [entry.sequence for entry in history("Anna", after=2)] == [3, 4]
    assert history("Anna", "another") == [] and history("Ben") == [] and latest("Ben") == 0


def test_a_batch_that_is_sent_twice_is_applied_once() -> None:
    changes = [Change(BAR, "right"), Change(INN, "wrong"), Change(CAFE, None)]
    first = change_marks("Anna", changes, "batch 1")
    set_mark("Anna", BAR, "unsure")
    again = change_marks("Anna", changes, "batch 1")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.entries == first.entries and len(first.entries) == 2
    assert verdicts() == {"BAR": "unsure", "INN": "wrong"}
    assert change_marks("Ben", changes, "batch 1").repeated is False, "each annotator's batches are their own"


def test_a_batch_is_applied_whole_or_not_at_all() -> None:
    with pytest.raises(OditsError, match="no verdict 'maybe'"):
        change_marks("Anna", [Change(BAR, "right"), Change(INN, "maybe")], "batch 1")
    assert verdicts() == {} and history("Anna") == []
    assert not change_marks("Anna", [Change(BAR, "right")], "batch 1").repeated


@pytest.mark.parametrize(
    "change",
    [
        Change(BAR, "right", shown=Shown(probability=1.5)),
        Change(BAR, "right", shown=Shown(model="m" * 4001)),
        Change(BAR, None, shown=Shown(probability=-0.1)),
        Change(BAR, "right", box=(-1, 0, 5, 5)),
        Change(BAR, "right", box=(0, 0, 0, 5)),
        Change(BAR, "right", box=(0, 0, float("nan"), 5)),
        Change(BAR, "right", box=(0, 0, float("inf"), 5)),
        Change(BAR, "right", parties=("", "Ben")),
        Change(ImageWord("demo", "", "BAR"), None),
    ],
)
def test_what_cannot_be_is_refused(change: Change) -> None:
    with pytest.raises(OditsError):
        change_marks("Anna", [change])
    assert history("Anna") == []


@pytest.mark.parametrize("value", ["b" * 101, "a\nb"])
def test_an_id_that_is_too_long_or_unprintable_is_refused(value: str) -> None:
    with pytest.raises(OditsError, match="id of a batch"):
        change_marks("Anna", [Change(BAR, "right")], value)
    with pytest.raises(OditsError, match="id of a session"):
        change_marks("Anna", [Change(BAR, "right")], session=value)


def test_undo_and_redo_go_through_the_whole_session() -> None:
    change_marks("Anna", [Change(BAR, "right", "sure", SHOWN), Change(INN, "right")], session="s")
    change_marks("Anna", [Change(BAR, "wrong", "")], session="s")
    change_marks("Anna", [Change(CAFE, "right")], session="another")
    states = [verdicts()]
    while undo("Anna", "s"):
        states.append(verdicts())
    assert states[1:] == [{"BAR": "right", "INN": "right", "CAFE": "right"}, {"CAFE": "right"}]
    assert redo("Anna", "s") and verdicts() == states[1]
    assert read_marks("Anna")[BAR][:2] == ("right", "sure") and read_marks("Anna")[BAR].shown == SHOWN
    assert redo("Anna", "s") and verdicts() == states[0]
    assert redo("Anna", "s") is None
    assert undo("Anna", "s") and verdicts() == states[1]
    change_marks("Anna", [Change(INN, "unsure")], session="s")
    assert redo("Anna", "s") is None, "what was done since leaves nothing to do again"
    assert undo("Anna", "s") and verdicts() == states[1]
    assert len(history("Anna")) == 13, "undo and redo are changes too"


def test_undo_that_is_sent_twice_takes_back_one_thing() -> None:
    for word in (BAR, INN):
        change_marks("Anna", [Change(word, "right")], session="s")
    for by, left in (("u1", {"BAR": "right"}), ("u2", {})):
        first, again = undo("Anna", "s", by), undo("Anna", "s", by)
        assert first and again and first.batch == again.batch == by
        assert (first.repeated, again.repeated) == (False, True) and again.entries == first.entries
        assert verdicts() == left
    assert undo("Anna", "s", "u3") is None
    first, again = redo("Anna", "s", "r1"), redo("Anna", "s", "r1")
    assert first and again and again.repeated and verdicts() == {"BAR": "right"}


def test_what_was_changed_again_since_is_left_alone_by_undo_and_named() -> None:
    first = change_marks("Anna", [Change(BAR, "right"), Change(INN, "right")], session="s")
    change_marks("Anna", [Change(BAR, "wrong")], session="in another window")
    done = revert("Anna", first.batch)
    assert done.kept == (BAR,) and verdicts() == {"BAR": "wrong"}
    with pytest.raises(OditsError, match="not in the history"):
        revert("Anna", "no such batch")


def test_a_clock_that_goes_backwards_upsets_neither_order_nor_undo(monkeypatch: pytest.MonkeyPatch) -> None:
    for day, verdict in (("3", "right"), ("1", "wrong"), ("2", "unsure")):
        monkeypatch.setattr("odits.data.annotations.now", lambda day=day: f"2026-01-0{day}T00:00:00.000000+00:00")
        change_marks("Anna", [Change(BAR, verdict)], session="s")
    assert [entry.mark.verdict for entry in history("Anna")] == ["right", "wrong", "unsure"]
    assert {entry.mark.time[:10] for entry in history("Anna")} == {"2026-01-03"}
    undo("Anna", "s")
    assert verdicts() == {"BAR": "wrong"}


def test_a_decision_stands_beside_ones_own_mark() -> None:
    set_mark("Anna", BAR, "right")
    change_marks("Anna", [Change(BAR, "wrong", "a sign of another house", parties=("Anna", "Ben"))])
    assert verdicts() == {"BAR": "right"}
    decided = read_marks("Anna", role=ADJUDICATION)
    assert {about: (mark.verdict, mark.parties) for about, mark in decided.items()} == {BAR: ("wrong", ("Anna", "Ben"))}
    change_marks("Anna", [Change(BAR, None, parties=("Anna", "Ben"))])
    assert verdicts() == {"BAR": "right"} and read_marks("Anna", role=ADJUDICATION) == {}


def test_names_that_differ_in_case_are_one_annotator_shown_under_the_first_spelling() -> None:
    set_mark("José K", BAR, "right")
    set_mark("JOSE\u0301 k", INN, "wrong")
    assert annotators() == ["José K"]
    assert verdicts("josé K") == {"BAR": "right", "INN": "wrong"}
    assert fold_name("Straße") == fold_name("STRASSE")


# Files of schema 1.

EARLY, LATE, LATEST = (f"2026-01-0{day}T00:00:00.000000+00:00" for day in (1, 2, 3))


def first_schema_rows() -> list[tuple[str, ...]]:
    return [
        ("demo", "a.jpg", "CLIP", "c", "v", "BAR", "right", "by CLIP", LATE),
        ("demo", "a.jpg", "ODITS", "o", "v", "BAR", "wrong", "by ODITS", EARLY),
        ("demo", "b.jpg", "ODITS", "o", "v", "INN", "unsure", "", LATEST),
    ]


def test_a_file_of_the_first_schema_is_read_as_it_is() -> None:
    path = write_first_schema("Anna", first_schema_rows())
    before = path.read_bytes()
    inn = ImageWord("demo", "b.jpg", "INN")
    assert annotators() == ["Anna"]
    assert read_marks("Anna") == {
        BAR: Mark("right", "by CLIP", LATE, Shown("CLIP", "c", "v")),
        inn: Mark("unsure", "", LATEST, Shown("ODITS", "o", "v")),
    }
    assert list(read_marks("Anna", image="b.jpg")) == [inn] and read_marks("Anna", "SVT") == {}
    assert read_marks("Anna", role=ADJUDICATION) == {} and history("Anna") == [] and latest("Anna") == 0
    assert path.read_bytes() == before


def test_the_first_change_brings_a_file_up_to_date_and_loses_nothing() -> None:
    write_first_schema("Anna", first_schema_rows())
    set_mark("Anna", CAFE, "right")
    assert verdicts() == {"BAR": "right", "CAFE": "right", "INN": "unsure"}
    found = [(entry.about.word, entry.old, entry.mark.verdict, entry.mark.note) for entry in history("Anna")]
    assert found == [
        ("BAR", None, "wrong", "by ODITS"),
        ("BAR", "wrong", "right", "by CLIP"),
        ("INN", None, "unsure", ""),
        ("CAFE", None, "right", ""),
    ]
    assert undo("Anna", "") is not None
    assert legacy_marks("Anna") == []


def test_files_of_several_spellings_become_one(home: Path) -> None:
    write_first_schema("Anna", first_schema_rows()[1:])
    write_first_schema("anna", first_schema_rows()[:1])
    assert annotators() in (["Anna"], ["anna"])
    before = read_marks("ANNA")
    assert before[BAR].verdict == "right"
    set_mark("ANNA", CAFE, "right")
    assert read_marks("Anna") == before | {CAFE: read_marks("Anna")[CAFE]}
    assert len(annotators()) == 1
    assert len(list((home / "annotations").glob("*.merged"))) == 1, "the other file is kept under another name"
    set_mark("anna", CAFE, "wrong")
    assert len(history("Anna")) == 5


def test_a_kill_before_an_old_file_is_put_aside_doubles_nothing() -> None:
    write_first_schema("Anna", first_schema_rows())
    old = write_first_schema("ANNA", first_schema_rows())
    content = old.read_bytes()
    set_mark("anna", CAFE, "right")
    count = len(history("anna"))
    old.write_bytes(content)
    assert len(annotators()) == 1
    set_mark("anna", CAFE, "wrong")
    assert len(history("anna")) == count + 1


def test_many_marks_are_found_by_an_index() -> None:
    set_mark("Anna", BAR, "right")
    with closing(sqlite3.connect(annotation_file("Anna"))) as connection:
        for question in (
            "SELECT * FROM marks WHERE data = 'd' AND image = 'i' AND word = 'w' AND role = 'r'",
            "SELECT * FROM marks WHERE data = 'd' AND image = 'i'",
            "SELECT * FROM history WHERE data = 'd' AND image = 'i' AND word = 'w' AND role = 'r' AND sequence < 9",
            "SELECT * FROM history WHERE batch = 'b'",
            "SELECT * FROM batches WHERE session = 's'",
        ):
            plan = str(connection.execute(f"EXPLAIN QUERY PLAN {question}").fetchall())
            assert "SEARCH" in plan and "SCAN" not in plan, f"{question}: {plan}"


def test_the_file_of_the_first_schema_lies_where_it_did(home: Path) -> None:
    assert legacy_file("Anna").parent == home / "annotations"
