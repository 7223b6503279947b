"""Work that nobody waits for any more ends at its next step, however deep inside it that is.

Whoever starts work says how to tell that it is not wanted (`stoppable`); loops that take a while ask between their
rounds (`step`). Outside of such work a step does nothing.

    with stoppable(lambda: not waiting):
        reader.read(image)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from odits.core.errors import StoppedError

_unwanted: ContextVar[Callable[[], bool] | None] = ContextVar("odits-unwanted", default=None)


@contextmanager
def stoppable(is_unwanted: Callable[[], bool]) -> Iterator[None]:
    """Let the steps of a block end it once `is_unwanted` says so."""
    token = _unwanted.set(is_unwanted)
    try:
        yield
    finally:
        _unwanted.reset(token)


def step() -> None:
    """Mark a place between two rounds of work, where it can end.

    Raises:
        StoppedError: nobody wants what comes of it.
    """
    is_unwanted = _unwanted.get()
    if is_unwanted is not None and is_unwanted():
        raise StoppedError("Stopped.")
