"""Marks that come back from Label Studio."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from odits.core.errors import OditsError
from odits.data.annotation_files import annotators
from odits.data.annotations import put_marks, read_marks
from odits.data.exports import Predictor, WordsOfImage
from odits.data.label_studio import import_tasks, word_tasks
from odits.data.marks import ImageWord, Mark, Shown
from odits.data.predictions import WordProbability

BY = Predictor("demo", "ODITS Signs", "c" * 64, "v" * 64)
EARLY = "2026-01-01T10:00:00.000000+00:00"


def about(word: str, image: str = "a.jpg") -> ImageWord:
    return ImageWord("demo", image, word)


def tasks(*images: str) -> list[dict[str, Any]]:
    words = [WordProbability(word, 0.3) for word in ("HOTEL", "BAR", "INN")]
    files = word_tasks([WordsOfImage(image, (10, 10), words) for image in images or ("a.jpg",)], BY)
    found: list[dict[str, Any]] = json.loads(files[".json"])
    return found


def chosen(person: Any = 3, time: str = "2026-02-01T10:00:00.000000Z", **words: list[str]) -> dict[str, Any]:
    """An annotation as Label Studio exports it."""
    result = [
        {"id": name, "from_name": name, "to_name": "image", "type": "choices", "value": {"choices": list(given)}}
        for name, given in words.items()
    ]
    return {
        "id": 1,
        "completed_by": person,
        "result": result,
        "was_cancelled": False,
        "created_at": time,
        "updated_at": time,
    }


def export(*annotations: dict[str, Any], task: dict[str, Any] | None = None) -> bytes:
    return json.dumps([{"id": 1, **(task or tasks()[0]), "annotations": list(annotations)}]).encode()


def test_marks_of_an_export() -> None:
    done = import_tasks(export(chosen(right=["HOTEL"], wrong=["BAR"], unsure=["INN"])), "Anna", "x.json")
    assert (done.name, done.read, done.new, done.conflicts, done.remarks) == ("Anna", 3, 3, (), ())
    time, shown = "2026-02-01T10:00:00.000000+00:00", Shown("ODITS Signs", "c" * 64, "v" * 64)
    assert read_marks("Anna") == {
        about("BAR"): Mark("wrong", "", time, shown),
        about("HOTEL"): Mark("right", "", time, shown),
        about("INN"): Mark("unsure", "", time, shown),
    }
    again = import_tasks(export(chosen(right=["HOTEL"])), "Anna")
    assert (again.read, again.new, again.conflicts) == (1, 0, ())


@pytest.mark.parametrize(
    "verdicts",
    [
        {"right": {"choices": ["HOTEL", "BAR"]}, "wrong": "INN"},
        {"right": ["HOTEL", "BAR"], "wrong": ["INN"]},
    ],
)
def test_the_short_form_of_an_export(verdicts: dict[str, Any]) -> None:
    data = tasks()[0]["data"]
    row = {"id": 7, **data, **verdicts, "annotator": 1, "annotation_id": 4, "created_at": EARLY}
    done = import_tasks(json.dumps([row]).encode(), "Anna")
    assert {key.word: mark.verdict for key, mark in read_marks("Anna").items()} == {
        "BAR": "right", "HOTEL": "right", "INN": "wrong",
    }  # fmt: skip
    assert done.new == 3


def test_marks_that_are_here_stay_and_are_shown() -> None:
    here = Mark("wrong", "dark", EARLY)
    put_marks("Anna", [(about("HOTEL"), here), (about("BAR"), Mark("right", "", EARLY))])
    content = export(chosen(right=["HOTEL", "BAR", "INN"]))
    refused = import_tasks(content, "Anna")
    assert refused.new == 0 and refused.refused and list(read_marks("Anna")) == [about("BAR"), about("HOTEL")]
    done = import_tasks(content, "Anna", mode="mine")
    assert done.new == 1 and not done.refused
    ((word, mine, theirs),) = done.conflicts
    assert (word, mine, theirs.verdict) == (about("HOTEL"), here, "right")
    assert read_marks("Anna")[about("HOTEL")] == here
    replaced = import_tasks(content, "Anna", mode="theirs")
    assert replaced.new == 1 and len(replaced.conflicts) == 1
    assert read_marks("Anna")[about("HOTEL")][:2] == ("right", "dark"), "a note of one's own stays"
    assert import_tasks(content, "Anna", mode="theirs").conflicts == ()


def test_a_word_under_two_verdicts_is_unsure_and_said() -> None:
    done = import_tasks(export(chosen(right=["HOTEL"], wrong=["HOTEL"])), "Anna", "x.json")
    assert done.remarks == ("x.json, task 1: 'HOTEL' is both right and wrong; taken as unsure.",)
    assert [mark.verdict for mark in read_marks("Anna").values()] == ["unsure"]


def test_of_several_people_one_is_named() -> None:
    content = export(chosen({"id": 3, "email": "a@b.c"}, right=["HOTEL"]), chosen(4, wrong=["HOTEL"]))
    with pytest.raises(OditsError, match=r"^x\.json holds annotations of 2 people \(a@b\.c, 4\): say whose to take\.$"):
        import_tasks(content, "Anna", "x.json")
    assert annotators() == []
    import_tasks(content, "Anna", done_by="4")
    assert [mark.verdict for mark in read_marks("Anna").values()] == ["wrong"]
    with pytest.raises(OditsError, match="holds no marks of 9"):
        import_tasks(content, "Anna", done_by="9")


def test_skipped_annotations_and_other_controls_are_passed_over() -> None:
    skipped = chosen(right=["HOTEL"]) | {"was_cancelled": True}
    box = {"from_name": "box", "type": "rectanglelabels", "value": {"x": 1}}
    good = chosen(wrong=["BAR"])
    good["result"] += [box, "x", {"from_name": "right"}, {"from_name": "right", "value": {"choices": None}}]
    done = import_tasks(export(skipped, good), "Anna", "x.json")
    assert done.new == 1 and done.remarks == ("x.json, task 1: a chosen word is empty or too long; left out.",)


def test_one_strange_task_never_ends_the_rest() -> None:
    good = {**tasks()[0], "annotations": [chosen(right=["BAR"])]}
    foreign = {"data": {"image": "x"}, "annotations": [chosen(right=["BAR"])]}
    nonsense = {"data": {"odits": {"data": 3}}, "annotations": "x"}
    done = import_tasks(json.dumps([foreign, nonsense, good, {}]).encode(), "Anna", "x.json")
    assert done.new == 1
    assert [remark.split(":")[0] for remark in done.remarks] == ["x.json, task 1", "x.json, task 2", "x.json, task 4"]


def test_times_are_not_believed_blindly() -> None:
    for time in ("9999-01-01T00:00:00Z", "yesterday", None):
        import_tasks(export(chosen(time=time, right=["BAR"])), "Anna", mode="theirs")  # type: ignore[arg-type]
        assert "2026" <= next(iter(read_marks("Anna").values())).time < "2100"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "is no JSON file"),
        (b"\xff\xff", "is no JSON file"),
        (b"{}", "not a list of tasks"),
        (b"[1]", "not a list of tasks"),
        (b"[]", "holds no marks"),
        (b"[" * 100_000, "is no JSON file"),
        (b" " * (32 * 2**20 + 1), "larger than 32 MiB"),
    ],
)
def test_files_that_are_none_are_one_sentence(content: bytes, part: str) -> None:
    with pytest.raises(OditsError, match=part) as caught:
        import_tasks(content, "Anna", "x.json")
    assert str(caught.value).startswith("x.json") and "\n" not in str(caught.value)
    assert annotators() == []


def test_nobody_writes_under_no_name() -> None:
    with pytest.raises(OditsError, match="needs a name"):
        import_tasks(export(chosen(right=["BAR"])), " ")


def test_task_ids_are_those_of_the_image_and_the_weights() -> None:
    first: Callable[..., str] = lambda task: task["predictions"][0]["result"][0]["id"]  # noqa: E731
    one, two = tasks("a.jpg", "b.jpg")
    assert first(one) != first(two) and first(tasks("a.jpg")[0]) == first(one)
