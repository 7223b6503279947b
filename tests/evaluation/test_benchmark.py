"""The tables of a data set, over the layouts of others and over drawn scenes with boxes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest
from typer.testing import CliRunner

from odits.cli import app
from odits.core.progress import Reporter, open_reporter
from odits.data import read_dataset
from odits.evaluation.benchmark import TASKS, benchmark
from odits.evaluation.reading_tasks import spotting_quality
from odits.evaluation.settings import SPOTTING_LIMITS
from odits.models.registry import load
from odits.training.rendering import SignRenderer, usable_fonts
from odits.training.sign_texts import SignTexts
from odits.training.streets import render_dataset
from tests.data import layouts

WORDS = ["open", "daily", "pizza", "sale", "garden", "house"]
LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "ICDAR 2013": layouts.icdar_2013,
    "ICDAR 2015": layouts.icdar_2015,
    "Total-Text": layouts.total_text,
    "IIIT-STR": layouts.iiit_str,
    "COCO-Text": layouts.coco_text,
}


@pytest.fixture(scope="module")
def report() -> Reporter:
    with open_reporter() as reporter:
        return reporter


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gets_the_tables_that_its_labels_allow(name: str, tmp_path: Path, report: Reporter) -> None:
    dataset = read_dataset(LAYOUTS[name](tmp_path))
    found = benchmark(dataset, "all", report)
    assert [table.task for table in found["tables"]] == list(TASKS) and found["problems"] == []
    boxed = found["boxes"] > 0
    for table in found["tables"]:
        needs_boxes = table.task.startswith(("spotting", "boxed"))
        assert bool(table.rows) == (boxed or not needs_boxes), table
        assert bool(table.rows) != bool(table.left_out)
        assert all(row["checkpoint"] or "no image" in row["model"] for row in table.rows)


@pytest.mark.slow
def test_its_numbers_are_those_of_the_single_commands(tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    render_dataset(
        SignRenderer(usable_fonts([Path(mpl.get_data_path()) / "fonts" / "ttf"]), WORDS),
        SignTexts(WORDS),
        drawn,
        (1, 3),
        0,
    )
    runner = CliRunner()
    done = runner.invoke(app, ["benchmark", str(drawn), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    tables = {table["task"]: table["rows"] for table in found["tables"]}
    assert list(tables) == list(TASKS) and all(tables.values())
    dataset = read_dataset(drawn)
    for lexicon in ("own", "full"):
        name = "spotting, own lexicon" if lexicon == "own" else "spotting, all words"
        quality = spotting_quality(
            load("spotting", kind="spotting"), dataset.split("eval"), SPOTTING_LIMITS[lexicon], full=lexicon == "full"
        )
        assert tables[name][0].items() >= quality.values.items()
        low, high = tables[name][0]["f_interval"]
        assert low <= quality.values["f"] <= high
    for command, task, key in (("retrieval", "images of a word", "map"), ("evaluate-crops", "boxed words", "boxes")):
        alone = json.loads(runner.invoke(app, [command, "--data", str(drawn), "--json"]).stdout)
        assert alone[key] == tables[task][0][key]
