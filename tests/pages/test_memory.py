"""Garbage of a server: what is there anyway costs nothing after each run, and nothing is kept for ever."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from pages._shared import memory


class Cycle:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_there_is_left_out_of_later_collections() -> None:
    memory.settle(now=True)
    assert gc.get_freeze_count() > 10_000
    began = time.process_time()
    gc.collect()
    assert time.process_time() - began < 0.1


def test_garbage_that_was_left_out_goes_at_the_next_look() -> None:
    cycle = Cycle()
    gone = weakref.ref(cycle)
    memory.settle(now=True)
    del cycle
    gc.collect()
    assert gone() is not None  # frozen while it was in use
    memory.settle()  # too little time has passed
    assert gone() is not None
    memory.settle(now=True)
    assert gone() is None
