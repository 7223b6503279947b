"""Objects: built from masks, tabled, cropped, found at a pixel, encoded and drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest
import supervision as sv
from PIL import Image

from odits.core.errors import OditsError
from odits.objects import detections as objects
from odits.objects.detections import (
    index_map,
    make_detections,
    mask_from_rle,
    object_at,
    object_crop,
    object_rle,
    object_table,
    overlay_image,
    suppress,
)


def block(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((60, 100), bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.fixture
def found() -> sv.Detections:
    """A wall (40 × 30) with a sign (10 × 5) on it, and a far corner."""
    masks = [block(20, 15, 30, 20), block(10, 10, 50, 40), block(99, 59, 100, 60)]
    return make_detections(masks, [0.9, 0.5, 1.2], ["text", "region", "region"], (100, 60))


def test_detections_are_sorted_by_area_with_half_open_boxes(found: sv.Detections) -> None:
    assert found.data["area"].tolist() == [1200, 50, 1]
    assert found.data["kind"].tolist() == ["region", "text", "region"]
    assert found.xyxy.tolist() == [[10, 10, 50, 40], [20, 15, 30, 20], [99, 59, 100, 60]]
    assert found.confidence.tolist() == pytest.approx([0.5, 0.9, 1.0])


def test_empty_masks_are_left_out() -> None:
    found = make_detections([block(0, 0, 0, 0), block(1, 1, 2, 2)], [0.1, 0.2], ["mask", "mask"], (100, 60))
    assert len(found) == 1 and found.confidence.tolist() == pytest.approx([0.2])
    assert len(make_detections([], [], [], (100, 60))) == 0


def test_masks_of_another_size_are_scaled() -> None:
    found = make_detections([block(10, 10, 50, 40)], [1.0], ["mask"], (300, 180))
    assert found.mask.shape == (1, 180, 300)
    assert np.abs(found.xyxy[0] - [30, 30, 150, 120]).max() <= 1


def test_too_much_memory_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_MASK_BYTES", 10_000)
    with pytest.raises(OditsError, match="reduce the image to at most") as caught:
        make_detections([block(1, 1, 2, 2)] * 2, [1.0, 1.0], ["mask"] * 2, (100, 60))
    side = int(str(caught.value).split("at most ")[1].split()[0])
    assert 2 * side * side * 0.6 <= 10_000


def test_table(found: sv.Detections) -> None:
    table = object_table(found)
    assert table.columns.tolist() == [
        "number", "kind", "area", "area_percent", "confidence", "x0", "y0", "x1", "y1",
    ]  # fmt: skip
    assert table.loc[0].tolist() == [1, "region", 1200, 20.0, 0.5, 10, 10, 50, 40]
    empty = object_table(make_detections([], [], [], (100, 60)))
    assert len(empty) == 0 and empty.columns.tolist() == table.columns.tolist()


def test_crop_keeps_the_background(found: sv.Detections) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 100, 3), np.uint8))
    crop = object_crop(image, found, 1)
    assert crop.size == (10, 5)
    assert np.array_equal(np.asarray(crop), np.asarray(image)[15:20, 20:30])
    assert object_crop(image, found, 2).size == (1, 1)
    for wrong in (-1, 3):
        with pytest.raises(OditsError, match="no object"):
            object_crop(image, found, wrong)


def test_the_smallest_object_at_a_pixel(found: sv.Detections) -> None:
    assert object_at(found, 25, 17) == 1
    assert object_at(found, 12.9, 10.0) == 0
    assert object_at(found, 99.5, 59.5) == 2
    assert object_at(found, 70, 50) is None
    assert object_at(found, -1, 5) is None and object_at(found, 100, 5) is None
    assert object_at(make_detections([], [], [], (100, 60)), 5, 5) is None
    top = index_map(found)
    for x, y in ((25, 17), (12, 10), (99, 59), (70, 50)):
        expected = object_at(found, x, y)
        assert top[y, x] == (-1 if expected is None else expected)


def test_run_lengths_there_and_back(found: sv.Detections) -> None:
    for index in range(len(found)):
        rle = json.loads(json.dumps(object_rle(found, index)))
        assert rle["size"] == [60, 100]
        assert np.array_equal(mask_from_rle(rle), found.mask[index])


def test_suppression_keeps_the_better_of_two() -> None:
    masks = [block(0, 0, 20, 20), block(0, 0, 20, 18), block(0, 0, 5, 5), block(50, 0, 70, 20), block(0, 0, 0, 0)]
    assert suppress(masks, 0.7) == [0, 2, 3]
    assert suppress(masks, 0.95) == [0, 1, 2, 3]
    assert suppress([], 0.5) == []


def test_overlay(found: sv.Detections) -> None:
    image = Image.new("RGB", (100, 60), (128, 128, 128))
    drawn = np.asarray(overlay_image(image, found, 0.5))
    assert drawn.shape == (60, 100, 3)
    assert (drawn[50, 70] == 128).all()
    assert (drawn[35, 45] != 128).any()
    assert (np.asarray(image) == 128).all()
    plain = overlay_image(image, make_detections([], [], [], (100, 60)))
    assert np.array_equal(np.asarray(plain), np.asarray(image))
    faint = np.asarray(overlay_image(image, found, 0.1)).astype(int)
    strong = np.asarray(overlay_image(image, found, 0.9)).astype(int)
    assert np.abs(faint[35, 45] - 128).sum() < np.abs(strong[35, 45] - 128).sum()
