"""Kept evaluations: computed once, gone on with after an interruption, told apart by all they depend on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data import Dataset, Vocabulary, read_dataset
from odits.data.predictions import WordPrediction
from odits.evaluation import evaluate as evaluation
from odits.evaluation.results import evaluate_and_store, remove_evaluation, stored_evaluations

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
WORDS = tuple(COLOURS)


class ByColour:
    """A small real model: softmax of an image's mean colour; counts the images that it was asked about."""

    def __init__(self, name: str = "by colour", scale: float = 20) -> None:
        self.name, self.checkpoint, self.scale, self.asked = name, f"{name} {scale}", scale, 0

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary) -> np.ndarray:
        self.asked += len(images)
        means = np.array([np.asarray(image).mean((0, 1)) for image in images]) / self.scale
        exponent = np.exp(means - means.max(1, keepdims=True))
        rows = (exponent / exponent.sum(1, keepdims=True)).astype(np.float32)
        return rows[:, np.arange(len(vocabulary)) % 3]

    def predict(self, image: Image.Image, vocabulary: Vocabulary) -> WordPrediction:
        return WordPrediction(vocabulary, self.probabilities([image], vocabulary)[0], self.name, self.checkpoint)


class StoppedError(OditsError):
    """Raised by a progress callback, as a page does when its user stops a job."""


def write_data(folder: Path) -> Dataset:
    lines = ["file,words,split"]
    for index in range(13):
        Image.new("RGB", (40 + index, 30), COLOURS[WORDS[index % 3]]).save(folder / f"{index}.png")
        lines.append(f"{index}.png,{'' if index == 12 else WORDS[index % 3]},{'train' if index < 3 else 'eval'}")
    (folder / "lexicons.csv").write_text("\n".join(lines))
    return read_dataset(folder)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_data(tmp_path)


def test_what_is_kept_is_what_was_measured(dataset: Dataset) -> None:
    model, words = ByColour(), dataset.vocabulary()
    told: list[tuple[int, int]] = []
    kept = evaluate_and_store(model, "colour", dataset, "eval", words, lambda done, of: told.append((done, of)))
    assert told == [(done, 10) for done in (0, 2, 4, 6, 8, 10)]
    direct = evaluation.evaluate(lambda images: model.probabilities(images, words), dataset, "eval", words)
    assert kept.groups == direct
    assert kept.images == tuple(record.name for record in dataset.split("eval"))
    assert (kept.model, kept.reference, kept.split, kept.vocabulary) == ("by colour", "colour", "eval", words)
    precision = kept.per_image["confidence precision"]
    assert len(precision) == 10 and np.isnan(precision[-1]), "an image without a lexicon has no precision"
    assert np.nanmean(precision) == pytest.approx(kept.groups["confidence"]["precision"])
    assert set(kept.per_image) >= {"rank precision_at_10", "threshold recall", "uniformity"}
    places, values = kept.top(2)
    assert [kept.vocabulary.words[place] for place in places[:, 0]] == [WORDS[i % 3] for i in range(3, 13)]
    assert np.array_equal(values, np.sort(kept.probabilities(), axis=1)[:, :0:-1])


def test_the_same_question_is_answered_from_the_store(dataset: Dataset) -> None:
    model, words = ByColour(), dataset.vocabulary()
    first = evaluate_and_store(model, "colour", dataset, "eval", words)
    asked = model.asked
    again = evaluate_and_store(model, "colour", dataset, "eval", replace(words, name="called otherwise"))
    assert (again.key, again.created, model.asked) == (first.key, first.created, asked)
    assert [kept.key for kept in stored_evaluations()] == [first.key]


