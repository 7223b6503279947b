from __future__ import annotations

import pytest

from odits.core.errors import OditsError
from odits.data.marks import ImageWord, Mark
from odits.evaluation.annotation_queue import (
    FILTERS,
    assigned,
    disagreement,
    expected_corrections,
    filtered,
    left_over,
    ordered,
    pace,
    progress_of,
    twice_marked,
)
from odits.evaluation.limits import Limits

SURE = {"a.jpg": {"BAR": 0.99}, "b.jpg": {"BAR": 0.55, "INN": 0.02}, "c.jpg": {"BAR": 0.4, "INN": 0.45}}
OTHER = {"a.jpg": {"BAR": 0.1}, "b.jpg": {"BAR": 0.9}, "c.jpg": {"BAR": 0.9, "CAFE": 0.9}}


def test_the_least_certain_pictures_come_first() -> None:
    assert ordered(SURE, "uncertainty", [SURE]) == ["c.jpg", "b.jpg", "a.jpg"]
    assert ordered(SURE, "uncertainty", [SURE], limits=Limits(0.99))[0] == "a.jpg"
    assert expected_corrections({}, Limits(0.5)) == 0
    assert expected_corrections({"BAR": 0.0, "INN": 1.0}, Limits(0.5)) < 1e-5, "the ends are no infinity"
    assert expected_corrections({"BAR": 0.2}, Limits(0.2)) == 0.5
    assert expected_corrections({"BAR": 0.2}, Limits(0.9, {"bar": 0.2})) == 0.5, "its own limit"


def test_disputed_pictures_come_first() -> None:
    assert ordered(SURE, "disagreement", [SURE, OTHER]) == ["c.jpg", "a.jpg", "b.jpg"]
    assert disagreement([{"BAR": 0.9}, {"BAR": 0.6}, {"BAR": 0.1}], Limits(0.5)) == pytest.approx(0.918296)
    assert disagreement([{"BAR": 0.9}, {"BAR": 0.9}], Limits(0.5)) == 0


def test_chance_depends_on_the_seed_and_stays_where_pictures_are_left_out() -> None:
    names = [f"{number}.jpg" for number in range(50)]
    first = ordered(names, "chance", seed=1)
    assert first == ordered(names[::-1], "chance", seed=1) != ordered(names, "chance", seed=2)
    assert sorted(first) == sorted(names) and first != sorted(names)
    assert ordered(names[10:], "chance", seed=1) == [name for name in first if name in names[10:]]
    assert ordered(names[::-1], "file") == sorted(names)


def test_an_unknown_order_or_filter_and_missing_checkpoints_are_one_sentence() -> None:
    for order, checkpoints, message in (
        ("size", [SURE], "no order 'size'"),
        ("uncertainty", [], "words of 1 checkpoint."),
        ("disagreement", [SURE], "words of 2 checkpoints."),
    ):
        with pytest.raises(OditsError, match=message):
            ordered(SURE, order, checkpoints)
    with pytest.raises(OditsError, match="no filter 'red'"):
        filtered(SURE, "red", {})


def test_progress_and_filters() -> None:
    marks = {
        "a.jpg": {"BAR": Mark("right")},
        "b.jpg": {"BAR": Mark("unsure", "dark"), "PUB": Mark("right", added=True)},
        "c.jpg": {"BAR": Mark("skipped"), "INN": Mark("wrong")},
    }
    progress = {name: progress_of(words, marks[name]) for name, words in SURE.items()}
    assert progress["b.jpg"] == (2, 1, 1, 1, 0, 1)
    assert {only: filtered(SURE, only, progress) for only in FILTERS} == {
        "all": ["a.jpg", "b.jpg", "c.jpg"],
        "unfinished": ["b.jpg"],
        "unsure": ["b.jpg"],
        "skipped": ["c.jpg"],
        "noted": ["b.jpg"],
    }


def test_pauses_do_not_count_for_the_pace() -> None:
    def at(*moments: tuple[str, str]) -> list[tuple[str, str]]:
        return [(image, f"2026-01-01T{time}+00:00") for image, time in moments]

    assert pace([]) is None and pace(at(("a", "10:00:00"), ("a", "10:00:05"))) is None
    working = at(("a", "10:00:00"), ("a", "10:00:10"), ("b", "10:00:20"), ("c", "10:00:40"))
    assert pace(working) == pytest.approx(3)
    assert pace(working + at(("d", "11:00:00"), ("e", "11:00:20"))) == pytest.approx(3)
    assert pace(at(("a", "10:00:00"), ("b", "10:00:20"), ("c", "09:00:00"))) == pytest.approx(3), "a clock set back"


def test_a_share_is_marked_by_two_and_all_have_about_as_many() -> None:
    names = [f"{number:03}.jpg" for number in range(101)]
    twice = twice_marked(names, 0.25, seed=3)
    assert len(twice) == 25 and twice == twice_marked(names[::-1], 0.25, seed=3) != twice_marked(names, 0.25, seed=4)
    assert twice_marked(names, 0) == [] and len(twice_marked(names, 0.0001)) == 1 and twice_marked(names, 1) == names
    division = assigned(names, ["Anna", "Ben", "Cleo"], 0.25, seed=3)
    assert {len(theirs) for theirs in division.values()} == {42}
    times = {name: sum(name in theirs for theirs in division.values()) for name in names}
    assert {name for name, count in times.items() if count == 2} == set(twice)
    assert set(times.values()) == {1, 2}
    assert assigned(names, ["Anna"], 0.5) == {"Anna": names}
    assert assigned(names, ["Cleo", "Anna", "Ben"], 0.25, seed=3) == division, "the order of names makes no difference"
    for nobody in ([], ["Anna", "Anna"]):
        with pytest.raises(OditsError, match="each annotator once"):
            assigned(names, nobody)


def test_marks_of_removed_pictures_are_named() -> None:
    marks = [ImageWord("demo", name, "BAR") for name in ("a.jpg", "gone.jpg")]
    assert left_over(marks, ["a.jpg", "b.jpg"]) == marks[1:]
