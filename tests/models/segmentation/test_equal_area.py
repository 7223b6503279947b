"""Controls of equal area: boxes as many and as large as the objects, laid without a look at the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odits.core.errors import OditsError
from odits.core.pool import Item, Workers
from odits.data import open_image
from odits.models.model_ref import LAYOUTS
from odits.models.reference import parse
from odits.models.segmentation.batch import ObjectsRequest, precompute
from odits.models.segmentation.equal_area import moved
from odits.models.segmentation.segmenters import identify_segmenter, load_segmenter, takes_prompts

DEMO = sorted((Path(__file__).parents[3] / "assets" / "demo").glob("*.jpg"))


@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.lists(st.tuples(*[st.floats(-5, 400)] * 4), max_size=30),
    st.integers(0, 99),
)
def test_boxes_keep_their_size_and_stay_in_the_image(
    layout: str, size: tuple[int, int], boxes: list[tuple[float, ...]], seed: int
) -> None:
    corners = np.sort(np.array(boxes, float).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    found = moved(corners, size, layout, seed)
    whole = corners.round().astype(int)
    wanted = np.clip(whole[:, 2:] - whole[:, :2], 1, size)
    np.testing.assert_array_equal(found[:, 2:] - found[:, :2], wanted)
    assert (found[:, :2] >= 0).all()
    assert (found[:, 2:] <= np.array(size)).all()


def test_random_boxes_lie_anywhere_and_those_of_a_grid_apart() -> None:
    boxes = np.tile([0, 0, 10, 10], (4000, 1))
    found = moved(boxes, (110, 60), "random", 0)
    assert set(found[:, 0]) == set(range(101))
    assert set(found[:, 1]) == set(range(51))
    cells = moved(boxes[:12], (80, 60), "grid", 0)
    assert len({(x // 20, y // 20) for x, y in cells[:, :2].tolist()}) == 12


def test_a_control_has_its_segmenters_objects_elsewhere() -> None:
    image = open_image(DEMO[0])
    objects = load_segmenter("embedded").segment(image)
    for layout in LAYOUTS:
        control = load_segmenter(f"embedded#{layout}")
        found = control.segment(image)
        assert (control.name, control.key) == identify_segmenter(f"embedded#{layout}")
        assert len(found) == len(objects) > 10
        for name in ("kind", "confidence"):
            own, other = ((o.confidence if name == "confidence" else o.data[name]).tolist() for o in (objects, found))
            assert sorted(own) == sorted(other)
        sizes = [sorted(map(tuple, (o.xyxy[:, 2:] - o.xyxy[:, :2]).round().astype(int))) for o in (objects, found)]
        assert sizes[0] == sizes[1]
        assert (found.data["area"] == np.prod(found.xyxy[:, 2:] - found.xyxy[:, :2], axis=1)).all()
        assert not np.array_equal(np.sort(found.xyxy, axis=0), np.sort(objects.xyxy, axis=0))
        np.testing.assert_array_equal(control.segment(image).xyxy, found.xyxy)
        assert not takes_prompts(control)


def test_a_control_is_named_as_one_and_stored_apart() -> None:
    ref = parse("embedded#random")
    assert (ref.kind, ref.layout, ref.is_sam, ref.ready) == ("segmenter", "random", False, True)
    assert ref.name.startswith("Boxes at random")
    sam = parse("sam:vit_b#grid")
    assert (sam.is_sam, sam.layout, sam.family, sam.path) == (True, "grid", "sam", parse("sam:vit_b").path)
    assert not ObjectsRequest("sam:vit_b#grid").has_candidates
    assert len({identify_segmenter(text).key for text in ("embedded", "embedded#random", "embedded#grid")}) == 3
    with pytest.raises(OditsError, match="no segmenter 'embedded#square'"):
        parse("embedded#square", "segmenter")
    with pytest.raises(OditsError, match="'street' is not a segmenter"):
        parse("street#random")


def test_controls_are_computed_by_processes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODITS_HOME", str(tmp_path))
    images = [Item(path.name, path) for path in DEMO[:2]]
    done = precompute(images, ObjectsRequest("embedded#grid"), Workers(2))
    assert (done.computed, done.problems) == (2, {})
    assert done.segmenter.name.startswith("Boxes in a grid")
