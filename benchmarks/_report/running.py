"""Runs of benchmarks as subprocesses: each one's document is stored when it is done, and a failure is a sentence."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks._report.rows import Run
from odits.core.files import write_atomically

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        command: without --json and without folders of this machine.
        seconds: that it took.
        document: its figures; empty where there is a problem.
        problem: one sentence; "" where there is none.
        date: when it ended, UTC.
    """

    command: str
    seconds: float = 0.0
    document: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    date: str = ""


def stored_result(folder: Path | None, run: Run, quick: bool) -> Result | None:
    """Return the stored result of a run at the same sizes; None where there is none, or only a problem."""
    if folder is None:
        return None
    try:
        found = Result(**json.loads((folder / f"{run.name}.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.command == command_text(run, quick) and not found.problem else None


def command_text(run: Run, quick: bool) -> str:
    """Return the command of a run as a reader would type it."""
    return shlex.join(("python", *run.command(quick)))


def do_run(run: Run, quick: bool, folder: Path | None = None, limit: float | None = None) -> Result:
    """Run a benchmark and store what came of it.

    Args:
        run: the benchmark.
        quick: whether at its quick size.
        folder: where its document is stored.
        limit: seconds after which it is ended.
    """
    problem = _refusal(run, quick, folder)
    result = Result(command_text(run, quick), problem=problem) if problem else _measured(run, quick, limit)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{run.name}.json", json.dumps(asdict(result), indent=2).encode())
    return result


def _refusal(run: Run, quick: bool, folder: Path | None) -> str:
    """Say why a run is not begun; "" where it can be."""
    if quick and run.quick is None:
        return f"Not part of --quick: {run.without[0].lower()}{run.without[1:]}"
    there = folder if folder is not None and folder.exists() else Path(tempfile.gettempdir())
    free = shutil.disk_usage(there).free / 2**30
    if not quick and free < run.free_gb:
        return f"It needs {run.free_gb} GB of free disk, and {free:.0f} GB are free."
    return ""


def _measured(run: Run, quick: bool, limit: float | None) -> Result:
    """Run a benchmark to its end or to the limit."""
    script, *arguments = run.command(quick)
    command = [sys.executable, str(ROOT / script), *arguments, "--json"]
    start, text = time.monotonic(), command_text(run, quick)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=messages, start_new_session=True)
        late = False
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            end_group(process)
        seconds = time.monotonic() - start
        output.seek(0)
        messages.seek(0)
        written, said = output.read(), messages.read().decode("utf-8", "replace")
    date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    if late:
        return Result(text, seconds, problem=f"It was ended after {seconds:.0f} s.", date=date)
    if process.returncode:
        return Result(text, seconds, problem=last_sentence(said, process.returncode), date=date)
    try:
        document = json.loads(written)
    except ValueError:
        return Result(text, seconds, problem="It printed no JSON document.", date=date)
    if not isinstance(document, dict):
        return Result(text, seconds, problem="Its document has no figures.", date=date)
    return Result(text, seconds, document, date=date)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it started in its group; nothing where it has ended by itself."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_sentence(said: str, status: int) -> str:
    """Return what a failed benchmark said last, in one line and without folders of this machine."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        return f"It ended with status {status} and said nothing."
    last = lines[-1].replace(str(ROOT) + os.sep, "").replace(str(Path.home()), "~")
    return last if len(last) <= 200 else f"{last[:199]}…"
