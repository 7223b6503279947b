"""Which pairs of a picture and a word count, and the measurement on pictures of which every word is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.pool import Workers
from odits.data import BoxedWord, ImageRecord, Vocabulary, read_dataset
from odits.data.predictions import View, WordPrediction
from odits.evaluation.calibration import CalibrationRequest, measure_calibration, picture_words, summarize
from odits.models.registry import load

DEMO = Path(__file__).parents[2] / "assets" / "demo"
WORDS = Vocabulary(tuple(f"WORD{number}" for number in range(30)), "thirty words")


def predicted(shares: dict[int, float]) -> WordPrediction:
    probabilities = np.zeros(len(WORDS), np.float32)
    probabilities[list(shares)] = list(shares.values())
    return WordPrediction(WORDS, probabilities, "a model", "its digest")


def test_the_top_ten_and_all_that_is_probable_count() -> None:
    shares = {place: 0.06 for place in range(12)} | {20: 0.9}
    found = picture_words(predicted(shares), ["word20", "WORD29", "NOWHERE"], ["WORD20", "WORD3"])
    assert len(found.pairs) == 13, "of eleven words of equal rank none is left out"
    assert found.pairs[0] == (0, pytest.approx(0.9), True, True)
    assert [pair.listed for pair in found.pairs[1:6]] == [False, False, False, True, False]
    assert (found.written, found.found) == (3, 1)
    assert len(picture_words(predicted({0: 0.9}), [], []).pairs) == 10


def test_more_than_ten_words_get_as_many_places() -> None:
    boxed = [WORDS.words[place] for place in range(15)]
    shares = {place: 0.02 + place / 1000 for place in range(15)}
    assert picture_words(predicted(shares), boxed, boxed).found == 15
    assert picture_words(predicted(shares), boxed[:9], boxed).found == 4, "places 5 to 14 are the first ten"


def test_marks_case_and_accents_do_not_count() -> None:
    words = Vocabulary(("MACY'S", "CAFÉ"), "two words")
    prediction = WordPrediction(words, np.float32([0.6, 0.3]), "", "")
    assert picture_words(prediction, ["Macys", "cafe"], ["cafe"]).found == 2


def test_absent_words_do_not_make_the_error_small() -> None:
    sure_and_wrong = picture_words(predicted({0: 0.9}), ["WORD25"], ["WORD25"])
    quality = summarize([sure_and_wrong] * 4, {}, with_lexicons=True)
    errors = {name: one.error for name, one in quality.reliability.items()}
    counts = {name: int(one.counts.sum()) for name, one in quality.reliability.items()}
    assert counts == {"shown": 4, "top_ten": 40, "probable": 4, "in_lexicon": 0}
    assert errors["shown"] == errors["probable"] == pytest.approx(0.9)
    assert errors["top_ten"] == pytest.approx(0.09), "which is why it is not the one that is shown"
    assert quality.written == (4, 0) and quality.images == 4


def test_lexicons_that_say_no_more_than_boxes_are_left_out() -> None:
    assert "in_lexicon" not in summarize([], {}, with_lexicons=False).reliability
    assert summarize([], {}, with_lexicons=False).to_document()["in_top_ten"] is None


class Guesser:
    """A model that says of every picture that WORD1 is there for certain, and WORD2 half."""

    name, checkpoint = "a guesser", "its digest"

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> np.ndarray:
        return np.stack([self.predict(image, vocabulary).probabilities for image in images])

    def predict(self, image: Image.Image, vocabulary: Vocabulary) -> WordPrediction:
        return predicted({1: 1.0, 2: 0.5})


def test_pictures_that_can_be_read_are_measured_and_others_named(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    box = (0, 0, 9, 9)
    records = [
        ImageRecord("good.png", tmp_path / "good.png", boxed=(BoxedWord("WORD1", box),), lexicon=("WORD1", "WORD2")),
        ImageRecord("bad.png", tmp_path / "bad.png", boxed=(BoxedWord("WORD1", box),)),
    ]
    quality = measure_calibration(Guesser(), records, CalibrationRequest("", WORDS, read=False))
    assert quality.images == 1 and list(quality.problems) == [1] and "bad.png" in quality.problems[1]
    assert quality.reliability["in_lexicon"].counts.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert quality.reliability["shown"].error == pytest.approx((0 + 0.5) / 2)


@pytest.mark.slow
def test_other_processes_measure_the_same() -> None:
    records = read_dataset(DEMO).records[:2]
    boxed = [
        ImageRecord(
            one.name, one.path, lexicon=one.lexicon, boxed=tuple(BoxedWord(w, (0, 0, 9, 9)) for w in one.lexicon)
        )
        for one in records
    ]
    request = CalibrationRequest("street", Vocabulary.from_words(["COFFEE", "OPEN"], "two words"))
    model = load("street")
    here, there = (measure_calibration(model, boxed, request, workers=Workers(count)) for count in (0, 1))
    assert here.to_document() == there.to_document()
    assert here.written[1] == here.written[0] > 2, "the words on the demo's signs are read"
