"""ODITS Street as it is shipped: words on signs come first, there are none on a wall, and a place carries its word."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from odits.core.errors import OditsError
from odits.core.files import asset
from odits.data import Vocabulary, open_image
from odits.data.vocabulary import bare_word
from odits.models.fusion.explanation import Explainer
from odits.models.fusion.model import READABLE, ObjectPrediction, OditsModel, load_odits
from odits.models.model_ref import STREET_WEIGHTS
from odits.models.reading.read_words import PictureVocabularies
from odits.models.registry import parse

DEMO = asset("demo/lexicons.csv").parent
WRITTEN = {row["file"]: row["words"].split() for row in csv.DictReader((DEMO / "lexicons.csv").open())}


@pytest.fixture(scope="module")
def street() -> OditsModel:
    return load_odits("street")


def test_what_it_says_of_itself(street: OditsModel) -> None:
    ref = parse("street")
    assert ref.kind == "odits" and ref.weights == STREET_WEIGHTS and ref.note
    assert street.name == "ODITS Street" and street.clip is None
    assert STREET_WEIGHTS.stat().st_size < 2**20


@pytest.mark.slow
@pytest.mark.parametrize("file", WRITTEN)
def test_words_on_the_signs_come_before_all_others(street: OditsModel, file: str) -> None:
    image = open_image(DEMO / file)
    prediction = street.predict(image, PictureVocabularies(street).of(image))
    assert isinstance(prediction, ObjectPrediction) and not prediction.is_empty
    written = {bare_word(word) for word in WRITTEN[file]}
    assert {bare_word(item.word) for item in prediction.top(len(written))} == written


def test_where_nothing_is_written_there_are_no_readable_words(street: OditsModel) -> None:
    wall = Image.fromarray(np.random.default_rng(0).integers(90, 130, (200, 300, 3), np.uint8))
    for picture in (wall, Image.new("RGB", (1, 1))):
        prediction = street.predict(picture, Vocabulary.from_words(["HOTEL", "BAR"], "two words"))
        assert isinstance(prediction, ObjectPrediction) and prediction.is_empty
        assert prediction.presence is not None and prediction.presence.max() < READABLE


def test_the_object_that_carries_a_word_is_the_place_where_it_stands(street: OditsModel) -> None:
    picture = Image.new("RGB", (640, 400), "white")
    pen = ImageDraw.Draw(picture)
    pen.text((40, 40), "HOTEL", "black", font_size=60)
    pen.text((330, 280), "PIZZA", "black", font_size=60)
    vocabulary = Vocabulary.from_words(["PIZZA", "HOTEL", "BANK"], "three words")
    one = street.input_encoder.encode(picture, vocabulary)
    prediction = street.predict_input(one, vocabulary)
    assert {item.word for item in prediction.top(2)} == {"HOTEL", "PIZZA"} and prediction.scores[2] < 0.1
    explainer = Explainer(street, one, vocabulary)
    carrier = explainer.groups[int(explainer.contributions([0])[:, 0].argmax())]
    x, y = prediction.objects.corners[carrier.members].reshape(-1, 2).mean(0)
    assert 330 < x < 560 and 270 < y < 360 and set(prediction.objects.kind[carrier.members]) == {"word"}


def test_one_word_and_words_that_cannot_be_spelled(street: OditsModel) -> None:
    picture = open_image(DEMO / "hotel.jpg")
    assert street.predict(picture, Vocabulary.from_words(["HOTEL"], "one")).top(1)[0].probability > 0.5
    other = street.predict(picture, Vocabulary.from_words(["東京", "!", "HOTEL"], "three"))
    assert other.top(1)[0].word == "HOTEL"


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "street.safetensors"
    copy.write_bytes(STREET_WEIGHTS.read_bytes().replace(b'\\"intercept\\"', b'\\"interzept\\"', 1))
    with pytest.raises(OditsError, match="damaged, or was made by another version"):
        load_odits(copy)
