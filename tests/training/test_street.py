"""ODITS Street: the scenes that are drawn for it, and its training on a few of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from typer.testing import CliRunner

from odits.cli import app
from odits.core.errors import OditsError
from odits.core.files import file_digest
from odits.data import Dataset, open_image, read_dataset
from odits.data.vocabulary import bare_word
from odits.models.fusion.model import ObjectPrediction, load_odits
from odits.models.reading.places import FEATURES, PlaceCalibration
from odits.models.reading.read_words import PictureVocabularies
from odits.models.reading.spotter import WordSpotter
from odits.models.registry import read_metadata
from odits.training.rendering import SignRenderer, usable_fonts
from odits.training.settings import StreetSettings
from odits.training.sign_texts import SignTexts
from odits.training.street import ReadPicture, fit_calibration, read_pictures, train_street
from odits.training.streets import HEIGHT, WIDTH, draw_street, render_dataset

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
WORDS = ["open", "daily", "pizza", "sale", "garden", "house"]
QUICK = StreetSettings(epochs=2, batch=4)


@pytest.fixture(scope="module")
def renderer() -> SignRenderer:
    return SignRenderer(usable_fonts([FONTS]), WORDS)


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory, renderer: SignRenderer) -> Dataset:
    folder = tmp_path_factory.mktemp("streets")
    render_dataset(renderer, SignTexts(WORDS), folder, (8, 2), 0)
    return read_dataset(folder)


def test_a_scene_says_what_is_written_where(renderer: SignRenderer) -> None:
    drawn = [draw_street(renderer, SignTexts(WORDS), np.random.default_rng(seed)) for seed in range(12)]
    assert all(one.image.shape == (HEIGHT, WIDTH, 3) and one.image.dtype == np.uint8 for one in drawn)
    assert any(not one.words for one in drawn) and sum(len(one.words) for one in drawn) > 24
    for word in (word for one in drawn for word in one.words):
        assert word.text.strip() == word.text and word.text
        assert (word.corners >= -1).all() and (word.corners <= [WIDTH + 1, HEIGHT + 1]).all()


def test_the_same_seed_draws_the_same_scene_and_an_interrupted_drawing_goes_on(
    tmp_path: Path, renderer: SignRenderer, streets: Dataset
) -> None:
    render_dataset(renderer, SignTexts(WORDS), tmp_path, (8, 2), 0)
    again = read_dataset(tmp_path)
    digests = [file_digest(record.path) for record in again.records]
    assert digests == [file_digest(record.path) for record in streets.records]
    assert [record.boxed for record in again.records] == [record.boxed for record in streets.records]
    again.records[3].path.unlink()
    render_dataset(renderer, SignTexts(WORDS), tmp_path, (8, 2), 0)
    assert file_digest(again.records[3].path) == digests[3]


@pytest.mark.slow
def test_what_is_read_on_signs_is_likelier_after_the_fit(streets: Dataset) -> None:
    pictures = read_pictures(streets.split("train"), WordSpotter())
    shown = sum(int((one.targets >= 0).sum()) for one in pictures)
    boxed = sum(int(one.present.sum()) for one in pictures)
    assert boxed > 8 and shown > boxed / 2
    calibration = fit_calibration(pictures, 1e-3)
    assert len(calibration.weights) == len(FEATURES) and calibration.weights[0] > 0
    unfitted = PlaceCalibration(0.0, (0.0,) * len(FEATURES))
    assert mean_likelihood(pictures, calibration) > -0.7 > mean_likelihood(pictures, unfitted)


def mean_likelihood(pictures: list[ReadPicture], calibration: PlaceCalibration) -> float:
    """Return the mean log-probability, over all places, of what each of them shows."""
    found = []
    for one in pictures:
        rows = calibration.rows(one.candidates, len(one.places), len(one.vocabulary))
        found.append(np.where(one.targets >= 0, rows[np.arange(len(rows)), one.targets], 1 - rows.sum(1)))
    return float(np.log(np.concatenate(found).clip(1e-9)).mean())


@pytest.mark.slow
def test_a_training_is_taken_up_where_it_stopped(tmp_path: Path, streets: Dataset) -> None:
    whole = train_street(streets, tmp_path / "whole", replace(QUICK, epochs=3))
    train_street(streets, tmp_path / "parts", QUICK)
    parts = train_street(streets, tmp_path / "parts", replace(QUICK, epochs=3))
    assert [line["held_out"] for line in whole.history] == [line["held_out"] for line in parts.history]
    files = [tmp_path / name / "best.safetensors" for name in ("whole", "parts")]
    assert file_digest(files[0]) == file_digest(files[1])
    with pytest.raises(OditsError, match="another"):
        train_street(streets, tmp_path / "parts", replace(QUICK, seed=1))

    model = load_odits(files[0])
    record = next(record for record in streets.records if len(record.boxed) > 1)
    image = open_image(record.path)
    vocabulary = PictureVocabularies(model).of(image)
    prediction = model.predict(image, vocabulary)
    assert isinstance(prediction, ObjectPrediction) and prediction.presence is not None
    assert prediction.presence.shape == (len(vocabulary),) and 0 <= prediction.presence.min() <= 1
    assert [item.probability for item in prediction.top(3)] == sorted(prediction.presence.tolist())[::-1][:3]
    written = {bare_word(boxed.word) for boxed in record.boxed}
    assert written & {bare_word(item.word) for item in prediction.top(10)}


@pytest.mark.slow
def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner()
    data, out = str(tmp_path / "streets"), str(tmp_path / "run")
    drawn = run.invoke(app, ["render", "--out", data, "--scenes", "4", "--held-out", "1", "--fonts", str(FONTS)])
    assert drawn.exit_code == 0, drawn.output
    trained = run.invoke(app, ["train-street", "--data", data, "--out", out, "--epochs", "1", "--json"])
    assert trained.exit_code == 0, trained.stderr
    assert len(json.loads(trained.stdout)["history"]) == 1
    header = read_metadata(Path(out) / "best.safetensors")
    assert header["kind"] == "odits" and json.loads(header["parts"])["presence"]
    none = run.invoke(app, ["render", "--out", data, "--fonts", str(tmp_path / "nowhere")])
    assert none.exit_code != 0 and "No usable font" in str(none.exception)
