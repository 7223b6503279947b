"""What `--json` keeps off stdout, and tables whose references can be copied at any width."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from odits.cli.common import Json, ReservedStdout, print_json, print_table, reserved_stdout
from odits.cli.objects import _overlay_path

ROOT = Path(__file__).parents[2]

NOISY = """
import atexit, ctypes, os, subprocess, sys
import typer
from odits.cli.common import Json, print_json

held = sys.stdout

def command(as_json: Json = False) -> None:
    print("a library prints")
    os.write(1, b"C code prints\\n")
    ctypes.CDLL(None).puts(b"C code prints later")
    subprocess.run([sys.executable, "-c", "print('a child prints')"], check=True)
    held.write("a handler prints to the stdout that it found\\n")
    atexit.register(lambda: (print("at the end"), os.write(1, b"at the end, C\\n")))
    if as_json:
        print_json({"café": [1.5, None]})
    print("and once more")

typer.run(command)
"""


def noisy(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-c", NOISY, *arguments], capture_output=True, text=True, env=environment, check=True
    )


def test_with_json_the_document_is_all_that_stands_on_stdout() -> None:
    done = noisy("--json")
    assert done.stdout == json.dumps({"café": [1.5, None]}, indent=2) + "\n"
    for line in (
        "a library prints",
        "C code prints",
        "a child prints",
        "a handler prints",
        "once more",
        "at the end, C",
    ):
        assert line in done.stderr


def test_without_json_what_is_printed_goes_where_it_always_does() -> None:
    done = noisy()
    assert "a library prints" in done.stdout and "at the end" in done.stdout and done.stderr == ""


def test_inside_another_program_stdout_is_given_back(capfd: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()

    @app.command()
    def command(as_json: Json = False) -> None:
        assert isinstance(sys.stdout, ReservedStdout) == as_json
        print("noise")  # noqa: T201
        os.write(1, b"noise of C\n")
        print_json([1])

    before = sys.stdout
    result = CliRunner().invoke(app, ["--json"], catch_exceptions=False)
    assert json.loads(result.stdout) == [1]
    assert "noise\n" in result.stderr
    assert sys.stdout is before
    os.write(1, b"ours again\n")
    captured = capfd.readouterr()
    assert captured.out == "ours again\n" and captured.err == "noise of C\n"


def test_a_failure_gives_stdout_back_too() -> None:
    before = sys.stdout
    with pytest.raises(ValueError, match="broken"), reserved_stdout():
        raise ValueError("broken")
    assert sys.stdout is before


def test_numbers_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        print_json(float("nan"))


REFERENCE = "0123456789abcdef0123456789abcdef/checkpoints/the-best-of-all-epochs.safetensors"


@pytest.mark.parametrize("width", [10, 40, 80, 81, 200])
def test_a_whole_column_is_never_cut_and_the_others_lose_nothing(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    name = "a run with [a name] that-is-long-enough-to-be-folded-somewhere"
    print_table(("run", "checkpoint", "MiB"), [(name, REFERENCE, 1.25), ("b", "c/d e", 10)], "title", ["checkpoint"])
    lines = capsys.readouterr().out.splitlines()
    assert sum(REFERENCE in line for line in lines) == 1
    assert any("c/d e" in line for line in lines)
    assert "…" not in "".join(lines)
    folded = "".join(line.split("│")[1].strip() for line in lines if line.startswith("│"))
    assert name.replace(" ", "") in folded.replace(" ", "")
    if width == 200:
        assert max(map(len, lines)) < 200


def test_numbers_stand_right_and_have_four_digits(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "value"), [("a", 0.123456), ("b", 12)])
    lines = capsys.readouterr().out.splitlines()
    assert "│ a    │ 0.1235 │" in lines and "│ b    │     12 │" in lines


def test_a_table_may_be_empty(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [])
    assert "name" in capsys.readouterr().out


def test_overlays_of_images_of_the_same_name_do_not_replace_each_other(tmp_path: Path) -> None:
    written: set[Path] = set()
    for folder in ("a", "b", "c"):
        written.add(_overlay_path(tmp_path, Path(folder, "1.jpg"), written))
    assert {path.name for path in written} == {"1-objects.png", "1-2-objects.png", "1-3-objects.png"}
