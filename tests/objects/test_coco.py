"""Objects as a COCO data set: what pycocotools reads is what was found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ImageColor import getrgb
from pycocotools.coco import COCO

from odits.data import open_image
from odits.objects.coco import ExportedImage, coco_document, label_image, write_coco_folder
from odits.objects.detections import PALETTE, areas_of, make_detections, masks_of, part_of

SIZE = (90, 60)


def block(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.fixture
def found() -> ExportedImage:
    ring = block(5, 5, 80, 55) & ~block(20, 20, 40, 40)
    detections = make_detections(
        [ring, block(50, 10, 60, 20), block(0, 0, 3, 2)], [0.9, 0.5, 0.25], ["mask", "text", "mask"], SIZE
    )
    return ExportedImage("street.jpg", Image.new("RGB", SIZE, (1, 2, 3)), detections, ("HOUSE", "BAR", ""))


def test_pycocotools_reads_the_same_masks_areas_and_names(found: ExportedImage, tmp_path: Path) -> None:
    empty = ExportedImage("none.png", Image.new("RGB", (8, 4)), make_detections([], [], [], (8, 4)))
    folder = tmp_path / "set"
    write_coco_folder(folder, [found, empty], "someone", "another")
    coco = COCO(str(folder / "labels.json"))
    assert coco.dataset["info"]["segmenter"] == "someone" and coco.dataset["info"]["named_by"] == "another"
    assert [item["name"] for item in coco.loadCats(coco.getCatIds())] == ["BAR", "HOUSE", "mask"]
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert len(annotations) == len(coco.getAnnIds()) == 3
    for index, annotation in enumerate(annotations):
        mask = coco.annToMask(annotation).astype(bool)
        assert np.array_equal(mask, masks_of(found.detections)[index])
        assert annotation["area"] == mask.sum() == areas_of(found.detections)[index]
        x, y, width, height = annotation["bbox"]
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert (x, y, width, height) == (columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1)
        assert annotation["iscrowd"] == 0
        assert annotation["score"] == pytest.approx(found.detections.confidence[index])
    names = [coco.loadCats(item["category_id"])[0]["name"] for item in annotations]
    assert names == ["HOUSE", "BAR", "mask"]  # without a name, the kind


def test_every_image_of_the_labels_is_there_in_its_size(found: ExportedImage, tmp_path: Path) -> None:
    write_coco_folder(tmp_path, [found])
    for item in json.loads((tmp_path / "labels.json").read_text())["images"]:
        with Image.open(tmp_path / "data" / item["file_name"]) as image:
            assert image.size == (item["width"], item["height"])
    with Image.open(tmp_path / "masks" / "street.png") as labels:
        assert labels.mode == "P"
        pixels = np.asarray(labels)
        colours = np.asarray(labels.convert("RGB"))
    for (row, column), colour in (((30, 10), 0), ((12, 52), 1), ((1, 1), 2)):
        assert tuple(colours[row, column]) == getrgb(PALETTE[colour]), "shown in the objects' colours"
    assert tuple(colours[30, 30]) == (0, 0, 0)
    assert pixels[12, 52] == 2 and pixels[30, 10] == 1 and pixels[30, 30] == 0 and pixels[1, 1] == 3


def test_files_are_passed_on_as_they_are_unless_they_are_turned(tmp_path: Path) -> None:
    straight, turned = tmp_path / "a.jpg", tmp_path / "b.jpg"
    picture = Image.new("RGB", SIZE, (200, 10, 10))
    picture.save(straight)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(turned, exif=exif)
    images = []
    for path in (straight, turned):
        image = open_image(path)
        images.append(ExportedImage(path.name, image, make_detections([], [], [], image.size), source=path))
    write_coco_folder(tmp_path / "set", images)
    assert (tmp_path / "set" / "data" / "a.jpg").read_bytes() == straight.read_bytes()
    with Image.open(tmp_path / "set" / "data" / "b.png") as upright:
        assert upright.size == SIZE[::-1]


def test_equal_names_are_told_apart(found: ExportedImage) -> None:
    document = coco_document([found, found])
    assert [item["file_name"] for item in document["images"]] == ["street.png", "street-2.png"]
    identifiers = [item["id"] for item in document["annotations"]]
    assert len(set(identifiers)) == len(identifiers) == 6


def test_many_objects_need_more_than_a_palette() -> None:
    masks = [np.arange(600).reshape(20, 30) == number for number in range(300)]
    image = label_image(make_detections(masks, [1.0] * 300, ["mask"] * 300, (30, 20)), (30, 20))
    assert image.mode == "I;16" and np.asarray(image).max() == 300


def test_the_palette_of_a_label_image_is_that_of_the_overlays() -> None:
    masks = [np.arange(600).reshape(20, 30) == number for number in range(255)]
    image = label_image(make_detections(masks, [1.0] * 255, ["mask"] * 255, (30, 20)), (30, 20))
    assert image.mode == "P" and np.asarray(image).max() == 255
    palette = np.array(image.getpalette()).reshape(-1, 3)
    assert palette.shape == (256, 3) and palette[0].tolist() == [0, 0, 0]
    for number in (1, 2, 7, 8, 255):
        color = PALETTE[(number - 1) % 7]
        assert palette[number].tolist() == [int(color[at : at + 2], 16) for at in (1, 3, 5)]
    assert np.asarray(image.convert("RGB"))[0, 0].tolist() == [0xE6, 0x9F, 0x00]


def test_of_several_objects_the_smallest_counts() -> None:
    detections = make_detections([block(0, 0, 50, 40), block(10, 10, 20, 20)], [1.0, 1.0], ["mask"] * 2, SIZE)
    pixels = np.asarray(label_image(detections, SIZE))
    assert pixels[15, 15] == 2 and pixels[20, 20] == 1 and pixels[39, 49] == 1 and pixels[40, 50] == 0
    assert not np.asarray(label_image(make_detections([], [], [], SIZE), SIZE)).any()


def test_identifiers_count_from_one_and_point_to_each_other(found: ExportedImage) -> None:
    document = coco_document([found, found])
    assert [item["id"] for item in document["images"]] == [1, 2]
    assert [item["id"] for item in document["annotations"]] == [1, 2, 3, 4, 5, 6]
    assert [item["image_id"] for item in document["annotations"]] == [1, 1, 1, 2, 2, 2]
    assert [(item["id"], item["name"], item["supercategory"]) for item in document["categories"]] == [
        (1, "BAR", "text"), (2, "HOUSE", "mask"), (3, "mask", "mask"),
    ]  # fmt: skip
    assert [item["category_id"] for item in document["annotations"]] == [2, 1, 3] * 2
    assert document["annotations"][1]["bbox"] == [50, 10, 10, 10]
    without = ExportedImage(found.name, found.image, part_of(found.detections, [0]))
    without.detections.confidence = None
    assert coco_document([without])["annotations"][0]["score"] == 1.0
    third = make_detections([block(0, 0, 9, 9)], [1 / 3], ["mask"], SIZE)
    assert coco_document([ExportedImage("a", found.image, third)])["annotations"][0]["score"] == 0.333333
