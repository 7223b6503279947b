"""Disks that are full, and terminals that can show little: a sentence or an answer, never a traceback."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "assets" / "demo"


def run(*arguments: str, full: bool = False, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run `python -m odits`; where the disk is to be full, no file may grow beyond 64 bytes."""

    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

    return subprocess.run(
        [sys.executable, "-m", "odits", *arguments],
        cwd=REPOSITORY,
        env=os.environ | variables,
        capture_output=True,
        timeout=300,
        preexec_fn=fill if full else None,
    )


@pytest.mark.slow
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    table = tmp_path / "boxes.csv"
    table.write_text("old")
    done = run("dataset", "--data", str(DEMO), "--export", str(table), full=True)
    said = done.stderr.decode()
    assert done.returncode == 2
    assert said.count("\n") == 1 and said.startswith("odits: ") and "can't be written" in said
    assert table.read_text() == "old"
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.slow
def test_an_answer_needs_no_room_on_the_disk() -> None:
    done = run("words", str(DEMO / "cafe.jpg"), "--checkpoint", "embedded", "--vocabulary", "cafe, bank", full=True)
    assert b"Traceback" not in done.stderr
    # open_clip reads its merges from a file: with room for it nowhere, that is said
    assert done.returncode in (0, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [{"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}],
    ids=["C", "ASCII", "ASCII for output alone"],
)
def test_letters_that_a_terminal_has_not_are_shown_somehow(variables: dict[str, str], tmp_path: Path) -> None:
    words = "hôtel, カフェ"
    if "PYTHONUTF8" not in variables:
        given = words
    else:
        (tmp_path / "words.txt").write_text(words.replace(", ", "\n"), encoding="utf-8")
        given = str(tmp_path / "words.txt")
    done = run("words", str(DEMO / "cafe.jpg"), "--checkpoint", "embedded", "--vocabulary", given, **variables)
    assert done.returncode == 0, done.stderr.decode()
    assert b"tel" in done.stdout
