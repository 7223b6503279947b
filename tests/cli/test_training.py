"""The commands that train: what they say, what they leave out, and how they are gone on with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from odits.cli import app
from odits.cli.options import resume_command, with_settings
from odits.core.settings import check_settings, setting
from tests.training import tiny

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "assets" / "demo"


@dataclass(frozen=True)
class Kiln:
    """Settings of a command."""

    heat: float = setting(900.0, "Degrees.", low=0)
    glazes: tuple[str, ...] = setting((), "What goes on.", choices={"clear": "nothing", "celadon": "green"})
    shelves: tuple[int, ...] = setting((1, 2), flag="use-shelves")
    betas: tuple[float, float] = setting((0.9, 0.98))

    def __post_init__(self) -> None:
        check_settings(self)


def test_a_command_has_an_option_for_every_setting() -> None:
    fired: list[tuple[Kiln, str]] = []

    @with_settings(Kiln)
    def fire(name: str = "pot", *, settings: Kiln, loud: bool = False) -> None:
        """Fire."""
        fired.append((settings, name))

    command = typer.Typer()
    command.command()(fire)
    run = CliRunner()
    assert run.invoke(command, []).exit_code == 0
    given = "--heat 20 --glazes clear --glazes celadon --use-shelves 3,2 --betas 0.5 0.6 --name cup"
    assert run.invoke(command, given.split()).exit_code == 0
    assert fired == [(Kiln(), "pot"), (Kiln(20.0, ("clear", "celadon"), (2, 3), (0.5, 0.6)), "cup")]
    refused = run.invoke(command, ["--heat", "-1"])
    assert refused.exit_code == 2 and "greater than or equal to 0" in refused.output
    wrong = run.invoke(command, ["--use-shelves", "top"])
    assert str(wrong.exception) == "'top' is not a list of numbers such as 1,2,5."
    assert "celadon: green" in " ".join(run.invoke(command, ["--help"]).output.replace("│", " ").split())


def test_the_command_to_go_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resume_command(["finetune", "--restart", "--out", "my run"]) == "odits finetune --out 'my run'"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert resume_command(["finetune"]) == "torchrun --nproc-per-node 2 -m odits finetune"


def finetune(data: Path, weights: str, out: Path, *more: str) -> list[str]:
    return [
        "finetune", "--data", str(data), "--checkpoint", weights, "--out", str(out), "--device", "cpu",
        "--track", "none", "--epochs", "2", "--batch", "3", "--json", *more,
    ]  # fmt: skip


def test_a_damaged_picture_is_named_and_the_others_are_trained_on(tmp_path: Path) -> None:
    data = tiny.write_data(tmp_path / "data")
    weights = tiny.write_weights(tmp_path / "weights.safetensors")
    (data / "2.png").write_bytes((data / "2.png").read_bytes()[:60])
    done = CliRunner().invoke(app, finetune(data, weights, tmp_path / "run", "--evaluate", "eval"))
    assert done.exit_code == 1, (done.exception, done.stderr)
    document = json.loads(done.stdout)
    (problem,) = document["problems"]
    assert problem["image"] == "2.png" and problem["problem"].startswith("2.png is damaged or cut off")
    assert f"Left out: {problem['problem']}" in done.stderr
    assert document["epochs"] == 2 and (tmp_path / "run" / "epoch-002.safetensors").exists()
    again = CliRunner().invoke(app, finetune(data, weights, tmp_path / "run"))
    assert again.exit_code == 1 and json.loads(again.stdout)["problems"] == [problem]  # said again, nothing done again
    assert json.loads(again.stdout)["resumed_from"] == 2
    for name in ("0", "1", "3", "4"):
        (data / f"{name}.png").write_bytes(b"")
    refused = CliRunner().invoke(app, finetune(data, weights, tmp_path / "none"))
    assert "fewer than two train images" in str(refused.exception)


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    data = tiny.write_data(tmp_path / "data")
    weights = tiny.write_weights(tmp_path / "weights.safetensors")
    options = finetune(data, weights, tmp_path / "run")[1:]
    command = [sys.executable, "-m", "tests.training.tiny", "--die", "interrupt", "3", *options]
    stopped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert stopped.returncode == 130, stopped.stderr
    lines = stopped.stderr.splitlines()
    assert f"Stopped and saved after epoch 1 of 2 and 1 batches of the next: {tmp_path / 'run'}" in lines
    assert any(line.startswith("To go on: odits ") and str(tmp_path / "run") in line for line in lines)
    done = CliRunner().invoke(app, finetune(data, weights, tmp_path / "run"))
    assert done.exit_code == 0 and "resumed after epoch 1 of 2 and 1 batches of the next" in done.stderr


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small demo pictures, one of them damaged, and an ODITS_HOME for the commands on them."""
    folder = tmp_path_factory.mktemp("street")
    rows = ["file,words,split"]
    for number, name in enumerate(("bakery", "cafe", "hotel", "market")):
        with Image.open(DEMO / f"{name}.jpg") as image:
            image.thumbnail((160, 160))
            image.save(folder / f"{name}.png")
        rows.append(f"{name}.png,{name.upper()} THE OPEN,{'eval' if number == 3 else 'train'}")
    (folder / "lost.png").write_bytes((folder / "cafe.png").read_bytes()[:500])
    rows.append("lost.png,LOST OPEN,train")
    (folder / "lexicons.csv").write_text("\n".join(rows) + "\n")
    return {"data": folder, "home": tmp_path_factory.mktemp("street-home")}


