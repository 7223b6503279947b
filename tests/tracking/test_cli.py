"""`odits checkpoints`, each command on a real store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from odits.cli.checkpoints import app
from odits.core.errors import OditsError
from odits.core.files import file_digest
from tests.tracking.conftest import PROJECT, row
from tests.tracking.exports import Export


def run(*arguments: str) -> Any:
    """What the command prints as JSON, on stdout and nothing else there."""
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_push_list_show_pull(mlflow_home: Path, weights: Callable[[float], Path]) -> None:
    path = weights(1.0)
    pushed = run("push", str(path), "--name", "mine")
    assert pushed["digest"] == file_digest(path) and pushed["local"] is None
    listed = run("list")
    assert [item["reference"] for found in listed["runs"] for item in found["checkpoints"]] == [pushed["reference"]]
    pulled = run("pull", pushed["reference"])
    assert pulled["digest"] == file_digest(path)
    owner = pushed["reference"].partition("/")[0]
    for reference in (owner, f"runs:/{owner}", pushed["reference"]):
        shown = run("show", reference)
        assert shown["id"] == owner and shown["checkpoints"][0]["local"] == pulled["path"]


def test_export_list_pull_import_twice(mlflow_home: Path, export: Path) -> None:
    source = ("--source", f"neptune-export:{export}")
    listed = run("list", *source)
    assert [found["id"] for found in listed["runs"]] == [f"{PROJECT}/SIGN-1", f"{PROJECT}/SIGN-2"]
    assert sum("is refused" in warning for warning in listed["warnings"]) == 3
    assert Path(run("pull", "SIGN-1/best", *source)["path"]).is_file()
    assert run("show", "SIGN-1", *source)["metrics"]["train/loss"] == 0.0
    first, second = run("import", *source), run("import", *source)
    assert len(first["new"]) == 2 and not second["new"] and second["runs"] == first["runs"]


def test_tables_for_people(mlflow_home: Path, export: Path) -> None:
    for command in (["list"], ["show", "SIGN-1"]):
        result = CliRunner().invoke(app, [*command, "--source", f"neptune-export:{export}"], catch_exceptions=False)
        assert result.exit_code == 0 and "SIGN-1" in result.stdout
        if command == ["list"]:
            assert f"neptune-export:{export}\n" in result.stdout, "it can be pasted, however narrow the terminal is"
            assert f"{PROJECT}/SIGN-2 has none" in result.stdout


def test_names_do_not_drive_the_terminal(mlflow_home: Path, tmp_path: Path) -> None:
    """Names come from outside, and may hold what a terminal would obey."""
    made = Export(tmp_path)
    made.files().mkdir(parents=True)
    made.write("R-1", [row("\x1b[2Jloss", "float_series", 1.0, 0), row("lost\x1b]0;title\x07", "file", "gone\0")])
    source = ("--source", f"neptune-export:{made.root}")
    for command in (["list", *source], ["show", "R-1", *source], ["import", *source]):
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0 and not set("\x1b\x07\0") & set(result.output), command
        assert r"lost\x1b]0;title\x07" in result.stderr


@pytest.mark.parametrize("width", ["20", "200"])
def test_a_listed_reference_can_be_pasted_at_any_width(
    width: str, mlflow_home: Path, weights: Callable[[float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    pushed = run("push", str(weights(1.0)), "--name", "a-checkpoint-with-a-name-that-is-longer-than-most-terminals")
    for command in (["list"], ["show", pushed["reference"]]):
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        words = [word for line in result.stdout.splitlines() for word in line.split()]
        assert pushed["reference"] in words
    pulled = CliRunner().invoke(app, ["pull", pushed["reference"]], catch_exceptions=False)
    assert any(Path(word).is_file() for word in pulled.stdout.split() if word.endswith(".safetensors"))
    assert "spotting" in CliRunner().invoke(app, ["list"], catch_exceptions=False).stdout.split()


@pytest.mark.slow
def test_stdout_is_one_document_while_mlflow_migrates_and_logs(home: Path, weights: Callable[[float], Path]) -> None:
    """The first push makes the store's tables; MLflow and alembic write about that to wherever they like."""
    command = [sys.executable, "-m", "odits", "checkpoints", "push", str(weights(1.0)), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "MLFLOW_LOGGING_LEVEL": "DEBUG"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == file_digest(weights(1.0))


def test_mistakes_are_sentences(mlflow_home: Path, export: Path) -> None:
    for arguments, said in (
        (["import", "--source", "mlflow"], "An import goes from"),
        (["pull", "nothing/here"], "did not do what was asked"),
        (["pull", "SIGN-8/best", "--source", f"neptune-export:{export}"], "There is no run 'SIGN-8' here"),
        (["show", "SIGN-8", "--source", f"neptune-export:{export}"], "There is no run 'SIGN-8' here"),
    ):
        with pytest.raises(OditsError, match=said) as caught:
            CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert "\n" not in str(caught.value)
