"""Reading drawn scenes with the real networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.pool import Item, Workers
from odits.models.reading.alphabet import SYMBOLS
from odits.models.reading.batch import read_images
from odits.models.reading.ctc import Span
from odits.models.reading.reader import (
    READINGS,
    ReadingSettings,
    TextLine,
    TextReader,
    cut_line,
    reading_key,
    stored_lines,
    stored_reading,
)


@pytest.mark.slow
def test_the_signs_are_read_at_every_scale(lines: list[TextLine]) -> None:
    texts = [line.text for line in lines]
    assert texts.count("FLOWERS") == 3
    for line in lines:
        assert line.corners.shape == (4, 2) and 0.3 <= line.confidence <= 1
        assert line.frames.shape[1] == SYMBOLS and line.frames.dtype == np.float16
        np.testing.assert_allclose(np.exp(line.frames.astype(np.float32)).sum(1), 1, atol=0.01)
        assert line.certainty <= 0 < line.height


@pytest.mark.slow
def test_both_detectors_find_the_signs(scene: Image.Image, lines: list[TextLine]) -> None:
    other = TextReader(ReadingSettings(detector="v6")).read(scene)
    confident = [{line.text for line in found if line.confidence > 0.6} for found in (lines, other)]
    assert confident[0] == confident[1] and "FLOWERS" in confident[0]
    assert [line.corners.tolist() for line in lines] != [line.corners.tolist() for line in other]


@pytest.mark.slow
def test_workers_read_with_the_settings_of_the_reader(scene: Image.Image, tmp_path: Path, home: Path) -> None:
    scene.save(tmp_path / "scene.png")
    reader = TextReader(ReadingSettings(scales=(0.5,), detector="v6"))
    (outcome,) = read_images([Item("scene", tmp_path / "scene.png")], reader, Workers(processes=1))
    assert outcome.problem is None and stored_reading(outcome.value.digest, reader.key) is not None
    expected = [line.corners.tolist() for line in reader.read(scene)]
    assert [line.corners.tolist() for line in outcome.value.lines] == expected


def test_a_turned_sign_is_read_on_either_side(scene: Image.Image) -> None:
    sign = scene.crop((640, 270, 1000, 390))  # FLOWERS
    reader = TextReader(ReadingSettings(scales=(1.0,)))
    for turn in (90, 270):
        read = [line.text for line in reader.read(sign.rotate(turn, expand=True))]
        assert "FLOWERS" in read, (turn, read)


def test_a_picture_without_text_has_no_lines() -> None:
    assert TextReader().read(Image.new("RGB", (200, 120), "gray")) == []
    assert TextReader().read(Image.new("RGB", (1, 1))) == []


def test_a_line_is_cut_upright_from_its_corners() -> None:
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[20:60, 50:90] = 255
    upright = np.array([[50, 20], [90, 20], [90, 60], [50, 60]], np.float32)
    assert cut_line(pixels, upright).shape == (48, 48, 3)
    assert cut_line(pixels, upright).mean() > 250
    wide = np.array([[0, 20], [200, 20], [200, 60], [0, 60]], np.float32)
    cut = cut_line(pixels, wide)
    assert cut.shape == (48, 240, 3)
    assert cut[:, 70:100].mean() > 250 > cut[:, :50].mean()


def test_a_part_of_a_line_lies_where_its_frames_are() -> None:
    corners = np.array([[0, 0], [100, 0], [100, 20], [0, 20]], np.float32)
    line = TextLine(corners, 0.9, "AB", np.zeros((20, SYMBOLS), np.float16))
    part = line.part(Span(5, 10))
    assert part[0, 0] == pytest.approx(20) and part[1, 0] == pytest.approx(60)
    assert 0 < part[0, 1] < 3 and 17 < part[3, 1] < 20
    assert line.part(Span(0, 20))[1, 0] == 100


def test_a_reading_is_kept_and_a_damaged_one_is_made_again(
    scene: Image.Image, lines: list[TextLine], home: Path
) -> None:
    reader = TextReader(ReadingSettings(scales=(1.0,)))
    first = stored_lines(scene, reader)
    (file,) = home.rglob("*.npz")
    written = file.read_bytes()
    again = stored_lines(scene, reader)
    assert file.read_bytes() == written
    assert [line.text for line in again] == [line.text for line in first]
    np.testing.assert_array_equal(again[0].frames, first[0].frames)
    file.write_bytes(written[: len(written) // 2])
    assert [line.text for line in stored_lines(scene, reader)] == [line.text for line in first]
    assert file.read_bytes() == written


def test_stored_lines_equal_the_read_ones(lines: list[TextLine]) -> None:
    for some in (lines, []):
        kept = READINGS.codec.decode(READINGS.codec.encode(some))
        assert len(kept) == len(some)
        for one, other in zip(kept, some, strict=True):
            np.testing.assert_array_equal(one.frames, other.frames)
            np.testing.assert_array_equal(one.corners, other.corners)
            assert (one.text, one.confidence) == (other.text, pytest.approx(other.confidence))
    for damaged in (b"PK no archive", b"", READINGS.codec.encode(lines)[:-30]):
        with pytest.raises(ValueError, match="damaged"):
            READINGS.codec.decode(damaged)


def test_other_settings_have_a_place_of_their_own() -> None:
    one, other = TextReader().key, TextReader(ReadingSettings(confident=0.4)).key
    assert reading_key("ab", one) != reading_key("ab", other)
