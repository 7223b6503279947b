"""Many small faults in forked processes: what one of them costs is measured, and a death is counted and named."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any

from benchmarks._reliability.part import PartProgress, Tally
from odits.core.device import cores

BATCH = 1_000
HANGS_S = 120.0
_MOST_BYTES = 6 << 30
_STATE = struct.Struct("qd")
_NOTES = 20

Attempt = Callable[[int], None]
"""Tries the fault of this number; raises where it shows anything but a sentence, LetInError where it got its way."""


class LetInError(Exception):
    """Something happened that a file from outside must not make happen."""


@dataclass(frozen=True)
class Costs:
    """What one fault may cost.

    Attributes:
        seconds: of CPU.
        memory_bytes: by which the process may grow, or that one started by it may take.
    """

    seconds: float
    memory_bytes: int


@dataclass
class _Worker:
    pid: int
    pipe: int
    state: mmap
    start: int
    stop: int


def try_all(attempt: Attempt, count: int, seconds: float, costs: Costs, again: str, progress: PartProgress) -> Tally:
    """Try the faults 0 … count - 1, or those of the first so many seconds, in one process at a time for each core.

    Args:
        attempt: tries one.
        count: of faults.
        seconds: after which no further batch is begun.
        costs: what one may cost.
        again: what a note says of how to run one again, before its number.
        progress: is told how far it is.
    """
    tally = Tally()
    ends = time.monotonic() + seconds
    pending = [(start, min(start + BATCH, count)) for start in range(0, count, BATCH)][::-1]
    working: list[_Worker] = []
    while working or (pending and time.monotonic() < ends):
        while pending and len(working) < cores() and time.monotonic() < ends:
            working.append(_start(attempt, *pending.pop(), ends, costs))
        time.sleep(0.02)
        for worker in working[:]:
            ended, status = os.waitpid(worker.pid, os.WNOHANG)
            number, began = _STATE.unpack_from(worker.state)
            if ended:
                working.remove(worker)
                died = _add(tally, worker, status, number, again)
                if died and number + 1 < worker.stop:
                    pending.append((number + 1, worker.stop))
                progress(tally.tried, count)
            elif began and time.monotonic() - began > HANGS_S:  # 0 while it is being written
                os.killpg(worker.pid, signal.SIGKILL)
    return tally


def _start(attempt: Attempt, start: int, stop: int, ends: float, costs: Costs) -> _Worker:
    state = mmap(-1, _STATE.size)
    _STATE.pack_into(state, 0, start, time.monotonic())
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return _Worker(pid, read, state, start, stop)
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))  # this machine is to survive it
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        _work(attempt, range(start, stop), ends, costs, state, write)
    finally:
        os._exit(0 if sys.exc_info()[0] is None else 1)


def _work(attempt: Attempt, numbers: range, ends: float, costs: Costs, state: mmap, pipe: int) -> None:
    """Try faults, and write a line about each violation at once, and one about all of them at the end."""

    def tell(**what: Any) -> None:
        os.write(pipe, json.dumps(what).encode() + b"\n")

    tried, worst_seconds, worst_bytes, told = 0, 0.0, 0, 0
    before, base = _used()
    for number in numbers:
        if time.monotonic() > ends:
            break
        _STATE.pack_into(state, 0, number, time.monotonic())
        violated = ""
        try:
            attempt(number)
        except Exception as error:
            violated = "let_in" if isinstance(error, LetInError) else "crashed"
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error}"[:200] + f" ({Path(where.filename).name}:{where.lineno})"
        after, memory = _used()
        spent, before = after - before, after
        worst_seconds, worst_bytes = max(worst_seconds, spent), max(worst_bytes, memory - base)
        if not violated and (spent > costs.seconds or memory - base > costs.memory_bytes):
            violated, said = "let_in", f"it cost {spent:.1f} s and {(memory - base) / 1e6:,.0f} MB"
            base = memory
        tried += 1
        if violated:
            told += 1
            tell(**{violated: 1}, **({"number": number, "said": said} if told <= _NOTES else {}))
    tell(tried=tried, worst_seconds=worst_seconds, worst_bytes=worst_bytes)


def _used() -> tuple[float, int]:
    """Return seconds of CPU, and the most memory so far, of this process and of those that it started."""
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime
    return seconds, 1024 * max(mine.ru_maxrss, theirs.ru_maxrss)


def _add(tally: Tally, worker: _Worker, status: int, number: int, again: str) -> bool:
    """Add what a process found; return whether it died."""
    data = b""
    while chunk := os.read(worker.pipe, 65536):
        data += chunk
    os.close(worker.pipe)
    worker.state.close()
    lines = [json.loads(line) for line in data.splitlines()]
    died = status != 0 or not lines or "tried" not in lines[-1]
    if died:
        said = f"it ended the process (status {os.waitstatus_to_exitcode(status)})"
        lines.append({"tried": number - worker.start + 1, "crashed": 1, "number": number, "said": said})
    for line in lines:
        tally.tried += line.get("tried", 0)
        tally.crashed += line.get("crashed", 0)
        tally.let_in += line.get("let_in", 0)
        tally.worst_seconds = max(tally.worst_seconds, line.get("worst_seconds", 0.0))
        tally.worst_bytes = max(tally.worst_bytes, line.get("worst_bytes", 0))
        if "said" in line and len(tally.notes) < _NOTES:
            tally.notes.append(f"{again} {line['number']}: {line['said']}")
    return died