def run_logged(street: dict[str, Path], log: Path, *arguments: str) -> tuple[int, dict[str, Any], list[str]]:
    """Run a command whose standard error is a file, as CI or nohup does it."""
    environment = os.environ | {"ODITS_HOME": str(street["home"]), "ODITS_PROGRESS_SECONDS": "0.05"}
    command = [sys.executable, "-m", "odits", *arguments, "--data", str(street["data"]), "--json"]
    with log.open("w") as stream:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=stream, text=True, timeout=900
        )
    lines = log.read_text().splitlines()
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, lines


@pytest.mark.slow
def test_train_and_compare_show_every_phase_in_a_log(street: dict[str, Path], tmp_path: Path) -> None:
    problem = {"image": "lost.png", "problem": "lost.png is damaged or cut off, so its picture can't be read."}
    status, found, lines = run_logged(street, tmp_path / "train", "train", "--epochs", "2", "--track", "none")
    assert status == 1, lines
    assert found["problems"] == [problem] and f"Left out: {problem['problem']}" in lines
    assert found["epochs"] == 2 and (Path(found["folder"]) / "best.safetensors").exists()
    for phase in ("finding and embedding objects: ", "training: "):
        assert any(line.startswith(phase) and " of " in line for line in lines), phase
    assert not any("\r" in line or "\x1b" in line for line in lines)

    status, found, lines = run_logged(street, tmp_path / "compare", "compare", "--only", "ODITS", "--seeds", "1")
    assert status == 1, lines
    assert found["problems"] == [problem]
    assert [row["name"] for row in found["rows"]][-2:] == ["ODITS", "Word spotting"]
    log = "\n".join(lines)
    for phase in ("fine-tuning CLIP: training: ", "trainings: 0 of 1", "ODITS, seed 0: training: "):
        assert phase in log, phase
    status, again, lines = run_logged(street, tmp_path / "again", "compare", "--only", "ODITS", "--seeds", "1")
    assert again == found and "seed 0" not in "\n".join(lines)  # nothing is trained twice
    options = ("--only", "ODITS", "--seeds", "1", "--workers", "2")
    status, again, lines = run_logged(street, tmp_path / "aside", "compare", *options)
    log = "\n".join(lines)
    assert again == found and re.search(r"trainings: 1 of 1.*\(ODITS, seed 0\)", log)
    assert "ODITS, seed 0: training" not in log and "objects by" not in log  # nothing is encoded or trained twice
