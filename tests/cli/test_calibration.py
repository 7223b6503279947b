"""`odits calibration` from the command line, and the pointing game, on a few scenes that are drawn here."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
import pytest
from typer.testing import CliRunner

from benchmarks.pointing import play, summary
from odits.cli import app
from odits.core.errors import OditsError
from odits.core.files import asset
from odits.data import Dataset, read_dataset
from odits.models.registry import load
from odits.training.rendering import SignRenderer, usable_fonts
from odits.training.sign_texts import SignTexts
from odits.training.streets import render_dataset

WORDS = ["open", "daily", "pizza", "sale", "garden", "house"]


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("streets")
    fonts = usable_fonts([Path(mpl.get_data_path()) / "fonts" / "ttf"])
    render_dataset(SignRenderer(fonts, WORDS), SignTexts(WORDS), folder, (1, 4), 0)
    return read_dataset(folder)


def test_data_without_boxes_can_not_be_compared() -> None:
    done = CliRunner().invoke(app, ["calibration", "--data", str(asset("demo")), "--json"])
    assert isinstance(done.exception, OditsError) and "boxed words" in str(done.exception)
    assert done.stdout == ""


@pytest.mark.slow
def test_drawn_scenes_are_measured(streets: Dataset) -> None:
    command = ["calibration", "--data", str(streets.root), "--json"]
    found = json.loads(CliRunner().invoke(app, command).stdout)
    assert found["model"] == "ODITS Street" and found["images"] == 4 and found["problems"] == []
    assert 0.4 < found["in_top_ten"] <= 1 and found["written_words"] > 6
    assert found["shown"]["pairs"] == sum(found["shown"]["counts"]) <= found["top_ten"]["pairs"] == 40
    assert 0 <= found["shown"]["error"] < 0.5 and "in_lexicon" not in found
    table = CliRunner().invoke(app, [*command[:-1], "--vocabulary", "open,pizza"])
    assert table.exit_code == 0 and "expected calibration error" in table.stdout


@pytest.mark.slow
def test_the_carrying_object_lies_where_the_word_is(streets: Dataset) -> None:
    records = streets.split("eval")
    played = play(load("street", kind="odits"), records, 1)
    found = summary("scenes", records, played)
    assert found["scenes_in_top_ten"] > 4
    assert found["scenes_carrying_overlaps"] > 0.9 > found["scenes_random_overlaps"] > 0
    assert found["scenes_carrying_points"] > found["scenes_random_points"]
    assert found["scenes_occluded_words"] == len(played.hits["carrying_where_occluded"])
