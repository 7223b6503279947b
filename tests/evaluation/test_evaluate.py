"""Evaluation of a model on a small data set: its groups, its file, and its independence of batches."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.core.pool import Problem, Task, per_batch
from odits.data import Dataset, open_image, read_dataset
from odits.evaluation import evaluate as evaluation
from odits.metrics import scoring
from odits.metrics.scoring import Lexicons, score_table

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
    done: list[tuple[int, int]] = []
    keep = tmp_path / "p.npz"
    vocabulary = dataset.vocabulary()
    assert vocabulary.words == WORDS
    found = evaluation.evaluate(by_colour, dataset, "eval", vocabulary, lambda *told: done.append(told), keep)
    assert done[0] == (0, 7) and done[-1] == (7, 7) and found["images"] == 7
    assert found["confidence"]["recall"] == pytest.approx(1)
    assert found["confidence"]["precision"] == pytest.approx(1 / 3)  # the two wrong words are alike: FP = 2 whatever p
    assert found["rank"]["average_precision"] == pytest.approx(1)
    assert found["baselines"]["uniform"]["rank"]["lexicon_mass"] == pytest.approx(1 / 3)
    assert found["threshold"]["words_without_roc"] == 0
    with np.load(keep) as file:
        assert file["words"].tolist() == list(WORDS)
        assert file["images"].tolist() == [record.name for record in dataset.split("eval")]
        lexicons = Lexicons(dataset.split("eval"), vocabulary)
        again = score_table(file["probabilities"], lexicons)
    assert again == {key: found[key] for key in again}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_blocks_do_not_matter(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluation.evaluate(by_colour, dataset, "all", dataset.vocabulary())
    monkeypatch.setattr(evaluation, "BATCH", 3)
    monkeypatch.setattr(scoring, "BLOCK", 1)
    assert evaluation.evaluate(by_colour, dataset, "all", dataset.vocabulary()) == whole


def test_no_images_of_a_split(dataset: Dataset, tmp_path: Path) -> None:
    only_train = Dataset("half", tmp_path, dataset.split("train"))
    with pytest.raises(OditsError, match="no eval images"):
        evaluation.evaluate(by_colour, only_train, "eval", dataset.vocabulary())


def test_a_file_that_cannot_be_written(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(OditsError, match="can't be written"):
        evaluation.evaluate(by_colour, dataset, "eval", dataset.vocabulary(), probabilities=tmp_path / "no" / "p.npz")


def cut_off(path: Path) -> None:
    """Write a PNG that ends in the middle of its pixels."""
    stream = io.BytesIO()
    Image.effect_noise((60, 60), 80).save(stream, "PNG")
    path.write_bytes(stream.getvalue()[:2000])


def test_images_that_cannot_be_read_have_no_rows(dataset: Dataset, tmp_path: Path) -> None:
    whole = evaluation.evaluate(by_colour, dataset.without({"4.png", "9.png"}), "eval", dataset.vocabulary())
    cut_off(tmp_path / "4.png")
    (tmp_path / "9.png").unlink()
    assert evaluation.evaluate(by_colour, dataset, "eval", dataset.vocabulary()) == whole
    for record in dataset.records:
        cut_off(record.path)
    with pytest.raises(OditsError, match=r"None of the 7 images can be used: 3\.png is damaged"):
        evaluation.evaluate(by_colour, dataset, "eval", dataset.vocabulary())


def test_an_interrupted_table_goes_on_past_what_could_not_be_read(dataset: Dataset, tmp_path: Path) -> None:
    records = dataset.split("all")
    cut_off(tmp_path / "1.png")
    asked: list[int] = []

    def counted(images: list[Image.Image]) -> np.ndarray:
        asked.append(len(images))
        return by_colour(images)

    task = Task("", batch=evaluation.BATCH, here=per_batch(lambda item: open_image(item.source, item.name), counted))

    def stop(done: int, _of: int) -> None:
        if done == 4:
            raise RuntimeError("stopped")

    path = tmp_path / "table.npy"
    with pytest.raises(RuntimeError, match="stopped"):
        evaluation.fill_probabilities(path, task, records, 3, progress=stop)
    assert asked == [1, 2]
    found = evaluation.fill_probabilities(path, task, records, 3)
    assert asked == [1, 2, 2, 2, 2], "the first two batches are not computed again"
    assert found.problems == (Problem("1.png", "1.png is damaged or cut off, so its picture can't be read."),)
    assert found.table.shape == (9, 3) and not np.isnan(found.table).any()
    assert [record.name for record in found.records] == [record.name for record in records if record.name != "1.png"]
