"""Results of evaluations in the run of their checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from odits.core.files import file_digest
from odits.data import Dataset, Vocabulary
from odits.evaluation.results import StoredEvaluation, evaluate_and_store, track_evaluation
from odits.tracking.sources import make_tracker, open_store
from odits.tracking.store import TrackingError
from tests.evaluation.test_results import ByColour, write_data
from tests.tracking.conftest import empty_store, mlflow_home, weights

__all__ = ["empty_store", "mlflow_home", "weights"]

Make = Callable[[float], Path]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    folder = tmp_path / "data"
    folder.mkdir()
    return write_data(folder)


@pytest.fixture
def kept(dataset: Dataset) -> StoredEvaluation:
    return evaluate_and_store(ByColour(), "colour", dataset, "eval", dataset.vocabulary())


@pytest.mark.slow
def test_they_join_the_run_that_keeps_the_checkpoint(
    mlflow_home: Path, weights: Make, kept: StoredEvaluation, dataset: Dataset
) -> None:
    run = make_tracker().start("signs", {"seed": 0}, {})
    run.metrics({"loss/total": 2.0}, 3)
    run.checkpoint(weights(1.0), "epoch-003", {"epoch": "3"})
    run.finish("killed")
    tuned = replace(kept, checkpoint=file_digest(weights(1.0)), metadata={"epoch": "3", "data": dataset.name})
    assert track_evaluation(tuned, dataset) == run.id
    assert track_evaluation(tuned, dataset) == run.id, "twice does no harm"
    found = open_store().run(run.id)
    assert (found.status, found.name) == ("killed", "signs"), "how the training ended is still true"
    curves = open_store().curves(run.id)
    assert [(point.step, point.value) for point in curves["eval/confidence/precision"]] == [
        (3, kept.groups["confidence"]["precision"])
    ]
    assert set(curves) >= {"eval/rank/precision_at_10", "eval/threshold/words_without_roc"}
    assert "eval/uniformity" not in curves, "no image of these has two words, so that it has no value"


def test_other_words_and_other_data_are_named(
    mlflow_home: Path, weights: Make, kept: StoredEvaluation, dataset: Dataset
) -> None:
    run = make_tracker().start("signs", {}, {})
    run.checkpoint(weights(1.0), "epoch-003", {})
    run.finish("finished")
    tuned = replace(kept, checkpoint=file_digest(weights(1.0)), metadata={"epoch": "3", "data": "SVT"})
    track_evaluation(tuned, dataset)
    words = Vocabulary.from_words(["red", "blue"], "two")
    track_evaluation(replace(tuned, vocabulary=words, metadata={"epoch": "3"}), dataset)
    names = set(open_store().curves(run.id))
    assert f"{dataset.name} eval/confidence/precision" in names
    assert f"eval over 2 words {words.digest[:6]}/confidence/precision" in names


def test_a_model_without_a_run_gets_one(mlflow_home: Path, kept: StoredEvaluation, dataset: Dataset) -> None:
    assert track_evaluation(kept, dataset, new_run=False) is None
    assert track_evaluation(kept, dataset, "none") is None
    run = track_evaluation(kept, dataset)
    assert run is not None
    found = open_store().run(run)
    assert found.name == "evaluate by colour" and found.parameters["checkpoint"] == kept.checkpoint
    assert found.metrics["eval/confidence/f1"] == pytest.approx(kept.groups["confidence"]["f1"])


def test_a_server_that_is_down_is_one_sentence(home: Path, kept: StoredEvaluation, dataset: Dataset) -> None:
    with pytest.raises(TrackingError, match="cannot be reached") as caught:
        track_evaluation(kept, dataset, "mlflow:http://127.0.0.1:9")
    assert "\n" not in str(caught.value)
