"""Comparison of models on the same images."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.files import asset
from odits.core.progress import LineReporter, Phase, Unit
from odits.data import ImageRecord, Vocabulary, read_dataset
from odits.data.images import image_digest
from odits.evaluation.comparison import Trial, differences, make_row, share_inputs, sharpened
from odits.evaluation.settings import VARIANTS, ComparisonRequest
from odits.metrics.scoring import Lexicons
from odits.training.settings import OditsSettings

WORDS = Vocabulary.from_words([f"W{number}" for number in range(40)], "test")


@pytest.fixture
def lexicons(tmp_path) -> Lexicons:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    records = [
        ImageRecord(f"{i}.png", tmp_path / f"{i}.png", "eval", tuple(rng.choice(WORDS.words, 6, replace=False)))
        for i in range(30)
    ]
    return Lexicons(records, WORDS)


def table(lexicons: Lexicons, skill: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(30, 40)) + skill * lexicons.relevant(slice(None))
    shares = np.exp(logits)
    return (shares / shares.sum(1, keepdims=True)).astype(np.float32)


def test_a_better_model_is_better_beyond_chance_and_an_equal_one_is_not(lexicons: Lexicons) -> None:
    base = make_row("base", [table(lexicons, 0.0, 1)], lexicons)
    better = differences(make_row("better", [table(lexicons, 3.0, 2)], lexicons), base)
    assert better["rank average_precision"]["low"] > 0.2
    equal = differences(make_row("equal", [table(lexicons, 0.0, 3)], lexicons), base)
    assert equal["rank average_precision"]["low"] < 0 < equal["rank average_precision"]["high"]


def test_the_interval_is_that_of_a_slow_bootstrap(lexicons: Lexicons) -> None:
    one, other = (make_row("x", [table(lexicons, skill, seed)], lexicons) for skill, seed in ((2.0, 1), (0.0, 2)))
    found = differences(one, other)["rank average_precision"]
    change = one.per_image["rank average_precision"] - other.per_image["rank average_precision"]
    rng = np.random.default_rng(5)
    means = [rng.choice(change, len(change)).mean() for _ in range(10_000)]
    np.testing.assert_allclose([found["low"], found["high"]], np.quantile(means, [0.025, 0.975]), atol=0.01)
    assert found["difference"] == pytest.approx(change.mean())


def test_seeds_are_averaged_for_each_image_and_their_spread_is_told(lexicons: Lexicons) -> None:
    tables = [table(lexicons, 1.0, seed) for seed in range(3)]
    row = make_row("x", tables, lexicons)
    alone = [make_row("x", [one], lexicons) for one in tables]
    np.testing.assert_allclose(
        row.per_image["rank precision_at_10"], np.mean([one.per_image["rank precision_at_10"] for one in alone], 0)
    )
    values = [one.groups["rank"]["precision_at_10"] for one in alone]
    assert row.spread["rank precision_at_10"] == pytest.approx(np.std(values, ddof=1))
    assert row.groups["rank"]["precision_at_10"] == pytest.approx(np.mean(values))


def test_sharper_probabilities_keep_the_ranking(lexicons: Lexicons) -> None:
    logits = np.log(table(lexicons, 1.0, 0))
    sharp, factor = sharpened(logits, logits, lexicons.relevant(slice(None)))
    assert factor > 0
    assert (np.argsort(-sharp, 1, kind="stable")[:, 0] == np.argsort(-logits, 1, kind="stable")[:, 0]).all()


def test_rows_differ_from_the_defaults_as_they_say(tmp_path) -> None:  # type: ignore[no-untyped-def]
    configs = {name: Trial(name, "embedded", "embedded", "crop", tmp_path, "eval", 3).settings for name in VARIANTS}
    assert configs["ODITS"] == OditsSettings(seed=3)
    assert configs["ODITS without feature enhancer"].without == ("feature_enhancer",)
    assert configs["ODITS, another image's objects"].objects == "shuffled"
    assert "prior" not in configs["CLIP + learned prior"].without


def test_trainings_of_a_comparison_run_on_its_device(tmp_path: Path) -> None:
    request = ComparisonRequest(view="blurred", split="train", device="cpu")
    trial = Trial.of(request, "ODITS", tmp_path, 2, ("a.png",))
    assert (trial.device, trial.view, trial.split, trial.seed, trial.left_out) == (
        "cpu",
        "blurred",
        "train",
        2,
        ("a.png",),
    )


class Phases(LineReporter):
    """Keeps the names of phases."""

    def __init__(self) -> None:
        super().__init__(io.StringIO(), float("inf"))
        self.names: list[str] = []

    def phase(self, name: str, of: int = 0, unit: Unit = "items") -> Phase:
        self.names.append(name)
        return super().phase(name, of, unit)


@pytest.mark.slow
def test_images_are_encoded_once_by_several_processes_before_trainings(tmp_path: Path) -> None:
    from odits.training.odits import make_input_encoder

    for name in ("cafe", "hotel"):
        with Image.open(asset("demo") / f"{name}.jpg") as image:
            image.thumbnail((160, 160))
            image.save(tmp_path / f"{name}.png")
    (tmp_path / "lexicons.csv").write_text("file,words,split\ncafe.png,CAFE OPEN,train\nhotel.png,HOTEL,eval\n")
    dataset = read_dataset(tmp_path)
    rows = ("ODITS", "ODITS without object attention", "ODITS, signs read by the spotter too")
    trials = [Trial.of(ComparisonRequest(seeds=1), row, tmp_path, 0, ()) for row in rows]
    digests = [image_digest(record.open()) for record in dataset.records]
    encoders = [make_input_encoder(*trial.inputs) for trial in trials]
    assert not any(encoder.is_stored(digest) for encoder in encoders for digest in digests)
    first, again = Phases(), Phases()
    share_inputs(trials, dataset, 2, first)
    assert all(encoder.is_stored(digest) for encoder in encoders for digest in digests)
    assert len(first.names) == 3 and first.names[-1].endswith(", and lines read")
    share_inputs(trials, dataset, 2, again)
    assert again.names == first.names[:1]  # nothing is missing any more
