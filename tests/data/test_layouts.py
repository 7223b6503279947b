"""Data sets of others, each in its own layout: images, words and boxes, and one sentence for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat

from odits.core.errors import OditsError
from odits.data import Dataset, read_dataset
from odits.data.datasets import READERS, find_data_folder
from odits.data.matlab import read_matlab
from tests.data import layouts
from tests.data.layouts import picture, text

Words = list[tuple[str, tuple[int, int, int, int]]]


def boxed(dataset: Dataset, split: str) -> list[Words]:
    return [[(word.word, word.box) for word in record.boxed] for record in dataset.split(split)]


@pytest.mark.parametrize(
    ("write", "name", "train", "evaluation"),
    [
        (
            layouts.icdar_2013,
            "ICDAR 2013",
            [("Footpath", (10, 8, 41, 28)), ("To", (44, 12, 50, 16))],
            [("Tiredness", (3, 4, 92, 21)), ("kills", (27, 26, 66, 45))],
        ),
        (
            layouts.icdar_2015,
            "ICDAR 2015",
            [("Genaxis Theatre", (37, 11, 65, 23))],
            [("100,000", (9, 10, 50, 22))],  # https://github.com/open-mmlab/mmocr/issues/1586
        ),
        (
            layouts.total_text,
            "Total-Text",
            [("PAUL", (25, 41, 42, 58)), ("Let's", (1, 1, 20, 9))],
            [("CAFE", (10, 5, 40, 25))],
        ),
        (layouts.coco_text, "COCO-Text", [("the", (10, 8, 34, 17))], [("STOP", (1, 2, 31, 12))]),
        (layouts.text_ocr, "TextOCR", [("Performance", (50, 20, 80, 30))], None),
        (layouts.iiit5k, "IIIT 5K-Word", [("You", (0, 0, 40, 20))], [("PRIVATE", (0, 0, 40, 20))]),
    ],
)
def test_words_and_boxes_of_each_layout(
    tmp_path: Path, write: Callable[[Path], Path], name: str, train: Words, evaluation: Words | None
) -> None:
    folder = write(tmp_path / "set")
    assert find_data_folder(folder) == folder
    dataset = read_dataset(folder)
    assert dataset.reader == dataset.name == name
    assert boxed(dataset, "train") == [train]
    assert boxed(dataset, "eval") == ([evaluation] if evaluation is not None else [])
    for record in dataset.records:
        assert record.lexicon == record.visible, "without lexicons the boxed words are the lexicon"
        assert record.open().size == record.size()
    assert len(dataset.warnings) == 1, "the only thing to say is where the lexicons come from"
    assert "lexicon" in dataset.warnings[0]


def test_matlab_polygons_and_label_files_are_the_same_data(tmp_path: Path) -> None:
    assert boxed(read_dataset(layouts.total_text(tmp_path / "a", matlab=True)), "eval") == [[("CAFE", (10, 5, 40, 25))]]
    tables, labels = (read_dataset(layouts.iiit5k(tmp_path / kind, kind == "mat")) for kind in ("mat", "txt"))
    assert boxed(tables, "all") == boxed(labels, "all")
    assert [record.name for record in labels.records] == ["train/1009_2.png", "test/1009_2.png"]


def test_scenes_of_queries(tmp_path: Path) -> None:
    dataset = read_dataset(layouts.iiit_str(tmp_path))
    assert dataset.reader == "IIIT Scene Text Retrieval" and dataset.splits == ("eval",)
    assert [record.lexicon for record in dataset.records] == [("coffee",), ("coffee", "motel"), ()]
    assert "1 images answer no query" in dataset.warnings[0]


def test_parquet_as_the_hub_has_it(tmp_path: Path) -> None:
    dataset = read_dataset(layouts.parquet(tmp_path))
    assert dataset.reader == "Parquet or Arrow" and dataset.splits == ("train", "eval")
    one = [("BAR", (1, 1, 20, 9)), ("GRILL", (30, 30, 60, 40))]
    assert boxed(dataset, "train") == [one, []] and boxed(dataset, "eval") == [one]
    assert [record.name for record in dataset.records][:1] == ["one (2).png"]
    assert all(record.path.is_file() and record.open().size == (100, 60) for record in dataset.records)
    again = read_dataset(tmp_path)
    assert [record.path for record in again.records] == [record.path for record in dataset.records]


def test_one_parquet_file_may_be_named(tmp_path: Path) -> None:
    table = pa.table(layouts.parquet_rows(tmp_path))
    file = tmp_path / "street signs.parquet"
    pq.write_table(table, file)
    assert find_data_folder(file) == file
    dataset = read_dataset(file)
    assert dataset.name == "street signs" and len(dataset.records) == 2


@pytest.mark.parametrize("stream", [True, False])
def test_arrow_files_of_both_kinds(tmp_path: Path, stream: bool) -> None:
    table = pa.table(layouts.parquet_rows(tmp_path))
    (tmp_path / "train").mkdir()
    with pa.OSFile(str(tmp_path / "train/data-00000-of-00001.arrow"), "wb") as sink:
        writer = (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema)
        with writer:
            writer.write_table(table)
    dataset = read_dataset(tmp_path)
    assert dataset.splits == ("train",) and dataset.records[0].visible == ("BAR", "GRILL")


def test_columns_of_a_parquet_file(tmp_path: Path) -> None:
    """Words in one text, boxes as COCO has them, a lexicon of its own, a split, plain bytes, files by their paths."""
    content = picture(tmp_path / "img/x.png").read_bytes()
    table = pa.table(
        {
            "img": [content, content],
            "text": ["OPEN, late", "CAFE"],
            "bbox": [[[1.0, 2, 10, 5], [20.0, 20, 5, 5]], [[float("nan"), 1, 2, 3]]],
            "lexicon": [["OPEN", "LATE", "BAR"], []],
            "split": ["train", "validation"],
            "file_name": ["a.png", "b.png"],
        }
    )
    pq.write_table(table, tmp_path / "all.parquet")
    dataset = read_dataset(tmp_path)
    first, second = dataset.records
    assert (first.name, first.split, first.lexicon) == ("a.png", "train", ("OPEN", "LATE", "BAR"))
    assert boxed(dataset, "train") == [[("OPEN", (1, 2, 11, 7)), ("late", (20, 20, 25, 25))]]
    assert (second.name, second.split, second.lexicon, second.boxed) == ("b.png", "eval", ("CAFE",), ())
    assert any("'CAFE' in b.png has coordinates that are none" in warning for warning in dataset.warnings)


def test_images_of_a_parquet_file_that_are_only_paths(tmp_path: Path) -> None:
    """`bytes` is null where a data set was not embedded in the file."""
    picture(tmp_path / "set/img/x.png")
    picture(tmp_path / "secret.png")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": None, "path": path} for path in ("img/x.png", "../secret.png", "img/gone.png", None)]
    table = pa.table({"image": pa.array([*cells, None], kind), "word": ["BAR"] * 5})
    pq.write_table(table, tmp_path / "set/a.parquet")
    dataset = read_dataset(tmp_path / "set")
    assert [record.name for record in dataset.records] == ["img/x.png"]
    told = "\n".join(dataset.warnings)
    assert len(dataset.warnings) == 4
    assert "'../secret.png' is not a path inside" in told and "no image gone.png" in told and "it has no image" in told


def test_a_broken_parquet_file_costs_only_itself(tmp_path: Path) -> None:
    """https://github.com/huggingface/datasets/issues/4077: "Parquet magic bytes not found in footer"."""
    layouts.parquet(tmp_path)
    good = (tmp_path / "data/test-00000-of-00001.parquet").read_bytes()
    for name, content in {
        "a-empty": b"",
        "b-text": b"no parquet",
        "c-cut": good[: len(good) // 2],
        "d-footer": good[:-8] + b"\xff\xff\xff\x7fPAR1",
        "e-pages": good[:8] + b"\0" * 40 + good[48:],
    }.items():
        (tmp_path / f"data/{name}.parquet").write_bytes(content)
    dataset = read_dataset(tmp_path)
    assert len(dataset.records) == 3
    with pytest.raises(
        OditsError, match=r"^No image of a data set .* b-text\.parquet is damaged, cut off, or no Parquet"
    ):
        read_dataset(tmp_path / "data/b-text.parquet")
    told = [warning for warning in dataset.warnings if "is damaged, cut off, or no Parquet file" in warning]
    assert len(told) >= 4 and all("\n" not in warning for warning in dataset.warnings)


def test_a_pile_of_rows_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odits.data.parquet.MAX_GROUP_BYTES", 2**20)
    pq.write_table(pa.table({"image": [b"\0" * 2**22], "word": ["X"]}), tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 2**16
    with pytest.raises(OditsError, match="unpacks to more than"):
        read_dataset(tmp_path)


def test_paths_that_climb_are_not_opened(tmp_path: Path) -> None:
    picture(tmp_path / "secret.jpg")
    names = ["../../secret.jpg", str(tmp_path / "secret.jpg"), "train2014/../../secret.jpg"]
    images = {str(9 + n): {"id": 9 + n, "file_name": name, "set": "train"} for n, name in enumerate(names)}
    coco = read_dataset(layouts.coco_text(tmp_path / "coco", imgs=images))
    assert len(coco.records) == 2
    assert sum("is not a path inside the data set" in warning for warning in coco.warnings) == 3
    labels = layouts.iiit5k(tmp_path / "iiit", matlab=False)
    text(labels / "test_label.txt", "../secret.jpg BAR\ntest/1009_2.png INN\n")
    assert [record.visible for record in read_dataset(labels).split("eval")] == [("INN",)]


def test_boxes_that_are_none_cost_only_themselves(tmp_path: Path) -> None:
    folder = layouts.icdar_2015(tmp_path)
    lines = [
        "1,1,9,1,9,9,1,9,GOOD", "nan,1,9,1,9,9,1,9,NAN", "200,200,210,200,210,210,200,210,OUT", "1,1,9,WORD", "words",
        "90,50,120,50,120,80,90,80,EDGE", "5,5,5,5,5,5,5,5,FLAT", "1,1,9,1,9,9,1,9,", "-5,1,9,1,9,9,-5,9,LEFT",
    ]  # fmt: skip
    text(folder / "Challenge4_Test_Task4_GT/gt_img_1.txt", "\n".join(lines))
    dataset = read_dataset(folder)
    assert boxed(dataset, "eval") == [[("GOOD", (1, 1, 9, 9)), ("EDGE", (90, 50, 100, 60)), ("LEFT", (0, 1, 9, 9))]]
    told = [warning for warning in dataset.warnings if "gt_img_1.txt, line" in warning]
    assert [int(warning.split("line ")[1].split(":")[0]) for warning in told] == [2, 3, 4, 5, 6, 7, 8, 9]


def test_annotations_of_one_image_that_are_none_cost_its_words(tmp_path: Path) -> None:
    folder = layouts.icdar_2015(tmp_path)
    file = folder / "Challenge4_Test_Task4_GT/gt_img_1.txt"
    for content in (b"\xff\xfe\x00", b"1" * 10 * 2**20, b"\0\0\0"):
        file.write_bytes(content)
        dataset = read_dataset(folder)
        assert dataset.split("eval")[0].boxed == () and len(dataset.records) == 2
        assert any(warning.startswith("Challenge4_Test_Task4_GT/gt_img_1.txt: ") for warning in dataset.warnings)
    file.write_bytes("10,10,50,12,49,22,9,20,Café".encode("cp1252"))
    assert read_dataset(folder).split("eval")[0].visible == ("Café",)
    file.write_bytes(b"")
    assert read_dataset(folder).split("eval")[0].visible == ()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"imgs": 3, "anns": []}', '{"imgs": {"1": 4}}', "[" * 100_000, '{"imgs"']
)
def test_json_that_is_none_is_one_sentence(tmp_path: Path, content: str) -> None:
    picture(tmp_path / "train2014/a.jpg")
    text(tmp_path / "cocotext.v2.json", content)
    with pytest.raises(OditsError) as caught:
        read_dataset(tmp_path)
    assert "\n" not in str(caught.value)


def test_annotations_of_odd_types_are_left_out(tmp_path: Path) -> None:
    odd = {
        "1": {"image_id": 5, "utf8_string": "A", "bbox": "none", "legibility": "legible"},
        "2": {"image_id": 5, "utf8_string": 7, "bbox": [1, 1, 2, 2], "legibility": "legible"},
        "3": {"image_id": 5, "utf8_string": "B", "mask": [1, 1, None, 2, 3, 4], "bbox": [1, 1, 1e400, 2]},
        "4": {"image_id": 5, "utf8_string": "C", "mask": [[1, 1, 9, 1, 9, 9]]},
        "5": "x",
        "6": {"image_id": 5, "utf8_string": "D", "bbox": [1, 1, 10**400, 2]},
    }
    dataset = read_dataset(layouts.coco_text(tmp_path, anns=odd))
    assert boxed(dataset, "train") == [[("the", (10, 8, 34, 17)), ("C", (1, 1, 9, 9))]]


def test_total_text_entries_that_are_none(tmp_path: Path) -> None:
    folder = layouts.total_text(tmp_path)
    entries = [
        "x: [[1 2 3]], y: [[1 2]], ornt: [u'c'], transcriptions: [u'ODD']",
        "x: nothing",
        "x: [[1 9 nan]], y: [[1 2 3]], ornt: [u'c'], transcriptions: [u'NAN']",
        "x: [[1 9 9 1]], y: [[1 1 9 9]], ornt: [u'c'], transcriptions: []",
        "x: [[1 9 9 1]], y: [[1 1 9 9]], ornt: [u'c'], transcriptions: [u'it's']",
    ]
    text(folder / "Groundtruth/Polygon/Test/poly_gt_img11.txt", "\n".join(entries))
    dataset = read_dataset(folder)
    assert boxed(dataset, "eval") == [[("it's", (1, 1, 9, 9))]]
    assert sum("coordinates that are none" in warning for warning in dataset.warnings) == 3
    for content in ("", "nothing of the kind"):
        text(folder / "Groundtruth/Polygon/Test/poly_gt_img11.txt", content)
        assert boxed(read_dataset(folder), "eval") == [[]]


def test_a_matlab_file_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"testdata": np.zeros((64, 2**20))}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 2**20
    with pytest.raises(OditsError, match=r"a\.mat unpacks to more than 256 MiB"):
        read_matlab(tmp_path / "a.mat", "testdata")
    layouts.iiit5k(tmp_path / "set")
    (tmp_path / "a.mat").replace(tmp_path / "set/testdata.mat")
    dataset = read_dataset(tmp_path / "set")
    assert dataset.splits == ("train",) and any("unpacks to more" in warning for warning in dataset.warnings)
    for content in (b"", b"MATLAB", b"\x80" * 500):
        (tmp_path / "set/testdata.mat").write_bytes(content)
        assert any(warning.startswith("testdata.mat ") for warning in read_dataset(tmp_path / "set").warnings)


