"""The commands on marks, from two annotators to a checkpoint trained on what they agreed on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from odits.cli import app
from odits.data import read_dataset
from odits.data.adjudication import decide, disputes, read_everybody
from odits.data.annotations import change_marks, set_mark
from odits.data.marks import Change, ImageWord
from odits.evaluation.limits import limits_in_force

DEMO = Path(__file__).parents[2] / "assets" / "demo"
NAMES = ("bakery.jpg", "cafe.jpg", "hotel.jpg", "market.jpg", "pharmacy.jpg", "theater.jpg")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["annotations", *map(str, arguments)])


def document(*arguments: object) -> Any:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output + str(done.exception)
    return json.loads(done.stdout)


def mark_demo() -> None:
    """Two annotators mark each picture's own word and another's; they differ on two words, one of which is decided."""
    for person in ("Anna", "Ben"):
        changes = []
        for number, name in enumerate(NAMES):
            own, other = name.split(".")[0].upper(), NAMES[number - 1].split(".")[0].upper()
            differs = person == "Ben" and number in (1, 4)
            changes.append(Change(ImageWord("demo", name, own), "unsure" if differs else "right"))
            changes.append(Change(ImageWord("demo", name, other), "wrong"))
        change_marks(person, changes)
    change_marks("Cleo", [decide(disputes(*read_everybody())[0], "right")])


def test_agreement_names_what_is_judged_differently() -> None:
    assert "Two people have to mark" in str(run("agreement").exception)
    mark_demo()
    found = document("agreement", "--resamples", 50, "--data-set", "demo")
    assert (found["both"], found["same"]) == (12, 10)
    assert [one["name"] for one in found["coefficients"]] == ["Krippendorff's alpha", "Cohen's kappa"]
    assert found["disagreements"][0] == {
        **{"data": "demo", "image": "cafe.jpg", "word": "CAFE", "decision": "right", "decided_by": "Cleo"},
        "verdicts": {"Anna": "right", "Ben": "unsure"},
    }
    shown = run("agreement").stdout
    assert "right (Cleo)" in shown and "open" in shown and "alpha" in shown
    assert "Two people have to mark" in str(run("agreement", "--data-set", "SVT").exception)


def test_pictures_are_divided_and_progress_is_told() -> None:
    set_mark("Anna", ImageWord("demo", "gone.jpg", "BAR"), "right")
    for name in NAMES:
        set_mark("Anna", ImageWord("demo", name, "BAR"), "right")
    arguments = ("queue", "--data", DEMO, "--annotator", "Anna", "--annotator", "Ben", "--share", 0.34, "--seed", 1)
    anna, ben = document(*arguments)
    assert sorted({*anna["pictures"], *ben["pictures"]}) == sorted(NAMES)
    assert len(anna["pictures"]) == len(ben["pictures"]) == 4
    assert anna["begun"] == 4 and ben["begun"] == 0 and ben["pictures_a_minute"] is None
    assert anna["pictures_a_minute"] > 0 and anna["removed_pictures"] == ["gone.jpg"]
    shown = run(*arguments)
    assert (
        "Anna: 4 pictures, 4 of them begun" in shown.stdout and "gone.jpg, which is no longer in demo" in shown.stderr
    )
    assert "Name who marks" in str(run("queue", "--data", DEMO).exception)


@pytest.mark.slow
def test_a_checkpoint_against_marks(tmp_path: Path) -> None:
    arguments = ("evaluate", "--data", DEMO, "--checkpoint", "spotting")
    assert "There are no marks in demo here" in str(run(*arguments).exception)
    mark_demo()
    found = document(*arguments, "--limits", tmp_path / "limits.json")
    assert (found["images"], found["judged"], found["right"], found["open_disputes"]) == (6, 11, 5, 1)
    assert found["recall"]["value"] == 1.0 and found["precision"]["value"] == 1.0, "drawn signs are read"
    assert found["recall"]["interval"] == [1.0, 1.0]
    assert found["recalibrated"]["corrected_before"] == 0
    assert json.loads((tmp_path / "limits.json").read_bytes())["limit"] == 0.5
    stored = found["checkpoint"]
    assert limits_in_force(stored) is None
    assert "Browse proposes by these limits" in run(*arguments, "--use-limits").stderr
    kept = limits_in_force(stored)
    assert kept is not None and kept.limits.general == 0.5
    assert "right; " in run(*arguments).stderr
    alone = document(*arguments, "--annotator", "anna")
    assert (alone["judged"], alone["right"], alone["open_disputes"]) == (12, 6, 0)
    assert "no marks of Dana" in str(run(*arguments, "--annotator", "Dana").exception)


def test_marks_become_a_data_set(tmp_path: Path) -> None:
    mark_demo()
    found = document("dataset", tmp_path / "marked", "--data", DEMO, "--split", "train")
    assert (found["images"], found["words"], found["open_disputes"]) == ({"train": 5, "eval": 0}, 5, 1)
    words = [one.lexicon for one in read_dataset(tmp_path / "marked").split("train")]
    assert words == [("BAKERY",), ("CAFE",), ("HOTEL",), ("MARKET",), ("THEATER",)]
    assert "is not empty" in str(run("dataset", tmp_path / "marked", "--data", DEMO).exception)
    assert "5 eval pictures with 5 words; 1 disputes" in run("dataset", tmp_path / "new", "--data", DEMO).stderr


@pytest.mark.slow
def test_clip_is_trained_on_marks(tmp_path: Path) -> None:
    mark_demo()
    document("dataset", tmp_path / "marked", "--data", DEMO, "--split", "train")
    options = ("--epochs", 1, "--keep", 1, "--track", "none", "--out", tmp_path / "run", "--device", "cpu", "--json")
    done = CliRunner().invoke(app, list(map(str, ("finetune", "--data", tmp_path / "marked", *options))))
    assert done.exit_code == 0, done.output + str(done.exception)
    trained = json.loads(done.stdout)
    assert trained["epochs"] == 1 and trained["checkpoints"] and not trained["problems"]
