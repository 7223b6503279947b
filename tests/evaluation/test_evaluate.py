"""Evaluation of a model on a small data set: its groups, its file, and its independence of batches."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.data import Dataset, read_dataset
from odits.evaluation import evaluate as evaluation

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
WORDS = tuple(COLOURS)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    lines = ["file,words,split"]
    for index in range(10):
        word = WORDS[index % 3]
        Image.new("RGB", (40 + index, 30), COLOURS[word]).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,{word},{'train' if index < 3 else 'eval'}")
    (tmp_path / "lexicons.csv").write_text("\n".join(lines))
    return read_dataset(tmp_path)


def by_colour(images: list[Image.Image]) -> np.ndarray:
    """A small real model: softmax of the mean of each channel."""
    means = np.array([np.asarray(image).mean((0, 1)) for image in images]) / 20
    exponent = np.exp(means - means.max(1, keepdims=True))
    return exponent / exponent.sum(1, keepdims=True)


def test_groups_and_file(dataset: Dataset, tmp_path: Path) -> None:
    done: list[int] = []
    keep = tmp_path / "p.npz"
    vocabulary = dataset.vocabulary()
    assert vocabulary.words == WORDS
    found = evaluation.evaluate(by_colour, dataset, "eval", vocabulary, done.append, keep)
    assert sum(done) == found["images"] == 7
    assert found["confidence"]["recall"] == pytest.approx(1)
    assert found["confidence"]["precision"] == pytest.approx(1 / 3)  # the two wrong words are alike: FP = 2 whatever p
    assert found["rank"]["average_precision"] == pytest.approx(1)
    assert found["baselines"]["uniform"]["rank"]["lexicon_mass"] == pytest.approx(1 / 3)
    assert found["threshold"]["words_without_roc"] == 0
    with np.load(keep) as file:
        assert file["words"].tolist() == list(WORDS)
        assert file["images"].tolist() == [record.name for record in dataset.split("eval")]
        lexicons = evaluation.Lexicons(dataset.split("eval"), vocabulary)
        again = evaluation.score_table(file["probabilities"], lexicons)
    assert again == {key: found[key] for key in again}
    assert not list(tmp_path.glob("*.part"))


def test_blocks_do_not_matter(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluation.evaluate(by_colour, dataset, "all", dataset.vocabulary())
    monkeypatch.setattr(evaluation, "BATCH", 3)
    monkeypatch.setattr(evaluation, "BLOCK", 1)
    assert evaluation.evaluate(by_colour, dataset, "all", dataset.vocabulary()) == whole


def test_no_images_of_a_split(dataset: Dataset, tmp_path: Path) -> None:
    only_train = Dataset("half", tmp_path, dataset.split("train"))
    with pytest.raises(OditsError, match="no eval images"):
        evaluation.evaluate(by_colour, only_train, "eval", dataset.vocabulary())


def test_a_file_that_cannot_be_written(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(OditsError, match="can't be written"):
        evaluation.evaluate(by_colour, dataset, "eval", dataset.vocabulary(), keep=tmp_path / "no" / "p.npz")
