"""A command of `odits` that is killed in the middle, as by a lost machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def run_and_kill(arguments: list[str], reached: Callable[[], bool]) -> None:
    """Starts `python -m odits ARGUMENTS` and kills it with all its processes once it has come far enough."""
    command = [sys.executable, "-m", "odits", *arguments]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(3000):
            if reached():
                break
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
