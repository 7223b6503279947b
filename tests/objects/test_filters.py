"""Filters over stored objects, against the plain definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import supervision as sv

from odits.counting.tuning import try_filters, tunable_objects
from odits.objects.filters import ObjectFilters, StoredBoxes, Suppression


def document(seed: int, count: int = 30) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 60, (count, 2)), rng.uniform(5, 50, (count, 2))
    return {
        "size": [100, 120],
        "objects": [
            {
                "bbox": [*corner[i], *side[i]],
                "score": float(rng.uniform()),
                "area": int(side[i].prod() * 0.7),
                "kind": "text" if i % 3 == 0 else "region",
            }
            for i in range(count)
        ],
    }


def plainly(document: dict[str, Any], filters: ObjectFilters) -> int:
    """The same count, object by object, with supervision's overlap."""
    passing = [
        item
        for item in document["objects"]
        if item["score"] >= filters.least_confidence and 100 * item["area"] / (100 * 120) >= filters.least_area
    ]
    kept: list[np.ndarray] = []
    for item in sorted(passing, key=lambda item: (item["kind"] != "text", -item["score"])):
        x, y, width, height = item["bbox"]
        box = np.array([[x, y, x + width, y + height]])
        if all(sv.box_iou_batch(box, other)[0, 0] <= filters.box_nms_thresh for other in kept):
            kept.append(box)
    return len(kept)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "filters",
    [
        ObjectFilters(),
        ObjectFilters(0.4),
        ObjectFilters(0, 3.0),
        ObjectFilters(0.2, 1.0, 0.3),
        ObjectFilters(0, 0, 0.1),
    ],
)
def test_the_count_is_the_plain_one(seed: int, filters: ObjectFilters) -> None:
    found = document(seed)
    assert StoredBoxes.from_document(found).count(filters) == plainly(found, filters)


def test_an_object_at_the_limit_is_counted() -> None:
    found = {"size": [10, 20], "objects": [{"bbox": [0, 0, 4, 5], "score": 0.5, "area": 20, "kind": "region"}]}
    boxes = StoredBoxes.from_document(found)
    assert boxes.share.tolist() == [10.0], "per cent of the image"
    assert boxes.count(ObjectFilters(0.5, 10.0)) == 1
    assert boxes.count(ObjectFilters(0.51)) == boxes.count(ObjectFilters(0, 10.1)) == 0


def test_of_two_at_the_limit_of_overlap_both_stay() -> None:
    halves = Suppression(np.array([[0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10]]))
    everything = np.ones(3, bool)
    assert halves.survivors(everything, 0.5) == [0, 1, 2]
    assert halves.survivors(everything, 0.49) == [0, 2]
    assert halves.survivors(np.array([False, True, True]), 0.49) == [1, 2], "one that takes no part suppresses none"


def test_no_objects_and_no_filter() -> None:
    empty = StoredBoxes.from_document({"size": [10, 10], "objects": []})
    assert empty.count(ObjectFilters()) == empty.count(ObjectFilters(0.5, 1, 0.5)) == 0
    found = document(9, 17)
    assert StoredBoxes.from_document(found).count(ObjectFilters()) == 17
    images = [StoredBoxes.from_document(document(seed, 10 + seed)) for seed in range(9)]
    tunable = tunable_objects(images)
    assert len(set(tunable.settings)) == 252
    assert all(0 <= one.least_confidence <= 0.8 and 0 <= one.least_area <= 2 for one in tunable.settings)
    assert try_filters(images, tunable.start).counts == tuple(range(10, 19))


def boxes(*objects: tuple[list[float], float, int, str]) -> StoredBoxes:
    named = [dict(zip(("bbox", "score", "area", "kind"), one, strict=True)) for one in objects]
    return StoredBoxes.from_document({"size": [100, 200], "objects": named})


def test_an_object_of_just_the_least_area_or_confidence_passes() -> None:
    found = boxes(([0, 0, 10, 20], 0.5, 200, "mask"), ([50, 50, 10, 10], 0.25, 100, "mask"))
    assert found.share.tolist() == [1.0, 0.5]  # per cent of 100 × 200 pixels
    assert found.count(ObjectFilters(least_area=0.5)) == 2 and found.count(ObjectFilters(least_area=0.501)) == 1
    assert found.count(ObjectFilters(least_area=1.0)) == 1 and found.count(ObjectFilters(least_area=1.001)) == 0
    assert found.count(ObjectFilters(least_confidence=0.25)) == 2
    assert found.count(ObjectFilters(least_confidence=0.5)) == 1
    assert found.count(ObjectFilters(least_confidence=0.501)) == 0
    assert found.count(ObjectFilters(0.25, 1.0)) == 1


def test_boxes_that_overlap_by_just_the_threshold_stay() -> None:
    found = boxes(([0, 0, 10, 10], 0.9, 100, "mask"), ([0, 0, 10, 5], 0.8, 50, "mask"))  # IoU 0.5
    assert found.count(ObjectFilters(box_nms_thresh=0.5)) == 2
    assert found.count(ObjectFilters(box_nms_thresh=0.49)) == 1
    same = boxes(([0, 0, 10, 10], 0.9, 100, "mask"), ([0, 0, 10, 10], 0.8, 100, "mask"))
    assert same.count(ObjectFilters(box_nms_thresh=1.0)) == 2 and same.count(ObjectFilters(box_nms_thresh=0.99)) == 1


def test_lines_of_text_come_first_then_the_most_confident() -> None:
    found = boxes(
        ([0, 0, 10, 10], 0.9, 1, "region"), ([0, 0, 10, 10], 0.1, 2, "text"), ([0, 0, 10, 10], 0.95, 3, "region")
    )
    assert found.confidence.tolist() == [0.1, 0.95, 0.9]
    assert found.count(ObjectFilters(box_nms_thresh=0.5)) == 1


def test_suppression_reaches_over_boxes_that_do_not_take_part() -> None:
    suppression = Suppression(np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8]]))
    assert suppression.survivors(np.array([True, True, True]), 0.85) == [0, 2]  # the second is gone, its double stays
    assert suppression.survivors(np.array([False, True, True]), 0.85) == [1]
    assert suppression.survivors(np.array([True, True, True]), 0.79) == [0]
