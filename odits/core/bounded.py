"""A script in a process of its own, under limits on memory, time and what it writes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import BoundedSemaphore
from typing import BinaryIO, NamedTuple

from odits.core import bounded_child

_PASSED_ON = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MALLOC_ARENA_MAX": "1"}
_AT_ONCE = BoundedSemaphore(max(2, os.cpu_count() or 1))  # what each may take, many together would take too much

_OUT_OF_TIME = (-signal.SIGXCPU,) if hasattr(signal, "SIGXCPU") else ()


class Bounds(NamedTuple):
    """What a process may take.

    Attributes:
        memory_bytes: beyond what its libraries take.
        cpu_seconds: of computing time.
        wall_seconds: from its start to its end.
        written_bytes: of the largest file that it writes, its output counted.
        more_memory_bytes: that the script may add by itself, once it knows what for.
    """

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: int
    written_bytes: int
    more_memory_bytes: int = 0


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        status: its exit status; negative where a signal ended it.
        output: what it wrote to stdout.
        in_time: whether it kept within the limits of time.
    """

    status: int
    output: bytes
    in_time: bool


def run_bounded(script: Path, arguments: Sequence[str], bounds: Bounds, source: BinaryIO | None = None) -> Ended:
    """Run a script as `odits.core.bounded_child` says, in an environment without credentials, and wait for its end.

    Args:
        script: with `prepare()` and `main(arguments)`; it imports nothing of this package.
        arguments: for it.
        bounds: what it may take.
        source: what it finds on stdin, from the beginning.

    Raises:
        OSError: it can't be started, or what it reads can't be copied.
    """
    environment = {key: os.environ[key] for key in _PASSED_ON if key in os.environ} | _ALONE
    folders = os.pathsep.join(path for path in sys.path if Path(path).name in ("site-packages", "dist-packages"))
    numbers = (bounds.memory_bytes, bounds.more_memory_bytes, bounds.cpu_seconds, bounds.written_bytes)
    launcher = str(Path(bounded_child.__file__).absolute())
    # -I: neither the working folder nor a user's variables can change what the child imports
    command = [sys.executable, "-I", launcher, str(script), *map(str, numbers), folders]
    with _AT_ONCE, contextlib.ExitStack() as stack:
        output = stack.enter_context(_scratch())
        given: BinaryIO | int = subprocess.DEVNULL if source is None else _with_descriptor(source, stack)
        try:
            child = subprocess.run(
                [*command, *arguments],
                env=environment,
                stdin=given,
                stdout=output,
                stderr=subprocess.DEVNULL,
                timeout=bounds.wall_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Ended(-signal.SIGTERM, b"", False)
        output.seek(0)
        return Ended(child.returncode, output.read(bounds.written_bytes), child.returncode not in _OUT_OF_TIME)


def _with_descriptor(source: BinaryIO, stack: contextlib.ExitStack) -> BinaryIO:
    """Return a file of the system with the content of `source`, at its start: itself where it is one."""
    source.seek(0)
    try:
        os.lseek(source.fileno(), 0, os.SEEK_SET)
        return source
    except (OSError, AttributeError):  # in memory only
        copy = stack.enter_context(_scratch())
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        os.lseek(copy.fileno(), 0, os.SEEK_SET)
        return copy


def _scratch() -> BinaryIO:
    """Open a file without a name: in memory where the system has such, so that a full disk costs no picture."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return os.fdopen(os.memfd_create("odits"), "w+b")
    return tempfile.TemporaryFile()
