"""Lines of text straightened, and split at their gaps into words."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from odits.models.reading.text_windows import StraightLine, gaps, straighten, word_windows

SIZE = (320, 120)
HEIGHT = 40


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


def line(*runs: int) -> np.ndarray:
    """A line of HEIGHT: runs of ink (columns of noise), and where the number is negative of blank ground."""
    rng = np.random.default_rng(0)
    parts = [
        np.repeat(rng.integers(0, 2, (HEIGHT, run, 1)) * 255, 3, 2) if run > 0 else np.full((HEIGHT, -run, 3), 128)
        for run in runs
    ]
    return np.concatenate(parts, 1).astype(np.uint8)


def test_two_words_are_cut_between_them() -> None:
    picture, mask = sign("CAFE LUNA")
    straight = straighten(np.asarray(picture), mask)
    width = straight.pixels.shape[1]
    windows = word_windows(straight.pixels)
    assert windows[0] == (0, width) and len(windows) <= 15
    font = ImageFont.load_default(40)
    gap = 20 + font.getlength("CAFE ") - font.getlength(" ") / 2
    ends = {stop for start, stop in windows if start == 0} & {start for start, stop in windows if stop == width}
    assert any(abs(straight.part(end, end + 1).mean(0)[0] - gap) < 8 for end in ends)


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


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ((60, -12, 60), [66]),
        ((60, -2, 60), []),  # too narrow for a gap
        ((60, -3, 60), [61]),
        ((19, -12, 60), []),  # half a height from the end, less what the blur takes
        ((20, -12, 60), [26]),
        ((60, -12, 60, -12, 19), [66]),
        ((60, -12, 60, -12, 21), [66, 138]),
        ((60, -12, 3, -10, 60), [72]),  # gaps that meet in the blur are one
        ((60, -12, 4, -10, 60), [66, 81]),
        ((60, -10, 50, -12, 50, -14, 50, -16, 50, -18, 60), [126, 189, 254, 321]),  # the four widest
    ],
)
def test_gaps_are_wide_enough_and_away_from_the_ends(runs: tuple[int, ...], expected: list[int]) -> None:
    assert gaps(line(*runs)) == expected


@pytest.mark.parametrize(
    ("middle", "is_word"),
    [
        (15, False),  # 27 columns between the cuts: less than 0.7 heights
        (16, True),
        (348, True),  # 360 columns: 9 heights
        (349, False),
    ],
)
def test_words_are_neither_too_short_nor_too_wide(middle: int, is_word: bool) -> None:
    first, second = 66, 78 + middle
    pixels = line(60, -12, middle, -12, 60)
    assert gaps(pixels) == [first, second]
    assert ((first, second) in word_windows(pixels)) == is_word


def test_windows_are_all_runs_of_words_shorter_ones_first() -> None:
    pixels = line(60, -12, 21, -12, 60)
    assert word_windows(pixels) == [(0, 165), (0, 66), (66, 99), (99, 165), (0, 99), (66, 165)]


def test_a_part_of_a_line_has_its_corners_in_the_image() -> None:
    corners = np.array([[10, 20], [50, 30], [48, 38], [8, 28]], np.float32)
    straight = StraightLine(np.zeros((8, 40, 3), np.uint8), corners)
    np.testing.assert_allclose(straight.part(0, 40), corners)
    np.testing.assert_allclose(straight.part(10, 30), [[20, 22.5], [40, 27.5], [38, 35.5], [18, 30.5]])
