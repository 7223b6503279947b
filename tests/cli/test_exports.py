"""Data sets of others through the commands, and files for other tools out of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from defusedxml.ElementTree import parse
from PIL import Image
from typer.testing import CliRunner, Result

from odits.cli import app
from odits.data.annotations import put_marks, read_marks
from odits.data.marks import ImageWord, Mark
from tests.data import layouts

DEMO = Path(__file__).parents[2] / "assets" / "demo"
LAYOUTS = {
    "ICDAR 2013": layouts.icdar_2013,
    "ICDAR 2015": layouts.icdar_2015,
    "Total-Text": layouts.total_text,
    "COCO-Text": layouts.coco_text,
    "TextOCR": layouts.text_ocr,
    "IIIT 5K-Word": layouts.iiit5k,
    "IIIT Scene Text Retrieval": layouts.iiit_str,
    "PaddleOCR labels or cropped words": layouts.label_files,
    "Parquet or Arrow": layouts.parquet,
}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.parametrize("reader", LAYOUTS)
def test_dataset_names_the_reader_and_counts(reader: str, tmp_path: Path) -> None:
    folder = LAYOUTS[reader](tmp_path / "set")
    done = run("dataset", "--data", folder, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["reader"] == reader
    assert document["splits"][-1]["images"] >= 1 and document["all_unique"] >= 1
    shown = run("dataset", "--data", folder)
    assert reader in shown.stdout


def test_the_layouts_are_listed() -> None:
    assert [one["name"] for one in json.loads(run("dataset", "--layouts", "--json").stdout)][2:] == [
        "Total-Text", *(name for name in LAYOUTS if name != "Total-Text"),
    ]  # fmt: skip
    assert "gt_*.txt" in run("dataset", "--layouts").stdout


@pytest.mark.slow
@pytest.mark.parametrize("reader", LAYOUTS)
def test_everything_downstream_works_on_them(reader: str, tmp_path: Path, home: Path) -> None:
    folder = LAYOUTS[reader](tmp_path / "set")
    export = tmp_path / "words.json"
    evaluated = run(
        "evaluate", "--data", folder, "--split", "all", "--track", "none", "--checkpoint", "embedded", "--json",
        "--export", export, "--top", "3",
    )  # fmt: skip
    assert evaluated.exit_code == 0, evaluated.output
    tasks = json.loads(export.read_text())
    assert tasks and all(len(task["data"]["words"]) <= 3 for task in tasks)
    for command in (("retrieval",), ("spot",), ("search", "bar"), ("counts",)):
        split = () if command[0] == "search" else ("--split", "all")
        done = run(*command, "--data", folder, *split, "--json")
        assert done.exit_code == 0, (command, done.output)
        assert json.loads(done.stdout)


def test_boxed_words_of_a_data_set_for_other_tools(tmp_path: Path) -> None:
    folder = layouts.icdar_2013(tmp_path / "set")
    done = run("dataset", "--data", folder, "--export", tmp_path / "a.xml")
    assert done.exit_code == 0 and f"wrote {tmp_path / 'a.xml'}" in done.stderr
    boxes = parse(tmp_path / "a.xml").getroot().findall("image/box")
    assert [box.findtext("attribute") for box in boxes] == ["Footpath", "To", "Tiredness", "kills"]
    assert run("dataset", "--data", folder, "--export", tmp_path / "a.parquet").exit_code == 0
    assert [row["text"] for row in pq.read_table(tmp_path / "a.parquet").to_pylist()][:2] == ["Footpath", "To"]


@pytest.mark.slow
def test_objects_and_words_for_other_tools(tmp_path: Path) -> None:
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("cafe\nbar\n")
    for ending, form in ((".json", None), (".xml", None), (".csv", None), (".parquet", None), (".coco", "coco")):
        more = ["--format", form] if form else []
        done = run("objects", DEMO / "cafe.jpg", "--export", tmp_path / f"objects{ending}", *more, "--json")
        assert done.exit_code == 0, done.output
        count = len(json.loads(done.stdout)[0]["objects"])
        assert (tmp_path / f"objects{ending}").stat().st_size > 100
    coco = json.loads((tmp_path / "objects.coco").read_text())
    assert len(coco["annotations"]) == count == len(pq.read_table(tmp_path / "objects.parquet"))
    assert (tmp_path / "objects.config.xml").is_file()
    done = run("words", DEMO / "cafe.jpg", "--vocabulary", vocabulary, "--export", tmp_path / "words.json", "--json")
    assert done.exit_code == 0, done.output
    (task,) = json.loads((tmp_path / "words.json").read_text())
    assert task["data"]["odits"] | {"checkpoint": "", "vocabulary": "", "model": ""} == {
        "data": "files", "image": "cafe.jpg", "checkpoint": "", "vocabulary": "", "model": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--export", "a.txt"], "The ending of a.txt means no format"),
        (["--export", "a.json", "--format", "yolo"], "There is no format 'yolo' here"),
        (["--export", "nowhere/a.json"], "no folder"),
    ],
)
def test_a_wrong_export_ends_before_the_work(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    command: Callable[..., Result] = run
    for name in ("objects", "words"):
        done = command(name, DEMO / "cafe.jpg", *arguments)
        assert done.exit_code != 0 and sentence in str(done.exception)


def test_several_frames_are_said_once(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (30, 20), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("cafe\nbar\n")
    done = run("words", tmp_path / "a.gif", "--vocabulary", vocabulary, "--checkpoint", "embedded", "--json")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("a.gif holds several frames or pages; the first is used.") == 1


def exported(tmp_path: Path, *words: str) -> Path:
    about = {"data": "demo", "image": "a.jpg", "model": "M", "checkpoint": "c", "vocabulary": "v"}
    result = [{"from_name": "right", "to_name": "image", "type": "choices", "value": {"choices": list(words)}}]
    annotation = {"completed_by": 1, "result": result, "created_at": "2026-02-01T10:00:00Z"}
    file = tmp_path / "export.json"
    file.write_text(
        json.dumps([{"id": 1, "data": {"image": "x", "odits": about}, "annotations": [annotation]}, {"id": 2}])
    )
    return file


def test_marks_of_label_studio_come_in(tmp_path: Path) -> None:
    word = ImageWord("demo", "a.jpg", "BAR")
    put_marks("Anna", [(word, Mark("wrong", "", "2026-01-01T00:00:00.000000+00:00"))])
    file = exported(tmp_path, "BAR", "INN")
    refused = run("annotations", "import", file, "--annotator", "Anna")
    assert refused.exit_code == 1 and "Say which of the two counts" in refused.stderr
    assert list(read_marks("Anna")) == [word]
    done = run("annotations", "import", file, "--annotator", "Anna", "--conflicts", "mine", "--json")
    assert done.exit_code == 1, "one task is about nothing of ours: it is named, the other is taken"
    document = json.loads(done.stdout)
    assert document["read"] == 2 and document["new"] == 1
    assert document["conflicts"] == [{"image": "a.jpg", "word": "BAR", "here": "wrong", "file": "right"}]
    assert "task 2: it is not about words" in done.stderr
    assert read_marks("Anna")[word].verdict == "wrong"
    run("annotations", "import", file, "--annotator", "Anna", "--conflicts", "theirs")
    assert read_marks("Anna")[word].verdict == "right"
    with_none = run("annotations", "import", file)
    assert "Name the annotator" in str(with_none.exception)


def test_marks_as_csv_there_and_back(tmp_path: Path) -> None:
    run("annotations", "import", exported(tmp_path, "=SUM(A1)"), "--annotator", "Anna")
    before = read_marks("Anna")
    assert run("annotations", "export", "Anna", tmp_path / "anna.csv").exit_code == 0
    assert run("annotations", "import", tmp_path / "anna.csv").exit_code == 0
    assert read_marks("Anna") == before
    assert json.loads(run("annotations", "list", "--json").stdout) == [
        {"annotator": "Anna", "marks": 1, "right": 1, "wrong": 0, "unsure": 0, "skipped": 0}
    ]
    assert "There are no marks of Ben" in str(run("annotations", "export", "Ben", tmp_path / "b.csv").exception)
    assert "can't be read" in str(run("annotations", "import", tmp_path / "gone.csv").exception)
