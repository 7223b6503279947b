"""Marks against checkpoints: precision and recall, limits, and the data set that is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data import Dataset, Vocabulary, read_dataset
from odits.data.marks import ImageWord
from odits.evaluation.limits import Limits, limits_document
from odits.evaluation.marks import (
    JudgedWords,
    against_marks,
    best_limit,
    judged_words,
    presence,
    recalibrate,
    write_dataset,
)
from odits.evaluation.results import StoredEvaluation

WORDS = ("BAR", "INN", "CAFE")


def stored(folder: Path, table: list[list[float]]) -> StoredEvaluation:
    np.save(folder / "probabilities.npy", np.array(table, np.float32))
    images = tuple(f"{number}.jpg" for number in range(len(table)))
    vocabulary = Vocabulary(WORDS, "three")
    return StoredEvaluation("k", folder, "M", "c" * 64, "m", "demo", "eval", vocabulary, images, "", {}, {})


def about(image: int, word: str, data: str = "demo") -> ImageWord:
    return ImageWord(data, f"{image}.jpg", word)


def test_shares_with_room_for_none_are_odds() -> None:
    assert presence(np.array([0.9, 0.09])) == pytest.approx([0.9 / 0.91, 0.09 / 0.1])
    assert presence(np.array([0.7, 0.3])).tolist() == [0.7, 0.3], "no room: all that is known is the share"
    assert presence(np.array([1.0, 0.0]))[0] == pytest.approx(1)
    assert presence(np.zeros(3)).tolist() == [0, 0, 0]


def test_precision_counts_judged_words_and_recall_all_that_are_right(tmp_path: Path) -> None:
    # with these shares presence is 0.474, 0.091, 0 and 0.111, 0.111, 0
    evaluation = stored(tmp_path, [[0.45, 0.05, 0.0], [0.1, 0.1, 0.0], [0.45, 0.05, 0.0]])
    verdicts = {
        about(0, "BAR"): "right",
        about(0, "Inn"): "right",
        about(0, "TYPED"): "right",
        about(1, "BAR"): "wrong",
        about(1, "INN"): "unsure",
        about(1, "cafe"): "wrong",
        about(1, "Café"): "right",
        about(2, "INN"): "skipped",
        about(2, "BAR", "another"): "right",
        about(9, "BAR"): "right",
    }
    judged = judged_words(evaluation, verdicts)
    assert [evaluation.images[place] for place in judged.images] == ["0.jpg", "0.jpg", "0.jpg", "1.jpg", "1.jpg"]
    assert dict(zip(judged.words, judged.right.tolist(), strict=True)) == {
        "bar": False,
        "inn": True,
        "typed": True,
        "cafe": True,
    }
    assert judged.probabilities[judged.words.index("typed")] == 0, "a word that the vocabulary lacks is missed"
    assert judged.problems == ("1 pictures with marks are not in the evaluation: 9.jpg …",)
    found = against_marks(judged, Limits(0.08))
    said_right, said_wrong, missed = 2, 1, 2
    assert found.precision.value == pytest.approx(said_right / (said_right + said_wrong))
    assert found.recall.value == pytest.approx(said_right / (said_right + missed))
    assert found.f1.value == pytest.approx(2 * said_right / (2 * said_right + said_wrong + missed))
    assert (found.images, found.judged, found.right, found.unjudged) == (2, 5, 4, 1)
    assert json.dumps(found.to_document(), allow_nan=False)
    assert against_marks(judged, Limits(1.0)).precision.value is None, "nothing is said"
    assert against_marks(judged, Limits(0.08, {"bar": 0.9})).precision.value == 1.0


def test_without_a_verdict_there_is_one_sentence(tmp_path: Path) -> None:
    evaluation = stored(tmp_path, [[0.45, 0.05, 0.0]])
    for verdicts in ({}, {about(0, "BAR"): "unsure"}, {about(7, "BAR"): "right"}, {about(0, "BAR", "other"): "right"}):
        with pytest.raises(OditsError, match="no verdict, right or wrong, on a picture of demo"):
            judged_words(evaluation, verdicts)


def judged(images: int, seed: int, shift: dict[str, float]) -> JudgedWords:
    """Words whose true limits are known: right from `shift` on, with noise."""
    rng = np.random.default_rng(seed)
    words = tuple(sorted(shift)) * images
    probabilities = rng.random(len(words))
    noise = rng.normal(0, 0.02, len(words))
    right = probabilities + noise >= [shift[word] for word in words]
    place = np.repeat(np.arange(images), len(shift))
    return JudgedWords(place, words, probabilities, right, np.zeros(0), ())


def test_intervals_hold_the_true_value_as_often_as_they_say() -> None:
    truth, hits = 0.75, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        right = rng.random(80) < truth
        words = JudgedWords(np.arange(80), ("w",) * 80, np.ones(80), right, np.zeros(0), ())
        interval = against_marks(words, Limits(), 500, seed).precision.interval
        hits += interval is not None and interval[0] <= truth <= interval[1]
    assert 50 <= hits <= 60


def test_the_limit_that_needs_fewest_corrections_is_found_as_by_trying_all() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        probabilities, right = rng.random(25).round(1), rng.random(25) < 0.5
        limit = best_limit(probabilities, right, 0.5)
        mistakes = [((probabilities >= one) != right).sum() for one in np.linspace(1e-6, 1 - 1e-6, 2001)]
        assert ((probabilities >= limit) != right).sum() <= min(mistakes)
    assert best_limit(np.array([0.9, 0.95]), np.array([True, True]), 0.5) == 0.5, "as good as it was: it stays"


def test_one_limit_where_there_is_little_and_one_of_its_own_for_a_word_judged_often() -> None:
    few = recalibrate(judged(4, 1, {"bar": 0.3, "inn": 0.8}))
    assert few.limits.words == {}
    many = recalibrate(judged(200, 1, {"bar": 0.3, "inn": 0.8}))
    own = many.limits.words
    assert own["bar"] == pytest.approx(0.3, abs=0.05) and own["inn"] == pytest.approx(0.8, abs=0.05)
    assert many.corrected_after < many.corrected_before / 3
    assert many.limits.of_folded(["bar", "new"]).tolist() == [own["bar"], many.limits.general]
    noise = np.random.default_rng(1).random(400)
    chance = JudgedWords(np.arange(400), ("w",) * 400, noise, np.arange(400) % 2 == 0, np.zeros(0), ())
    assert recalibrate(chance).corrected_after > 150, "what is fitted to noise helps nowhere else"


def test_limits_are_written_with_what_they_are_for(tmp_path: Path) -> None:
    document = json.loads(limits_document(Limits(0.25, {"inn": 0.5}), stored(tmp_path, [[1, 0, 0]])))
    assert document == {"model": "M", "checkpoint": "c" * 64, "limit": 0.25, "words": {"inn": 0.5}}


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    folder = tmp_path / "demo"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (40, 30), (number * 60, 90, 90)).save(folder / f"{number}.jpg")
    rows = "".join(f"{number}.jpg,OLD,{'train' if number else 'eval'}\n" for number in range(4))
    (folder / "lexicons.csv").write_text(f"file,words,split\n{rows}")
    return read_dataset(folder)


def test_right_words_become_a_data_set_that_is_read_as_it_was_written(pictures: Dataset, tmp_path: Path) -> None:
    verdicts = {
        about(0, "BAR"): "right",
        about(1, "FISH AND CHIPS"): "right",
        about(1, "=1+1"): "right",
        about(1, "INN"): "wrong",
        about(2, "INN"): "wrong",
        about(3, "a,b"): "right",
        about(8, "GONE"): "right",
    }
    done = write_dataset(tmp_path / "new", pictures, verdicts)
    assert (done.images, done.words) == ({"train": 2, "eval": 1}, 4)
    assert done.problems == ["8.jpg is marked, but no longer in demo; left out."]
    again = read_dataset(tmp_path / "new")
    assert not again.warnings
    assert {Path(one.name).name.split("-")[1]: (one.split, one.lexicon) for one in again.records} == {
        "0.jpg": ("eval", ("BAR",)),
        "1.jpg": ("train", ("=1+1", "FISH AND CHIPS")),
        "3.jpg": ("train", ("a,b",)),
    }
    assert {one.digest for one in again.records} <= {one.digest for one in pictures.records}
    assert write_dataset(tmp_path / "eval", pictures, verdicts, "eval").images == {"train": 0, "eval": 3}


def test_a_data_set_of_nothing_or_into_a_full_folder_is_refused(pictures: Dataset, tmp_path: Path) -> None:
    right = {about(0, "BAR"): "right"}
    for folder, verdicts, split, message in (
        (tmp_path / "new", {about(0, "BAR"): "wrong"}, "keep", "No word of a picture of demo is marked right"),
        (tmp_path / "new", {about(8, "BAR"): "right"}, "keep", "None of the marked pictures"),
        (pictures.root, right, "keep", "is not empty"),
        (tmp_path / "new", right, "test", "no split 'test' here"),
    ):
        with pytest.raises(OditsError, match=message):
            write_dataset(folder, pictures, verdicts, split)
    assert not (tmp_path / "new").exists()
