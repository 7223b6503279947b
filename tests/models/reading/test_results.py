"""Result files of other spotters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from odits.core.errors import OditsError
from odits.models.reading.ctc import Lexicon, Lines, score
from odits.models.reading.result_files import frames_of, read_results, upright_corners

WORD: dict[str, Any] = {
    "image_id": "00_03.jpg",
    "category_id": 1,
    "polys": [[10, 20], [60, 22], [110, 20], [110, 50], [60, 52], [10, 50]],
    "rec": "Juke Joint",
    "score": 0.91,
}


def test_words_of_a_list_are_lines_of_their_images(tmp_path: Path) -> None:
    file = tmp_path / "text_results.json"
    file.write_text(json.dumps([WORD, {**WORD, "rec": "BAR"}, {**WORD, "image_id": 7, "image_name": "img/01_17.jpg"}]))
    found = read_results(file)
    assert {name: [line.text for line in lines] for name, lines in found.items()} == {
        "00_03": ["Juke Joint", "BAR"],
        "01_17": ["Juke Joint"],
    }
    line = found["00_03"][0]
    assert line.confidence == pytest.approx(0.91)
    np.testing.assert_allclose(line.corners, [[10, 20], [110, 20], [110, 52], [10, 52]], atol=0.5)


def test_numbered_images_get_their_names_from_the_list_beside_them() -> None:
    document = {"images": [{"id": 3, "file_name": "02_13.jpg"}], "results": [{**WORD, "image_id": 3}]}
    assert list(read_results(json.dumps(document).encode())) == ["02_13"]
    with pytest.raises(OditsError, match="names no image"):
        read_results(json.dumps([{**WORD, "image_id": 3}]).encode())


def test_a_written_text_scores_as_one_that_was_surely_read() -> None:
    lines = Lines([frames_of("Juke Joint")])
    found = score(lines, Lexicon(["JUKE", "JOINT", "JOIN", "HOTEL"]))[0]
    assert found[0] == pytest.approx(0, abs=1e-3) == found[1]
    assert found[2] < -0.5 and found[3] == -4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"{}",
        b'{"images": [1], "results": []}',
        b"[1]",
        json.dumps([{**WORD, "polys": [[1, 2]]}]).encode(),
        json.dumps([{**WORD, "polys": "x"}]).encode(),
        json.dumps([{**WORD, "score": "high"}]).encode(),
        b"[" * 100_000,
    ],
)
def test_other_files_are_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(OditsError):
        read_results(content)


def test_an_outline_turned_by_any_angle_begins_at_its_top_left() -> None:
    box = np.array([[0, 0], [100, 0], [100, 20], [0, 20]], np.float32)
    for degrees in (-20, -5, 0, 5, 20):
        angle = np.radians(degrees)
        turned = box @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + 200
        np.testing.assert_allclose(upright_corners(turned.tolist()), turned, atol=0.1)
