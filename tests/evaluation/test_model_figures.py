from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from odits.core.files import asset
from odits.evaluation import model_figures as figures
from odits.evaluation.model_figures import ModelFigures, model_figures, write_model_figures
from odits.metrics.calibration import reliability

ONE = ModelFigures(
    "a model",
    "its digest",
    "Choose it never.",
    {"images": 249, "precision@10": 0.25},
    {"in the top ten": 0.9},
    {"scenes": reliability(np.array([0.9, 0.2]), np.array([True, False]))},
)


def test_written_figures_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "asset", lambda name: tmp_path / name)
    assert model_figures() == {}, "without the file nothing is said"
    write_model_figures({"street": ONE}, tmp_path / figures.FILE)
    assert model_figures()["street"].document == ONE.document
    assert str(model_figures()["street"].svt["images"]) == "249", "counts stay whole numbers"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"street": {}}',
        '{"street": {"name": 1, "svt": 2}}',
        '{"a": {"name": "", "reliability": {}, "svt": {"x": "1"}, "scenes": {}}}',
    ],
)
def test_a_damaged_file_says_nothing(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "asset", lambda name: tmp_path / name)
    (tmp_path / figures.FILE).write_text(content)
    assert model_figures() == {}


def test_the_models_that_come_with_the_project_are_measured() -> None:
    found = model_figures()
    assert {"street", "spotting", "embedded"} <= set(found), f"python benchmarks/models.py --write makes {asset('')}"
    for one in found.values():
        assert one.when.endswith(".") and 0 < one.svt["average precision"] < one.svt["precision@10"] < 1
    assert set(found["street"].reliability) >= {"scenes", "svt", "svt lexicon"}
    assert found["street"].scenes["calibration error"] == found["street"].reliability["scenes"].error
