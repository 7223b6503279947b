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
    object_in,
    object_rle,
    object_table,
    overlay_image,
    part_of,
    side_by_side,
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
    line = sv.Detections(xyxy=np.array([[7, 9, 7, 12], [7, 9, 11, 9]], np.float32))
    assert np.array_equal(np.asarray(object_crop(image, line, 0)), np.asarray(image)[9:12, 7:8]), "at least a column"
    assert np.array_equal(np.asarray(object_crop(image, line, 1)), np.asarray(image)[9:10, 7:11]), "at least a row"
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
    assert np.array_equal(drawn, np.asarray(overlay_image(image, found)))  # half is what is drawn unless said
    plain = overlay_image(image, make_detections([], [], [], (100, 60)))
    assert np.array_equal(np.asarray(plain), np.asarray(image))
    faint = np.asarray(overlay_image(image, found, 0.1)).astype(int)
    strong = np.asarray(overlay_image(image, found, 0.9)).astype(int)
    assert np.abs(faint[35, 45] - 128).sum() < np.abs(strong[35, 45] - 128).sum()


def test_a_crop_has_at_least_one_pixel_and_no_more_than_the_box() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 100, 3), np.uint8)
    boxes = np.array([[20, 15, 20, 15], [20.2, 15.3, 20.9, 15.8], [30, 40, 30, 45], [30, 40, 36, 40]], np.float32)
    found = sv.Detections(xyxy=boxes, mask=np.ones((4, 60, 100), bool))
    crops = [np.asarray(object_crop(Image.fromarray(pixels), found, index)) for index in range(4)]
    for crop, (x0, y0, x1, y1) in zip(
        crops, [(20, 15, 21, 16)] * 2 + [(30, 40, 31, 45), (30, 40, 36, 41)], strict=True
    ):
        assert np.array_equal(crop, pixels[y0:y1, x0:x1])


def test_masks_that_overlap_by_just_the_threshold_stay() -> None:
    masks = [block(0, 0, 10, 10), block(0, 0, 10, 5), block(0, 0, 2, 5)]  # IoU 0.5, 0.1 and 0.2
    assert suppress(masks, 0.5) == [0, 1, 2]
    assert suppress(masks, 0.49) == [0, 2]
    assert suppress(masks, 0.1) == [0, 2]
    assert suppress(masks, 0.09) == [0]
    assert suppress([block(0, 0, 5, 5), block(5, 0, 9, 5)], 0.0) == [0, 1]  # side by side
    assert suppress([block(3, 3, 4, 4), block(3, 3, 4, 4)], 0.99) == [0]


def test_the_best_fitting_box(found: sv.Detections) -> None:
    assert object_in(found, (20, 15, 30, 20)) == 1 and object_in(found, (10, 10, 49, 40)) == 0
    assert object_in(found, (50, 40, 60, 50)) is None  # it touches the wall
    assert object_in(found, (98, 58, 100, 60)) == 2
    assert object_in(make_detections([], [], [], (100, 60)), (0, 0, 9, 9)) is None


def test_a_part_keeps_all_that_belongs_to_an_object(found: sv.Detections) -> None:
    part = part_of(found, [2, 0])
    assert part.xyxy.tolist() == [[99, 59, 100, 60], [10, 10, 50, 40]]
    assert part.data["area"].tolist() == [1, 1200] and part.data["kind"].tolist() == ["region", "region"]
    assert part.confidence.tolist() == [1.0, 0.5] and part.mask.sum(axis=(1, 2)).tolist() == [1, 1200]
    assert part_of(found, []).mask.shape == (0, 60, 100)


def test_two_images_stand_side_by_side() -> None:
    pair = side_by_side(Image.new("RGB", (10, 6), "red"), Image.new("RGB", (7, 9), "blue"), 3)
    assert pair.size == (20, 9)
    pixels = np.asarray(pair)
    assert (pixels[:6, :10] == (255, 0, 0)).all() and (pixels[:, 13:] == (0, 0, 255)).all()
    assert (pixels[:, 10:13] == 255).all() and (pixels[6:, :10] == 255).all()


def test_the_table_rounds_and_names(found: sv.Detections) -> None:
    third = make_detections([block(0, 0, 1, 2)], [0.123456], ["text"], (100, 60))
    row = object_table(third, ["BAR"], [0.98768]).loc[0]
    assert (row["name"], row["name_score"], row["confidence"]) == ("BAR", 0.9877, 0.1235)
    assert row["area_percent"] == 0.03 and row["number"] == 1  # 2 of 6000 pixels
    assert "name" not in object_table(found).columns


def test_memory_at_the_limit_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_MASK_BYTES", 2 * 100 * 60)
    assert len(make_detections([block(1, 1, 2, 2)] * 2, [1.0, 1.0], ["mask"] * 2, (100, 60))) == 2
    with pytest.raises(OditsError, match="at most 81 pixels"):  # sqrt(2 / 3) of 100
        make_detections([block(1, 1, 2, 2)] * 3, [1.0] * 3, ["mask"] * 3, (100, 60))


def test_scaled_outlines_are_cut_at_one_half() -> None:
    mask = np.array([[True, False]])
    assert objects.resize_mask(mask, (4, 1)).tolist() == [[True, True, False, False]]
    assert objects.resize_mask(mask, (2, 1)) is mask
