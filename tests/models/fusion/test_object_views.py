"""The pictures of objects that CLIP is given."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from odits.core.errors import OditsError
from odits.models.fusion.object_views import object_views
from odits.models.fusion.settings import OBJECT_VIEWS, clip_view
from odits.objects.detections import make_detections
from tests.models.reading.test_text_windows import SIZE, sign


def test_views_differ_in_the_background_alone() -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8))
    mask = np.zeros((60, 80), bool)
    mask[10:30, 20:50] = True
    mask[10:15, 20:25] = False
    objects = make_detections([mask], [0.9], ["region"], (80, 60))
    pictures = {view: np.asarray(object_views(image, objects, view)[0].picture) for view in OBJECT_VIEWS}
    inside = mask[10:30, 20:50]
    for view in ("blurred", "removed"):
        assert (pictures[view][inside] == pictures["crop"][inside]).all()
        assert (pictures[view][~inside] != pictures["crop"][~inside]).any()
    crop = image.crop((20, 10, 50, 30))
    assert (pictures["crop"] == np.asarray(crop)).all()
    blurred = np.asarray(crop.filter(ImageFilter.GaussianBlur(30 / 12)))
    assert (pictures["blurred"][~inside] == blurred[~inside]).all()
    assert (pictures["removed"][~inside] == 127).all()
    assert (pictures["masked"][mask] == np.asarray(image)[mask]).all()
    assert (pictures["masked"][~mask] == 0).all()
    assert clip_view("masked") == "scene" and clip_view("crop") == "crop"


def test_words_of_a_line_belong_to_it() -> None:
    picture, mask = sign("CAFE LUNA")
    objects = make_detections([mask], [0.8], ["text"], SIZE)
    found = object_views(picture, objects)
    assert [one.kind for one in found] == ["text", *["word"] * (len(found) - 1)] and len(found) > 2
    assert {one.owner for one in found} == {0}
    width = np.linalg.norm(found[0].corners[1] - found[0].corners[0])
    for one in found:
        share = np.linalg.norm(one.corners[1] - one.corners[0]) / width
        assert one.area == pytest.approx(share * mask.sum(), rel=1e-4) and one.confidence == pytest.approx(0.8)
        assert (share < 1) == (one.kind == "word")
    assert len(object_views(picture, objects, words=False)) == 1
    assert len(object_views(picture, objects, "masked")) == 1


def test_an_object_keeps_its_box_area_and_confidence() -> None:
    mask = np.zeros((60, 80), bool)
    mask[10:30, 20:50] = True
    (one,) = object_views(Image.new("RGB", (80, 60)), make_detections([mask], [0.25], ["region"], (80, 60)))
    assert one.corners.tolist() == [[20, 10], [50, 10], [50, 30], [20, 30]]
    assert (one.owner, one.area, one.confidence, one.kind) == (0, 600.0, 0.25, "region")


def test_an_image_without_objects_has_no_views() -> None:
    assert object_views(Image.new("RGB", (30, 20)), make_detections([], [], [], (30, 20))) == []


def test_an_unknown_view_is_told() -> None:
    with pytest.raises(OditsError, match="no object view 'x-ray'"):
        clip_view("x-ray")
