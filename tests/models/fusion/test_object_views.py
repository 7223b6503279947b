"""What of an object CLIP gets to see, and lines of text cut into words."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from odits.core.errors import OditsError
from odits.models.fusion.object_views import object_views
from odits.models.fusion.settings import OBJECT_VIEWS, clip_view
from odits.models.reading.text_windows import straighten, word_windows
from odits.objects.detections import make_detections

SIZE = (320, 120)


def sign(text: str, angle: float = 0.0) -> tuple[Image.Image, np.ndarray]:
    """A picture of dark letters on a light sign, turned by an angle, and the mask of the line."""
    picture = Image.new("RGB", SIZE, (230, 225, 210))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(40)
    draw.text((20, 40), text, (30, 30, 40), font)
    box = draw.textbbox((20, 40), text, font)
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).rectangle((box[0] - 4, box[1] - 4, box[2] + 4, box[3] + 4), 255)
    if angle:
        picture = picture.rotate(angle, fillcolor=(230, 225, 210), resample=Image.Resampling.BICUBIC)
        mask = mask.rotate(angle)
    return picture, np.asarray(mask) > 127


def test_two_words_are_cut_between_them() -> None:
    picture, mask = sign("CAFE LUNA")
    line = straighten(np.asarray(picture), mask)
    width = line.pixels.shape[1]
    windows = word_windows(line.pixels)
    assert windows[0] == (0, width) and len(windows) <= 15
    font = ImageFont.load_default(40)
    gap = 20 + font.getlength("CAFE ") - font.getlength(" ") / 2
    ends = {stop for start, stop in windows if start == 0} & {start for start, stop in windows if stop == width}
    assert any(abs(line.part(end, end + 1).mean(0)[0] - gap) < 8 for end in ends)


def test_a_line_without_gaps_stays_whole() -> None:
    rng = np.random.default_rng(0)
    assert word_windows(rng.integers(0, 255, (32, 200, 3), np.uint8)) == [(0, 200)]


@pytest.mark.parametrize("angle", [-25, -10, 10, 25])
def test_a_slanted_line_is_straightened(angle: float) -> None:
    upright, mask = sign("HOTEL")
    turned, turned_mask = sign("HOTEL", angle)
    flat = straighten(np.asarray(upright), mask).pixels.astype(float)
    found = straighten(np.asarray(turned), turned_mask).pixels.astype(float)
    found = np.asarray(Image.fromarray(found.astype(np.uint8)).resize(flat.shape[1::-1])).astype(float)
    alike = np.corrcoef(flat.ravel(), found.ravel())[0, 1]
    upside_down = np.corrcoef(flat.ravel(), found[::-1, ::-1].ravel())[0, 1]
    assert alike > 0.7 > upside_down


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
    assert (pictures["masked"][mask] == np.asarray(image)[mask]).all()
    assert (pictures["masked"][~mask] == 0).all()
    assert clip_view("masked") == "scene" and clip_view("crop") == "crop"


def test_words_of_a_line_belong_to_it() -> None:
    picture, mask = sign("CAFE LUNA")
    objects = make_detections([mask], [0.8], ["text"], SIZE)
    found = object_views(picture, objects)
    assert [one.kind for one in found] == ["text", *["word"] * (len(found) - 1)] and len(found) > 2
    assert {one.owner for one in found} == {0}
    assert all(one.area < found[0].area for one in found[1:])
    assert len(object_views(picture, objects, words=False)) == 1
    assert len(object_views(picture, objects, "masked")) == 1


def test_an_image_without_objects_has_no_views() -> None:
    assert object_views(Image.new("RGB", (30, 20)), make_detections([], [], [], (30, 20))) == []


def test_an_unknown_view_is_told() -> None:
    with pytest.raises(OditsError, match="no object view 'x-ray'"):
        clip_view("x-ray")
