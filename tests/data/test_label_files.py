"""Text files with a line an image: PaddleOCR's labels, and ICDAR's cropped words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from odits.data import read_dataset
from tests.data.layouts import picture, text

POINTS = [[10, 5], [50, 5], [50, 20], [10, 20]]


def label(*words: str) -> str:
    return json.dumps([{"transcription": word, "points": POINTS} for word in words], ensure_ascii=False)


def test_paddle_labels_with_polygons(tmp_path: Path) -> None:
    for name in ("img/a.jpg", "img/b ä.jpg", "img/c.jpg", "img/d.jpg"):
        picture(tmp_path / name)
    lines = [
        f"img/a.jpg\t{label('BAR', '###', 'Müller')}",
        f"img\\b ä.jpg\t{label('ZOO')}",
        "img/c.jpg\t[]",
        f"img/gone.jpg\t{label('GONE')}",
        "no line of labels",
        "img/d.jpg\t[{broken",
    ]
    text(tmp_path / "train_label.txt", "\r\n".join(lines))
    dataset = read_dataset(tmp_path)
    assert dataset.reader == "PaddleOCR labels or cropped words"
    boxed = {record.name: [(one.word, one.box) for one in record.boxed] for record in dataset.records}
    assert boxed["img/a.jpg"] == [("BAR", (10, 5, 50, 20)), ("Müller", (10, 5, 50, 20))]
    assert [word for word, _ in boxed["img/b ä.jpg"]] == ["ZOO"]
    assert {record.split for record in dataset.records} == {"train"}
    said = " ".join(dataset.warnings)
    assert "gone.jpg" in said and "line 5" in said and "its label is no JSON" in said


@pytest.mark.parametrize("line", ["word_1.png\tPROPER", 'word_1.png, "PROPER"'])
def test_cropped_words(tmp_path: Path, line: str) -> None:
    picture(tmp_path / "word_1.png")
    text(tmp_path / "gt.txt", f"\ufeff{line}\n")
    (record,) = read_dataset(tmp_path).records
    width, height = record.size()
    assert [(one.word, one.box) for one in record.boxed] == [("PROPER", (0, 0, width, height))]


def test_paths_that_climb_out_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "outside.jpg")
    picture(tmp_path / "set" / "a.jpg")
    text(tmp_path / "set" / "Label.txt", f"a.jpg\t{label('IN')}\n../outside.jpg\t{label('OUT')}\n")
    dataset = read_dataset(tmp_path / "set")
    assert [record.name for record in dataset.records] == ["a.jpg"]
    assert "outside" in " ".join(dataset.warnings)


def test_an_image_that_is_a_link_out_of_the_folder_is_not_opened(tmp_path: Path) -> None:
    picture(tmp_path / "secret.jpg")
    for name in ("img_1.jpg", "img_2.jpg"):
        text(tmp_path / "set" / f"gt_{name[:-4]}.txt", "10,5,50,5,50,20,10,20,WORD\n")
    picture(tmp_path / "set" / "img_1.jpg")
    (tmp_path / "set" / "img_2.jpg").symlink_to(tmp_path / "secret.jpg")
    dataset = read_dataset(tmp_path / "set")
    assert [record.name for record in dataset.records] == ["img_1.jpg"]
    assert "img_2" in " ".join(dataset.warnings)


def test_a_table_whose_name_is_in_capitals(tmp_path: Path) -> None:
    picture(tmp_path / "A.JPG")
    text(tmp_path / "LEXICONS.CSV", "FILE;WORDS\nA.JPG;BAR ZOO\n")
    (record,) = read_dataset(tmp_path).records
    assert record.name == "A.JPG" and record.lexicon == ("BAR", "ZOO")
