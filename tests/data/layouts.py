"""Small data sets in the layouts of others, written as their makers write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.io import savemat


def picture(path: Path, size: tuple[int, int] = (100, 60), **options: Any) -> Path:
    """A grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "grey").save(path, **options)
    return path


def text(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding))
    return path


def icdar_2013(folder: Path) -> Path:
    """The archives of challenge 2 as they unpack."""
    picture(folder / "Challenge2_Training_Task12_Images/100.jpg")
    picture(folder / "Challenge2_Test_Task12_Images/img_1.jpg")
    text(folder / "Challenge2_Training_Task1_GT/gt_100.txt", '10 8 41 28 "Footpath"\n44 12 50 16 "To"\n')
    text(folder / "Challenge2_Test_Task1_GT/gt_img_1.txt", '3, 4, 92, 21, "Tiredness"\r\n27, 26, 66, 45, "kills"\r\n')
    return folder


def icdar_2015(folder: Path) -> Path:
    """The archives of challenge 4 as they unpack: with byte order marks, and the same names in both splits."""
    for split in ("training", "test"):
        picture(folder / f"ch4_{split}_images/img_1.jpg")
    train = "\ufeff37,11,63,11,65,23,38,23,Genaxis Theatre\r\n12,30,40,30,40,40,12,40,###\r\n"
    text(folder / "ch4_training_localization_transcription_gt/gt_img_1.txt", train)
    text(folder / "Challenge4_Test_Task4_GT/gt_img_1.txt", "\ufeff10,10,50,12,49,22,9,20,100,000\r\n")
    return folder


def total_text(folder: Path, matlab: bool = False) -> Path:
    """Images and polygons; an entry that goes on in the next line, and one that nobody could read."""
    for split in ("Train", "Test"):
        picture(folder / f"Images/{split}/img11.jpg")
    train = (
        "x: [[25 31 38 42 35\n 30]], y: [[54 46 41 45 50 58]], ornt: [u'c'], transcriptions: [u'PAUL']\n"
        "x: [[40 47 49 43]], y: [[39 38 44 46]], ornt: [u'#'], transcriptions: [u'#']\n"
        'x: [[1 20 20 1]], y: [[1 1 9 9]], ornt: [u"h"], transcriptions: [u"Let\'s"]\n'
    )
    text(folder / "Groundtruth/Polygon/Train/poly_gt_img11.txt", train)
    place = folder / "Groundtruth/Polygon/Test/poly_gt_img11"
    if matlab:
        rows = np.empty((2, 6), object)
        rows[0] = ["x:", np.array([[10, 40, 40, 10]]), "y:", np.array([[5, 5, 25, 25]]), "CAFE", "c"]
        rows[1] = ["x:", np.array([[1, 4, 4, 1]]), "y:", np.array([[5, 5, 8, 8]]), "#", "#"]
        place.parent.mkdir(parents=True, exist_ok=True)
        savemat(place.with_suffix(".mat"), {"polygt": rows}, do_compression=True)
    else:
        line = "x: [[10 40 40 10]], y: [[5 5 25 25]], ornt: [u'c'], transcriptions: [u'CAFE']"
        text(place.with_suffix(".txt"), line)
    return folder


def coco_text(folder: Path, **entry: Any) -> Path:
    picture(folder / "train2014/COCO_train2014_000000492314.jpg")
    picture(folder / "train2014/COCO_train2014_000000000002.jpg")

    def annotation(number: int, word: str, image: int, **more: Any) -> dict[str, Any]:
        base = {
            "id": number,
            "image_id": image,
            "utf8_string": word,
            "bbox": [10, 8, 24.1, 9.1],
            "class": "machine printed",
        }
        return base | {"mask": [10, 8, 10, 17, 34, 17, 34, 8], "legibility": "legible", "language": "english"} | more

    document = {
        "cats": {},
        "anns": {
            "45346": annotation(45346, "the", 5),
            "45347": annotation(45347, "", 5, legibility="illegible"),
            "45348": annotation(45348, "blur", 5, legibility="illegible"),
            "45349": annotation(45349, "STOP", 6, mask=[], bbox=[1.4, 2, 30, 10]),
        },
        "imgs": {
            "5": {"id": 5, "file_name": "COCO_train2014_000000492314.jpg", "width": 100, "height": 60, "set": "train"},
            "6": {"id": 6, "file_name": "COCO_train2014_000000000002.jpg", "width": 100, "height": 60, "set": "val"},
        },
        "imgToAnns": {"5": [45346, 45347, 45348], "6": [45349]},
        "info": {},
    }
    for key, value in entry.items():
        document[key] |= value
    text(folder / "cocotext.v2.json", json.dumps(document))
    return folder


