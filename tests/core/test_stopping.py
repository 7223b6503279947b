"""Work ends at its next step once nobody wants it."""

from __future__ import annotations

import threading

import pytest

from odits.core.errors import StoppedError
from odits.core.stopping import step, stoppable


def test_a_step_ends_work_that_nobody_wants() -> None:
    step()
    wanted = [True, True, False]
    done = 0
    with pytest.raises(StoppedError), stoppable(lambda: not wanted[done]):
        while True:
            step()
            done += 1
    assert done == 2
    step()  # outside of that work nothing ends


def test_other_threads_go_on() -> None:
    ended: list[str] = []

    def other() -> None:
        step()
        ended.append("well")

    with stoppable(lambda: True):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with pytest.raises(StoppedError):
            step()
    assert ended == ["well"]
