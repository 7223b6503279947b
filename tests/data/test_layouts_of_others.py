"""Layouts as other tools and archives have them: what differs from the files of the makers."""

from __future__ import annotations

from pathlib import Path

import pytest

from odits.data import Dataset, read_dataset
from tests.data.layouts import picture, text

QUADRANGLE = "37,11,63,11,65,23,38,23"


def read(folder: Path, images: tuple[str, ...], **files: str) -> Dataset:
    """Read a folder of these images and of files of annotations, a double underscore in whose names is a slash."""
    for image in images:
        picture(folder / image)
    for name, content in files.items():
        text(folder / f"{name.replace('__', '/')}.txt", content)
    return read_dataset(folder)


def words(dataset: Dataset) -> list[tuple[str, str, list[str]]]:
    return [(record.name, record.split, [word.word for word in record.boxed]) for record in dataset.records]


@pytest.mark.parametrize("name", ["gt_img_1", "img_1", "GT_img_1", "IMG_1", "img_1.jpg"])  # ICDAR, EAST, DBNet
def test_how_the_annotations_of_an_image_are_named(tmp_path: Path, name: str) -> None:
    dataset = read(tmp_path, ("img_1.jpg",), **{name: f"\ufeff{QUADRANGLE},Genaxis Theatre\r\n{QUADRANGLE},12\r\n"})
    assert dataset.reader == "ICDAR 2015"
    assert words(dataset) == [("img_1.jpg", "eval", ["Genaxis Theatre", "12"])]


@pytest.mark.parametrize(
    "content",
    [
        "0 0.5 0.5 0.1 0.1\n",  # YOLO's boxes
        "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2 0.1 0.1\n",  # and polygons
        "25,54,31,46,38,41,42,45,35,50,30,58\n",  # CTW1500's polygons without words
        "A street with a bakery.\n",  # captions
    ],
)
def test_other_files_named_after_images_are_no_boxes_of_words(tmp_path: Path, content: str) -> None:
    with pytest.raises(Exception, match="holds no data set"):
        read(tmp_path, ("img_1.jpg",), img_1=content)


def test_one_side_tells_the_split(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        ("train_images/img_1.jpg", "imgs/img_2.jpg", "test_images/img_3.jpg"),
        gt__gt_img_1=f"{QUADRANGLE},A\n",
        train_gts__gt_img_2=f"{QUADRANGLE},B\n",
        train_gts__gt_img_3=f"{QUADRANGLE},C\n",
    )
    # the third belongs to a training image that is not there, and not to the test image of its name
    assert words(dataset) == [("train_images/img_1.jpg", "train", ["A"]), ("imgs/img_2.jpg", "train", ["B"])]
    assert "train_gts/gt_img_3.txt: there is no image img_3 for it; left out." in dataset.warnings


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (f'{QUADRANGLE},"Genaxis, ""Theatre"""', 'Genaxis, "Theatre"'),
        (f'{QUADRANGLE},"say \\"hi\\""', 'say "hi"'),
        ("1 , 2 ,30,4, 30,20,1,20 , a,b", "a,b"),
        ("25,54,31,46,38,41,42,45,35,50,30,58,####PAUL", "PAUL"),  # polygons of AdelaiDet
        (f"{QUADRANGLE},####a,b", "a,b"),
        *((f"{QUADRANGLE},{sign}", None) for sign in ("###", '"###"', "####", "#", "*")),
    ],
)
def test_how_a_word_is_written(tmp_path: Path, entry: str, word: str | None) -> None:
    dataset = read(tmp_path, ("img_1.jpg",), gt_img_1=f"{entry}\n{QUADRANGLE},END\n")
    assert words(dataset) == [("img_1.jpg", "eval", [word, "END"] if word else ["END"])]
    assert len(dataset.warnings) == 1


def test_scripts_of_the_multilingual_challenge_are_no_words(tmp_path: Path) -> None:
    lines = [f"{QUADRANGLE},{rest}" for rest in ("Latin,Theatre", "Chinese,###", "Symbols,1,000")]
    assert words(read(tmp_path, ("a.jpg",), gt_a="\n".join(lines)))[0][2] == ["Theatre", "1,000"]
    lines.append(f"{QUADRANGLE},Latin")
    assert words(read(tmp_path / "b", ("a.jpg",), gt_a="\n".join(lines)))[0][2][0] == "Latin,Theatre"


def test_total_text_with_odd_spacing(tmp_path: Path) -> None:
    """What https://github.com/open-mmlab/mmocr mends too, in parsers/totaltext_parser.py."""
    place = "x: [[ 25   31  38 42]], y: [[54 46 41 45]], ornt: [u'm'], transcriptions: "
    entries = [
        f"{place}[u'PAUL'] {place}[u'ANNA']",
        "x:[[25, 31, 38, 42]],y:[[54, 46, 41, 45]],ornt:['c'],transcriptions:['PIERRE']",
        f"{place}[]",
        f"{place}[u',']",
        f"{place}[u'\\xe9t\\xe9']",
        f"{place}[u'A' u'B']",
    ]
    dataset = read(tmp_path, ("img1.jpg",), gt_img1="\n".join(entries))
    assert dataset.reader == "Total-Text"
    assert words(dataset) == [("img1.jpg", "eval", ["PAUL", "ANNA", "PIERRE", "été", "AB"])]
    assert len(dataset.warnings) == 1


def test_icdars_files_beside_those_of_total_text_are_theirs(tmp_path: Path) -> None:
    assert read(tmp_path, ("img1.jpg",), gt_img1=f"{QUADRANGLE},A\n").reader == "ICDAR 2015"
