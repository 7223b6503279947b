"""Children of the harness: forked to work until they are killed, and what they acknowledge before that."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

Acknowledge = Callable[[], None]


@dataclass
class Child:
    """A forked process that works, and a pipe on which it acknowledges each piece of work that is done.

    Attributes:
        pid: of the process, which leads a group of its own.
        pipe: a byte comes out of it for each piece.
    """

    pid: int
    pipe: int

    def kill(self) -> None:
        """Kill the process now."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def end(self) -> tuple[int, int]:
        """Wait for its end.

        Returns:
            How many pieces it acknowledged, and its exit status, negative where a signal ended it.
        """
        count = 0
        while data := os.read(self.pipe, 65536):
            count += len(data)
        os.close(self.pipe)
        _, status = os.waitpid(self.pid, 0)
        return count, os.waitstatus_to_exitcode(status)

    def wait_for_work(self, timeout_s: float) -> bool:
        """Wait until something was acknowledged, or it ended; whether that was in time."""
        return bool(select.select([self.pipe], [], [], timeout_s)[0])


def fork(work: Callable[[Acknowledge], None]) -> Child:
    """Let a forked process work; its exit status is 1 where the work raised."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return Child(pid, read)
    status = 1

    def acknowledge() -> None:
        os.write(write, b".")

    try:
        os.close(read)
        work(acknowledge)
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)
