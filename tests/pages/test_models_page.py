"""The page Models without a browser: its table, what it says of weights, and that looking asks no server anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.torch import save_file
from streamlit.testing.v1 import AppTest

from odits.evaluation import model_figures
from odits.evaluation.model_figures import ModelFigures, write_model_figures
from odits.metrics.calibration import reliability
from odits.models.clip.embedded import ARCHITECTURE, new_model
from odits.models.registry import available, load, parse
from pages._models.comparison import ERROR, IN_TOP, PRECISION, WHEN, cached_models, row_of, table_of, when_to_choose
from pages._models.weights import written
from tests.pages.running import open_page

SVT = {"images": 249, "words": 5363, "precision@10": 0.31, "average precision": 0.2, "confidence precision": 0.5}
SCENES = {"images": 200, "written words": 500, "in the top ten": 0.91, "calibration error": 0.03}


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    cached_models.clear()


def figures_of(reference: str, checkpoint: str) -> ModelFigures:
    bins = reliability(np.array([0.9, 0.8, 0.1, 0.2]), np.array([True, True, False, True]))
    return ModelFigures(reference, checkpoint, f"Choose {reference}.", SVT, SCENES, {"scenes": bins, "svt": bins})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Figures of ODITS Street, and of an embedded model that has other weights today."""
    street = figures_of("street", parse("street").digest)
    write_model_figures({"street": street, "embedded": figures_of("embedded", "0" * 64)}, tmp_path / "figures.json")
    monkeypatch.setattr(model_figures, "asset", lambda name: tmp_path / "figures.json")
    return tmp_path / "figures.json"


def texts(app: AppTest) -> str:
    return " ".join(str(item.value) for kind in ("caption", "info", "markdown") for item in app.get(kind))


@pytest.mark.slow
def test_models_weights_and_calibration_stand_on_one_page(measured: Path) -> None:
    app = open_page("models")
    table = app.dataframe[0].value
    assert list(table["model"])[:3] == ["ODITS Street", "Word spotting", "ODITS Signs"]
    assert (table[PRECISION][0], table[IN_TOP][0], table[ERROR][0]) == (0.31, 0.91, 0.03)
    assert np.isnan(table[PRECISION][2]), "these weights were not measured"
    said = texts(app)
    assert "- **ODITS Street**: Choose street." in said and "- **Word spotting**: " in said
    assert "SVT's 249 evaluation images over 5,363 words" in said and "is `street` everywhere" in said
    assert "Of the words that street shows with a probability, the share that is there" in said
    assert "No figures are here" not in said
    for name in ("CLIP ViT-B/32", "SAM ViT-B", "GroundingDINO"):
        assert name in said


@pytest.mark.slow
def test_a_diagram_of_other_weights_is_not_shown(measured: Path) -> None:
    write_model_figures({"street": figures_of("street", "0" * 64)}, measured)
    app = open_page("models")
    assert "Its weights are not those that were measured" in texts(app) and "shows with a probability" not in texts(app)


@pytest.mark.slow
def test_without_figures_a_sentence_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_figures, "asset", lambda name: tmp_path / "absent.json")
    app = open_page("models")
    assert "`python benchmarks/models.py --scenes DIR --write` measures the models" in texts(app)
    assert list(app.dataframe[0].value) == ["model"]


@pytest.mark.slow
def test_offline_nothing_of_the_hub_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    app = open_page("models")
    assert texts(app).count("HF\\_HUB\\_OFFLINE is set") + texts(app).count("HF_HUB_OFFLINE is set") == 2
    assert [button.label for button in app.button].count("Look up the size") == 1, "Meta's server is not the hub"
    assert "hf download IDEA-Research/grounding-dino-tiny" in texts(app)


@pytest.mark.slow
def test_weights_that_cannot_be_had_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("ODITS_SAM_URL", "http://127.0.0.1:9")
    app = open_page("models")
    app.button(key="start-weights-size-sam:vit_b").click().run()
    for _ in range(20):
        if app.error:
            break
        app.run()
    (error,) = app.error
    assert "127.0.0.1\\:9 cannot be reached" in error.value and "\n" not in error.value
    app.text_input(key="weights-other").set_value("nothing/at/all").run()
    assert any("There is no checkpoint" in item.value for item in app.error)


def test_a_checkpoint_of_one_s_own(home: Path) -> None:
    folder = home / "checkpoints"
    folder.mkdir(parents=True)
    header = {"architecture": ARCHITECTURE, "name": "Tuned", "parent_digest": "0" * 64}
    save_file(new_model().state_dict(), folder / "tuned.safetensors", header)
    (ref,) = (one for one in available("clip") if one.name == "Tuned")
    row = row_of(ref, "Tuned", {"street": figures_of("street", "")}, [])
    assert row.when == "Choose it on pictures like those that it was fine-tuned on." and not row.svt
    assert "Not measured yet" in row.remark
    assert list(table_of([row])) == ["model", WHEN]


def test_figures_of_word_spotting_are_not_bound_to_a_file() -> None:
    row = row_of(
        parse("spotting"), "Word spotting", {"spotting": figures_of("spotting", load("spotting").checkpoint)}, []
    )
    assert row.svt == SVT and row.scenes == SCENES
    assert all(when_to_choose(ref) for ref in available() if ref.kind != "segmenter")


def test_sizes_are_written_for_people() -> None:
    sizes = (375_042_383, 1_249_524_607, 12_900_000, 500_000, 0)
    assert [written(size) for size in sizes] == ["375 MB", "1.2 GB", "13 MB", "0.5 MB", "0.0 MB"]
