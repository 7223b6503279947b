"""The parts of the page "Checkpoints" that need no browser."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from odits.data import Dataset
from odits.evaluation.results import StoredEvaluation, evaluate_and_store
from odits.figures.evaluations import BEST, MEASURED, PUBLISHED, WITHOUT_IMAGE
from odits.tracking.store import Point, StoredCheckpoint, StoredRun
from pages._checkpoints import rows
from pages._checkpoints.stores import checkpoint_table, run_names, run_table
from pages._shared.evaluations import evaluation_names, in_order
from pages._shared.words import word_list
from tests.evaluation.test_results import ByColour, write_data
from tests.pages.test_start import HEAVY, REPOSITORY

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write_data(tmp_path)


@pytest.fixture
def group(dataset: Dataset) -> list[StoredEvaluation]:
    """A model and two that were fine-tuned from it."""
    words = dataset.vocabulary()
    base, *tuned = (
        evaluate_and_store(ByColour(name, scale), name, dataset, "eval", words)
        for name, scale in (("Signs", 20), ("Signs (+2)", 30), ("Signs (+10)", 15))
    )
    return [
        base,
        *(replace(kept, metadata={"parent_digest": base.checkpoint, "epoch": kept.model[8:-1]}) for kept in tuned),
    ]


def test_the_page_needs_no_heavy_library_before_it_is_asked_for_something() -> None:
    files = sorted((REPOSITORY / "pages" / "_checkpoints").glob("[a-z]*.py"))
    modules = ", ".join(f"pages._checkpoints.{file.stem}" for file in files)
    code = f"import sys, {modules}; print([name for name in {(*HEAVY, 'neptune')!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_say_where_they_come_from(group: list[StoredEvaluation]) -> None:
    names = evaluation_names(group)
    family = rows.FAMILIES["confidence"]
    found = rows.rows_of(group, names, group[2].key, family, published=True)
    assert [row.origin for row in found] == [MEASURED, MEASURED, BEST, WITHOUT_IMAGE, WITHOUT_IMAGE, *[PUBLISHED] * 9]
    assert found[0].values["Precision"] == group[0].groups["confidence"]["precision"]
    assert found[4].values["Uniformity"] == group[0].groups["baselines"]["uniform"]["uniformity"]
    table = rows.table_of(found, family)
    assert table["Model"][2] == "★ Signs (+10)" and table["From"][2] == "measured here"
    assert table["From"][5] == "published" and table["Precision"][5] == 0.192545
    ranked = rows.rows_of(group, names, None, rows.FAMILIES["rank"], published=True)
    assert [row.origin for row in ranked] == [MEASURED] * 3 + [WITHOUT_IMAGE] * 2, "the thesis has no ranking"
    whole = rows.everything(group, names, None, published=True)
    assert len(whole) == 3 + 2 + 9
    assert {"Confidence: Precision", "Ranking: Precision at 10", "Threshold: F1"} <= set(whole.columns)


def test_checkpoints_stand_in_the_order_of_their_training(group: list[StoredEvaluation]) -> None:
    assert [kept.model for kept in in_order(group[::-1])] == ["Signs", "Signs (+2)", "Signs (+10)"]
    twins = [group[0], replace(group[0], key="other", checkpoint="0123456789")]
    assert set(evaluation_names(twins).values()) == {f"Signs · {kept.checkpoint[:8]}" for kept in twins}


def test_the_choice_compares_with_the_parent(group: list[StoredEvaluation]) -> None:
    choice = rows.choose(group, evaluation_names(group))
    assert "unmodified Signs" in choice.reason
    alone = rows.choose(group[1:], evaluation_names(group))
    assert alone.best is None and "has not been evaluated" in alone.reason


def run(number: int, **metrics: float) -> StoredRun:
    item = StoredCheckpoint("mlflow", f"id{number}", "checkpoints/epoch-002.safetensors", 2 << 20, f"d{number}")
    item = replace(item, metadata={"epoch": "2", "total_loss": "1.5", "name": "Signs (+2)"})
    return StoredRun("mlflow", f"id{number}", "signs", "finished", START, {}, metrics, {}, (item,))


def test_runs_and_checkpoints_as_tables() -> None:
    runs = [run(1, **{"loss/total": 1.5, "eval/confidence/precision": 0.3}), run(2)]
    names = run_names(runs)
    assert names == {"id1": "signs · id1", "id2": "signs · id2"}
    table = run_table(runs)
    assert table["Precision"][0] == 0.3 and table["Total loss"][0] == 1.5
    assert "F1" not in table, "what nobody measured has no column"
    curves = {
        "id1": {
            "loss/total": tuple(Point(step, 2.0, START + timedelta(minutes=step)) for step in (1, 2)),
            "eval/confidence/precision": (Point(1, 0.2, None), Point(2, 0.25, None)),
        }
    }
    found = [(one, item) for one in runs for item in one.checkpoints]
    listed = checkpoint_table(found, names, curves, [], [True, False])
    assert listed["Precision"].tolist()[0] == 0.25, "the value at the checkpoint's epoch"
    assert listed["Stored"][0] == START + timedelta(minutes=2)
    assert listed["Loss"].tolist() == [1.5, 1.5] and listed["Here"].tolist() == [True, False]


def test_an_evaluation_made_here_counts_for_a_checkpoint_of_a_store(group: list[StoredEvaluation]) -> None:
    one = run(1)
    kept = replace(group[0], checkpoint="d1")
    listed = checkpoint_table([(one, one.checkpoints[0])], {"id1": "signs"}, {}, [kept], [True])
    assert listed["Precision"][0] == kept.groups["confidence"]["precision"]
    assert listed["Average precision"][0] == kept.groups["rank"]["average_precision"]


def test_words_are_marked_and_escaped() -> None:
    found = word_list(["HOTEL", "BAR", "<b>"], [0.5, 0.25, 0.01], ["hotel", "bar"], ["BAR"])
    assert found.count("<li>") == 3 and "&lt;b&gt;" in found
    assert found.index("◆") < found.index("HOTEL") < found.index("■") < found.index("BAR")
