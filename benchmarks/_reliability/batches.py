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
from dataclasses import dataclass, field
from mmap import mmap

from benchmarks._reliability.part import PartProgress

WORKERS = 2
BATCH = 1_000
HANGS_S = 120.0
_MOST_BYTES = 6 << 30
_STATE = struct.Struct("qd")
_NOTES = 20

Attempt = Callable[[int], None]
"""Tries the fault of this number; raises where it shows anything but a sentence."""


@dataclass
class Tally:
    """What came of all faults; the fields are those of a `Part`."""

    tried: int = 0
    crashed: int = 0
    let_in: int = 0
    worst_seconds: float = 0.0
    worst_bytes: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Remember a violation, the first twenty of them."""
        if len(self.notes) < _NOTES:
            self.notes.append(text)


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
    """Try the faults 0 … count - 1, or those of the first so many seconds, two processes at a time.

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
        while pending and len(working) < WORKERS and time.monotonic() < ends:
            working.append(_start(attempt, *pending.pop(), ends, costs, again))
        time.sleep(0.02)
        for worker in working[:]:
            ended, status = os.waitpid(worker.pid, os.WNOHANG)
            number, began = _STATE.unpack_from(worker.state)
            if ended:
                working.remove(worker)
                _add(tally, worker, status, number, again)
                if status and number + 1 < worker.stop:
                    pending.append((number + 1, worker.stop))
                progress(tally.tried, count)
            elif began and time.monotonic() - began > HANGS_S:  # 0 while it is being written
                os.killpg(worker.pid, signal.SIGKILL)
    return tally


def _start(attempt: Attempt, start: int, stop: int, ends: float, costs: Costs, again: str) -> _Worker:
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
        tally = _work(attempt, start, stop, ends, costs, again, state)
        os.write(write, json.dumps(tally.__dict__).encode()[:60_000])
    finally:
        os._exit(0 if sys.exc_info()[0] is None else 1)


def _work(attempt: Attempt, start: int, stop: int, ends: float, costs: Costs, again: str, state: mmap) -> Tally:
    tally = Tally()
    before, base = _used()
    for number in range(start, stop):
        if time.monotonic() > ends:
            break
        _STATE.pack_into(state, 0, number, time.monotonic())
        try:
            attempt(number)
        except Exception as error:
            tally.crashed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error}"[:200]
            tally.note(f"{again} {number}: {said} ({os.path.basename(where.filename)}:{where.lineno})")  # noqa: PTH119
        after, memory = _used()
        spent, before = after - before, after
        tally.worst_seconds = max(tally.worst_seconds, spent)
        tally.worst_bytes = max(tally.worst_bytes, memory - base)
        if spent > costs.seconds or memory - base > costs.memory_bytes:
            tally.let_in += 1
            tally.note(f"{again} {number}: it cost {spent:.1f} s and {(memory - base) / 1e6:,.0f} MB")
            base = memory
        tally.tried += 1
    return tally


def _used() -> tuple[float, int]:
    """Return seconds of CPU, and the most memory so far, of this process and of those that it started."""
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime
    return seconds, 1024 * max(mine.ru_maxrss, theirs.ru_maxrss)


def _add(tally: Tally, worker: _Worker, status: int, number: int, again: str) -> None:
    """Add what a process found; one that died lost its figures, and its death is counted."""
    data = b""
    while chunk := os.read(worker.pipe, 65536):
        data += chunk
    os.close(worker.pipe)
    worker.state.close()
    if status or not data:
        tally.tried += number - worker.start + 1
        tally.crashed += 1
        tally.note(f"{again} {number}: it ended the process (status {os.waitstatus_to_exitcode(status)})")
        return
    found = Tally(**json.loads(data))
    tally.tried += found.tried
    tally.crashed += found.crashed
    tally.let_in += found.let_in
    tally.worst_seconds = max(tally.worst_seconds, found.worst_seconds)
    tally.worst_bytes = max(tally.worst_bytes, found.worst_bytes)
    for note in found.notes:
        tally.note(note)
