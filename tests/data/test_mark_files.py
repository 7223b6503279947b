"""Marks as files of four formats: they come back as they were, and nothing here is overwritten in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from odits.core.errors import OditsError
from odits.data.annotation_imports import MINE, MODES, NEWER, REFUSE, THEIRS, all_marks
from odits.data.annotations import change_marks, history, put_marks, read_marks
from odits.data.mark_files import FORMATS, export_marks, import_file, read_marks_file
from odits.data.marks import Change, ImageWord, Mark, Shown

EARLY, LATE = "2026-01-01T10:00:00.000000+00:00", "2026-01-02T10:00:00.000000+00:00"
SHOWN = Shown("ODITS Signs", "c" * 64, "v" * 64, 0.1 + 0.2, "1.2")


def word(text: str, image: str = "a.jpg") -> ImageWord:
    return ImageWord("demo", image, text)


def various() -> list[tuple[ImageWord, Mark]]:
    return [
        (word("=1+1"), Mark("right", "'quoted', \"twice\"\nand more", EARLY, SHOWN, False, (1.5, 2.25, 30.0, 40.0))),
        (word("Café 李"), Mark("unsure", "", LATE, Shown(version="1.2"), True)),
        (word("INN", "b.jpg"), Mark("skipped", "dark", LATE, SHOWN)),
        (word("PUB", "b.jpg"), Mark("wrong", "", EARLY)),
    ]


def content_of(format: str, marks: list[tuple[ImageWord, Mark]], name: str = "Anna") -> bytes:
    return next(iter(export_marks(name, marks, format).values()))


@pytest.mark.parametrize("format", FORMATS)
def test_marks_come_back_as_they_were(format: str) -> None:
    marks = various()
    done = import_file(content_of(format, marks), f"marks of {format}", annotator="Anna")
    assert (done.name, done.read, done.new, done.conflicts, done.remarks) == ("Anna", 4, 4, (), ())
    assert read_marks("Anna") == dict(sorted(marks))
    again = import_file(content_of(format, marks), "again", annotator="Anna")
    assert (again.new, again.conflicts) == (0, ())


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "label-studio"])
def test_decisions_come_back_too(format: str) -> None:
    change_marks("Cleo", [Change(word("BAR"), "right"), Change(word("BAR"), "wrong", parties=("Anna", "Ben"))])
    before = all_marks("Cleo")
    assert [mark.verdict for _, mark in before] == ["right", "wrong"]
    content = content_of(format, before, "Dora")
    assert import_file(content, "x").new == 2
    assert all_marks("Dora") == before


@pytest.mark.parametrize("format", FORMATS)
def test_conflicts_are_listed_and_nothing_is_overwritten_in_silence(format: str) -> None:
    here = [(word("BAR"), Mark("wrong", "mine", EARLY)), (word("INN"), Mark("wrong", "", LATE))]
    theirs = [
        (word("BAR"), Mark("right", "", LATE)),
        (word("CAFE"), Mark("right", "", EARLY)),
        (word("INN"), Mark("right", "", EARLY)),
    ]
    content = content_of(format, theirs)
    found = {}
    for mode in MODES:
        name = f"Anna {mode}"
        put_marks(name, here)
        if format == "label-studio":
            done = import_file(content, "x", mode, name)
        else:
            done = import_file(content_of(format, theirs, name), "x", mode)
        assert [(one.about.word, one.here.verdict, one.there.verdict) for one in done.conflicts] == [
            ("BAR", "wrong", "right"),
            ("INN", "wrong", "right"),
        ]
        assert done.refused == (mode == REFUSE)
        verdicts = {about.word: mark.verdict for about, mark in read_marks(name).items()}
        found[mode] = verdicts
        assert done.new == len(history(name)) - 2
    assert found == {
        REFUSE: {"BAR": "wrong", "INN": "wrong"},
        MINE: {"BAR": "wrong", "CAFE": "right", "INN": "wrong"},
        NEWER: {"BAR": "right", "CAFE": "right", "INN": "wrong"},
        THEIRS: {"BAR": "right", "CAFE": "right", "INN": "right"},
    }
    assert read_marks(f"Anna {THEIRS}")[word("BAR")].note == "mine", "a note that the file does not have is kept"


def test_an_unknown_mode_and_a_format_are_one_sentence() -> None:
    with pytest.raises(OditsError, match="There is no 'both' here"):
        import_file(content_of("csv", various()), "x", "both")
    with pytest.raises(OditsError, match="no format 'xml'"):
        export_marks("Anna", various(), "xml")
    with pytest.raises(OditsError, match="Name the annotator"):
        import_file(content_of("label-studio", various()), "x")


def test_coco_has_boxes_where_places_are_known_and_captions_otherwise() -> None:
    (content,) = export_marks("Anna", various(), "coco", "https://x.example/", {"a.jpg": (640, 480)}).values()
    document = json.loads(content)
    assert document["images"] == [
        {"id": 1, "file_name": "https://x.example/a.jpg", "width": 640, "height": 480},
        {"id": 2, "file_name": "https://x.example/b.jpg"},
    ]
    first, second = document["annotations"][:2]
    assert (first["image_id"], first["bbox"], first["area"], first["category_id"]) == (1, [1.5, 2.25, 30, 40], 1200, 1)
    assert first["caption"] == "=1+1" and "bbox" not in second and second["caption"] == "Café 李"
    assert document["categories"] == [{"id": 1, "name": "word", "supercategory": "text"}]


def test_pycocotools_reads_the_boxes(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    (tmp_path / "x.json").write_bytes(content_of("coco", [*various()[:1]]))
    coco = COCO(tmp_path / "x.json")
    assert coco.loadAnns(coco.getAnnIds(imgIds=[1]))[0]["bbox"] == [1.5, 2.25, 30, 40]


def test_a_box_that_was_moved_elsewhere_counts_as_it_stands() -> None:
    document = json.loads(content_of("coco", various()))
    document["annotations"][0]["bbox"] = [5, 6, 7, 8]
    _, marks = read_marks_file(json.dumps(document).encode(), "x")
    assert dict(marks)[word("=1+1")].box == (5, 6, 7, 8)


def test_what_was_changed_in_label_studio_comes_back_changed() -> None:
    tasks = json.loads(content_of("label-studio", various()))
    annotation = tasks[0]["annotations"][0]
    for result in annotation["result"]:
        result["from_name"] = {"right": "wrong"}.get(result["from_name"], result["from_name"])
    done = import_file(json.dumps(tasks).encode(), "x", annotator="Anna")
    assert done.remarks == ()
    found = read_marks("Anna")
    assert found[word("=1+1")][:2] == ("wrong", "") and found[word("=1+1")].box is None
    assert found[word("Café 李")] == various()[1][1]
    tasks[1]["data"]["odits"]["marks"] = {"INN": {"verdict": "right", "time": 3}, "PUB": "x"}
    import_file(json.dumps(tasks).encode(), "x", THEIRS, "Ben")
    assert read_marks("Ben")[word("INN", "b.jpg")][:2] == ("skipped", "")


def coco(**changes: Any) -> bytes:
    document = json.loads(content_of("coco", various()[:1]))
    document["annotations"][0] |= changes
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "no JSON file"),
        (b"{}", "no COCO file"),
        (b'{"annotations": [3]}', "annotation 1: it is no mark of this program"),
        (coco(attributes=None), "annotation 1: it is no mark of this program"),
        (coco(attributes={"annotator": "Anna"}), "annotation 1: data is empty"),
        (coco(bbox=[1, 2]), "annotation 1: '1 2' is no box of four numbers"),
        (coco(bbox=[1, 2, 3, -4]), "annotation 1: A box needs"),
        (b"PAR1" + b"x" * 100, "no Parquet file"),
        (b"PAR1", "no Parquet file"),
        (content_of("parquet", various())[:-40], "no Parquet file"),
        (b"\0" * 10, "no column 'annotator'|no CSV file"),
    ],
)
def test_bad_files_get_one_sentence_and_nothing_is_taken_over(content: bytes, message: str) -> None:
    with pytest.raises(OditsError, match=message) as caught:
        import_file(content, "x", annotator="Anna")
    assert "\n" not in str(caught.value)
    assert read_marks("Anna") == {}


def test_a_parquet_file_of_something_else_or_of_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from odits.data.exports import table

    with pytest.raises(OditsError, match="no table of marks"):
        import_file(table(("a", "b"), [(1, 2)], "parquet")[".parquet"], "x")
    content = content_of("parquet", [(word(f"{number}"), Mark("right", "n" * 900, EARLY)) for number in range(3000)])
    assert len(content) < 300_000
    monkeypatch.setattr("odits.data.mark_files._TEXT_BYTES", 2**20)
    with pytest.raises(OditsError, match="unpacks to more than 1 MiB"):
        import_file(content, "x")
