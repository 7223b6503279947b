"""The harness itself: what it must notice, it notices."""

from __future__ import annotations

import os
import random
import signal
import time

from benchmarks._reliability.batches import Costs, LetInError, try_all
from benchmarks._reliability.mutants import mutant

ALLOWED = Costs(0.5, 100 << 20)


def misbehave(number: int) -> None:
    if number == 3:
        raise KeyError("a traceback")
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 7:
        os._exit(0)
    if number == 8:
        raise LetInError("its code ran")
    if number == 9:
        bytearray(300 << 20)[:: 1 << 12] = b"x" * (300 << 8)
    if number == 11:
        ends = time.process_time() + 0.7
        while time.process_time() < ends:
            pass


def test_deaths_tracebacks_and_costs_are_counted_and_the_rest_goes_on() -> None:
    tally = try_all(misbehave, 20, 60, ALLOWED, "seed 0, file", lambda *_: None)
    assert tally.tried == 20
    assert tally.crashed == 3, tally.notes  # 3 and the deaths at 5 and 7
    assert tally.let_in == 3, tally.notes
    assert tally.worst_bytes > 250 << 20 and tally.worst_seconds > 0.6
    for number, said in ((5, "status -9"), (8, "its code ran"), (9, "MB"), (11, "s and")):
        assert any(note.startswith(f"seed 0, file {number}: ") and said in note for note in tally.notes), tally.notes


def test_it_ends_when_its_time_is_over() -> None:
    began = time.monotonic()
    tally = try_all(lambda _: time.sleep(0.02), 100_000, 1.0, ALLOWED, "", lambda *_: None)
    assert time.monotonic() - began < 5 and 10 < tally.tried < 1000 and not tally.notes


def test_the_same_seed_draws_the_same_damage() -> None:
    files = [bytes(range(256)), b"abc" * 50]
    first, again = ([mutant(files, 0, [b"word"], random.Random(f"1 {n}")) for n in range(200)] for _ in range(2))
    assert first == again and len(set(first)) > 150
    assert all(isinstance(one, bytes) for one in first)
