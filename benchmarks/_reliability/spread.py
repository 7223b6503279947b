"""Independent pieces of a part side by side, each in a forked process, one for each core."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks._reliability.part import PartProgress, Tally
from odits.core.device import cores

Unit = Callable[[Tally], None]
"""Tries some of a part's faults, and adds what came of them to the tally."""


def spread(units: Sequence[Unit], tally: Tally, progress: PartProgress) -> None:
    """Run units in forked processes, as many at once as there are cores, and add up their tallies.

    A unit that fails counts as crashed: what it tried is not known then. The order of the notes is the units'.

    Args:
        units: which share nothing that one of them changes.
        tally: what all of them found is added to it.
        progress: is told how many units have ended, and how many there are.
    """
    with tempfile.TemporaryDirectory(prefix="odits-units-") as folder:
        files = [Path(folder) / str(number) for number in range(len(units))]
        waiting, working = list(range(len(units)))[::-1], dict[int, int]()
        while waiting or working:
            while waiting and len(working) < cores():
                number = waiting.pop()
                working[_start(units[number], files[number])] = number
            for pid in [pid for pid in working if os.waitpid(pid, os.WNOHANG)[0]]:
                del working[pid]
                progress(len(units) - len(waiting) - len(working), len(units))
            time.sleep(0.02)
        for number, file in enumerate(files):
            if file.exists():
                tally.add(Tally(**json.loads(file.read_bytes())))
            else:
                tally.crashed += 1
                tally.notes.append(f"unit {number} ended without its figures, see above")


def _start(unit: Unit, file: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        found = Tally()
        unit(found)
        half = file.with_suffix(".half")
        half.write_text(json.dumps(vars(found)), encoding="utf-8")
        half.rename(file)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(0)
