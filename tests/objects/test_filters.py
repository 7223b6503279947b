"""Filters over stored objects, against the plain definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import supervision as sv

from odits.counting.tuning import try_filters, tunable_objects
from odits.objects.filters import ObjectFilters, StoredBoxes


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


def test_no_objects_and_no_filter() -> None:
    empty = StoredBoxes.from_document({"size": [10, 10], "objects": []})
    assert empty.count(ObjectFilters()) == empty.count(ObjectFilters(0.5, 1, 0.5)) == 0
    found = document(9, 17)
    assert StoredBoxes.from_document(found).count(ObjectFilters()) == 17
    images = [StoredBoxes.from_document(document(seed, 10 + seed)) for seed in range(9)]
    tunable = tunable_objects(images)
    assert len(set(tunable.settings)) == 252
    assert try_filters(images, tunable.start).counts == tuple(range(10, 19))