@pytest.mark.parametrize("packed", [False, True])
def test_matlab_values_are_those_that_scipy_reads(tmp_path: Path, packed: bool) -> None:
    cells = np.empty((2, 2), object)
    cells[:] = [["é", np.array([[1.5, -2]])], [np.array([[300]], np.uint16), np.empty((0, 0))]]
    entries = np.array([[("x", 1), ("yz", 2)]], dtype=[("name", object), ("number", object)])
    savemat(tmp_path / "a.mat", {"cells": cells, "entries": entries}, do_compression=packed)
    found = read_matlab(tmp_path / "a.mat", "cells")
    assert found.size == (2, 2)
    first, second = found.rows()
    assert first[0].text == "é" and first[1].numbers == (1.5, -2)
    assert second[0].numbers == (300,) and second[1].numbers == ()
    rows = read_matlab(tmp_path / "a.mat", "none", "entries", fields=frozenset(["name"]))
    assert rows.fields == ("name", "number")
    assert [(row[0].text, row[1].size) for row in rows.rows()] == [("x", (0, 0)), ("yz", (0, 0))]
    with pytest.raises(OditsError, match=r"^a\.mat has no variable none\.$"):
        read_matlab(tmp_path / "a.mat", "none")


def test_damaged_matlab_files_are_one_sentence(tmp_path: Path) -> None:
    """SciPy's own reader ends the process over some of these."""
    good = (layouts.iiit5k(tmp_path) / "testdata.mat").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(good[: rng.integers(len(good) // 2, len(good) + 1)])
        for place in rng.integers(0, len(bad), 6):
            bad[place] = rng.integers(256)
        (tmp_path / "bad.mat").write_bytes(bytes(bad))
        try:
            read_matlab(tmp_path / "bad.mat", "testdata").rows()
        except OditsError as error:
            assert str(error).startswith("bad.mat ") and "\n" not in str(error)


def test_boxes_are_turned_with_the_picture_they_were_drawn_on(tmp_path: Path) -> None:
    """Sizes in the annotations that are those of the stored pixels say that boxes were drawn on these."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored, upright = {"width": 100, "height": 60}, {"width": 60, "height": 100}
    for declared, expected in ((stored, (43, 10, 52, 34)), (upright, (10, 8, 34, 17))):
        folder = layouts.coco_text(tmp_path / str(declared["width"]))
        document = json.loads((folder / "cocotext.v2.json").read_text())
        document["imgs"]["5"] |= declared
        text(folder / "cocotext.v2.json", json.dumps(document))
        picture(folder / "train2014/COCO_train2014_000000492314.jpg", exif=exif)
        assert boxed(read_dataset(folder), "train") == [[("the", expected)]]


def test_very_many_remarks_are_counted(tmp_path: Path) -> None:
    images = {str(n): {"id": n, "file_name": f"gone{n}.jpg", "set": "val"} for n in range(100, 1100)}
    warnings = read_dataset(layouts.coco_text(tmp_path, imgs=images)).warnings
    assert len(warnings) < 60 and "950 more images were left out." in warnings


def test_frames_are_said_once(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (30, 20), color) for color in ("red", "blue")]
    for name in ("a.gif", "b.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    text(tmp_path / "lexicons.csv", "file,words\na.gif,BAR\nb.webp,INN\n")
    dataset = read_dataset(tmp_path)
    assert dataset.warnings == ("2 of the images hold several frames or pages, and the first is shown: a.gif, b.webp.",)
    assert dataset.records[0].open().getpixel((5, 5))[0] > 200


def test_every_layout_says_what_it_needs() -> None:
    assert len({reader.name for reader in READERS}) == len(READERS) == 11
    assert all(reader.needs for reader in READERS)


def test_an_empty_folder_fits_no_layout(tmp_path: Path) -> None:
    (tmp_path / "deep/er/still/more/yet").mkdir(parents=True)
    assert not any(reader.fits(tmp_path) for reader in READERS)
    assert not any(reader.fits(tmp_path / "nowhere") for reader in READERS)