@pytest.mark.parametrize("stop", [0, 4, 8])
def test_an_interrupted_evaluation_is_gone_on_with(dataset: Dataset, stop: int) -> None:
    words = dataset.vocabulary()
    whole = evaluate_and_store(ByColour(), "colour", dataset, "eval", words)
    expected = (whole.folder / "probabilities.npy").read_bytes(), whole.groups
    remove_evaluation(whole.key)
    assert stored_evaluations() == [] and not whole.folder.exists()
    model = ByColour()

    def advance(done: int, of: int) -> None:
        if done == stop:
            raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        evaluate_and_store(model, "colour", dataset, "eval", words, advance)
    assert stored_evaluations() == []
    assert model.asked == stop
    with (whole.folder / "probabilities.npy").open("ab") as file:
        file.write(b"half a row")  # what a process leaves that is killed while it writes
    again = evaluate_and_store(model, "colour", dataset, "eval", words)
    assert model.asked == 10, "no image was computed twice"
    assert ((again.folder / "probabilities.npy").read_bytes(), again.groups) == expected


def test_what_the_result_depends_on_is_told_apart(dataset: Dataset, tmp_path: Path) -> None:
    words = dataset.vocabulary()
    kept = [
        evaluate_and_store(ByColour(), "colour", dataset, "eval", words),
        evaluate_and_store(ByColour(scale=30), "colour", dataset, "eval", words),
        evaluate_and_store(ByColour(), "colour", dataset, "train", words),
        evaluate_and_store(ByColour(), "colour", dataset, "eval", Vocabulary(words.words[::-1], words.name)),
    ]
    lexicons = tmp_path / "lexicons.csv"
    changed = lexicons.read_text().replace("5.png,blue", "5.png,blue red")
    lexicons.write_text(changed)
    kept.append(evaluate_and_store(ByColour(), "colour", read_dataset(tmp_path), "eval", words))
    lexicons.write_text(changed.replace("0.png,red,train", "0.png,blue,train"))  # the row "prior" is another one
    kept.append(evaluate_and_store(ByColour(), "colour", read_dataset(tmp_path), "eval", words))
    Image.new("RGB", (9, 9), COLOURS["red"]).save(tmp_path / "5.png")
    kept.append(evaluate_and_store(ByColour(), "colour", read_dataset(tmp_path), "eval", words))
    assert len({one.key for one in kept}) == len(kept) == len(stored_evaluations())
    assert kept[0].question == kept[1].question, "another checkpoint is asked the same"
    assert len({one.question for one in kept}) == len(kept) - 1


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("evaluation.json", b'{"model": "half of'),
        ("evaluation.json", b"[]"),
        ("evaluation.json", b'{"vocabulary": {"words": ["a"], "name": "x"}, "images": [], "per_image": {}}'),
        ("probabilities.npy", b"\x93NUMPY and then nothing"),
        ("probabilities.npy", b""),
    ],
)
def test_a_damaged_one_is_left_out_and_made_again(dataset: Dataset, file: str, content: bytes) -> None:
    words = dataset.vocabulary()
    good = evaluate_and_store(ByColour("good"), "good", dataset, "eval", words)
    bad = evaluate_and_store(ByColour("bad"), "bad", dataset, "eval", words)
    expected = (bad.folder / "probabilities.npy").read_bytes()
    (bad.folder / file).write_bytes(content)
    (bad.folder.parent / "stray").write_text("not a folder")
    assert [kept.key for kept in stored_evaluations()] == [good.key]
    again = evaluate_and_store(ByColour("bad"), "bad", dataset, "eval", words)
    assert again.groups == bad.groups
    assert (again.folder / "probabilities.npy").read_bytes() == expected


def test_a_table_that_is_gone_is_said_in_a_sentence(dataset: Dataset) -> None:
    kept = evaluate_and_store(ByColour(), "colour", dataset, "eval", dataset.vocabulary())
    remove_evaluation(kept.key)
    with pytest.raises(OditsError, match="no longer there"):
        kept.top()
    remove_evaluation("../checkpoints")
    remove_evaluation("never there")


def test_no_images_of_a_split(dataset: Dataset) -> None:
    only = Dataset("half", dataset.root, dataset.split("train"))
    with pytest.raises(OditsError, match="no eval images"):
        evaluate_and_store(ByColour(), "colour", only, "eval", dataset.vocabulary())


def test_the_document_holds_no_nan(dataset: Dataset) -> None:
    kept = evaluate_and_store(ByColour(), "colour", dataset, "eval", dataset.vocabulary())
    text = (kept.folder / "evaluation.json").read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(name))
