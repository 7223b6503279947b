"""Pieces of a part side by side: their figures are added up, and one that dies is counted."""

from __future__ import annotations

import os
import time
from functools import partial

from benchmarks._reliability.part import Tally
from benchmarks._reliability.spread import spread


def work(number: int, tally: Tally) -> None:
    if number == 2:
        raise KeyError("a fault of the harness")
    if number == 3:
        os.kill(os.getpid(), 9)
    time.sleep(0.05 * (4 - number))
    tally.count(f"unit {number}", ["lost"] if number == 1 else [], float(number))


def test_tallies_are_added_in_order_and_units_that_end_early_count_as_crashed() -> None:
    tally, told = Tally(), list[tuple[int, int]]()
    spread([partial(work, number) for number in range(5)], tally, lambda *done: told.append(done))
    assert (tally.tried, tally.lost, tally.crashed, tally.worst_seconds) == (3, 1, 2, 4.0)
    assert tally.notes == [
        "unit 1: lost",
        "unit 2 ended without its figures, see above",
        "unit 3 ended without its figures, see above",
    ]
    assert sorted(done for done, _ in told) == [1, 2, 3, 4, 5] and {total for _, total in told} == {5}