def text_ocr(folder: Path) -> Path:
    picture(folder / "train_images/a4ea732cd3d5948a.jpg")
    identifier = "a4ea732cd3d5948a"
    for split in ("train", "val"):
        document = {
            "info": {"version": "0.1"},
            "imgs": {
                identifier: {
                    "id": identifier, "width": 100, "height": 60, "set": split, "file_name": f"train/{identifier}.jpg",
                }
            },
            "anns": {
                f"{identifier}_1": {
                    "id": f"{identifier}_1", "image_id": identifier, "bbox": [50, 20, 30, 10],
                    "utf8_string": "Performance", "points": [50, 20, 80, 21, 80, 30, 50, 29], "area": 300.0,
                },
                f"{identifier}_2": {
                    "id": f"{identifier}_2", "image_id": identifier, "bbox": [1, 1, 5, 5], "utf8_string": ".",
                    "points": [1, 1, 6, 1, 6, 6, 1, 6], "area": 25.0,
                },
            },
            "imgToAnns": {identifier: [f"{identifier}_1", f"{identifier}_2"]},
        }  # fmt: skip
        if split == "train":
            text(folder / f"TextOCR_0.1_{split}.json", json.dumps(document))
    return folder


def iiit5k(folder: Path, matlab: bool = True) -> Path:
    kinds = [("ImgName", object), ("GroundTruth", object), ("smallLexi", object), ("mediumLexi", object)]
    for split, word in (("train", "You"), ("test", "PRIVATE")):
        name = f"{split}/1009_2.png"
        picture(folder / name, (40, 20))
        if matlab:
            small = np.array([word, "NEAR", "FAR"], object).reshape(1, -1)
            row = np.array([[(name, word, small, small)]], dtype=kinds)
            savemat(folder / f"{split}data.mat", {f"{split}data": row})
        else:
            text(folder / f"{split}_label.txt", f"{name} {word}\n")
    return folder


def iiit_str(folder: Path) -> Path:
    for number in range(3):
        picture(folder / f"imgDatabase/img_{number:06}.jpg")

    def cells(*values: str) -> np.ndarray:
        found = np.empty((len(values), 1), object)
        found[:, 0] = values
        return found

    rows = np.zeros((1, 2), dtype=[("query", object), ("list", object)])
    rows[0, 0] = (cells("coffee"), cells("img_000000.jpg", "img_000001.jpg"))
    rows[0, 1] = (cells("motel"), cells("img_000001.jpg"))
    savemat(folder / "data.mat", {"data": rows})
    return folder


def label_files(folder: Path) -> Path:
    """PaddleOCR's labels of detection, and of recognition in the other split."""
    picture(folder / "icdar_c4_train_imgs/img_1.jpg")
    picture(folder / "test/word_1.png", (40, 20))
    entries = [
        {"transcription": "CAFE", "points": [[1, 1], [20, 1], [20, 9], [1, 9]]},
        {"transcription": "###", "points": [[30, 1], [40, 1], [40, 9], [30, 9]]},
    ]
    text(folder / "train_icdar2015_label.txt", f"icdar_c4_train_imgs/img_1.jpg\t{json.dumps(entries)}\n")
    text(folder / "rec_gt_test.txt", "test/word_1.png\tJOINT\n")
    return folder


def parquet_rows(folder: Path) -> dict[str, list[Any]]:
    content = picture(folder / "source.png").read_bytes()
    (folder / "source.png").unlink()
    return {
        "image": [{"bytes": content, "path": "one.png"}, {"bytes": content, "path": None}],
        "words": [["BAR", "GRILL"], []],
        "polygons": [[[1.0, 1, 20, 1, 20, 9, 1, 9], [30.0, 30, 60, 30, 60, 40, 30, 40]], []],
    }


def parquet(folder: Path) -> Path:
    """As `push_to_hub` leaves it."""
    (folder / "data").mkdir(parents=True)
    table = pa.table(parquet_rows(folder))
    pq.write_table(table, folder / "data/train-00000-of-00001.parquet")
    pq.write_table(table.slice(0, 1), folder / "data/test-00000-of-00001.parquet")
    return folder
