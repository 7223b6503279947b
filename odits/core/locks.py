"""One process at a time at a piece of work.

Locks are `flock`s: the system lets go of them when the process ends, however that happens, so that no lock has to be
broken by its age. A lock's file is removed by whoever releases it; what a killed process leaves is an empty file that
nobody holds, and anybody may remove (`remove_unheld`).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from odits.core.errors import BusyError, StoreError

try:
    import fcntl
except ImportError:  # Windows: two at once cost work done twice there, results are renamed into place all the same
    fcntl = None  # type: ignore[assignment]

SHORTEST_S, LONGEST_S = 0.01, 0.25  # between two tries to get a lock
PROBE_S = 0.1  # `is_held` and `remove_unheld` hold a lock for less: so long is tried, even by those who don't wait
UNSURE_S = 86400.0  # where nobody can tell whether a file is held: its age in seconds from which it counts as left


@contextmanager
def locked(path: Path, sentence: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path` for the block.

    Args:
        path: the lock's file; its folder is created.
        sentence: what to say where another process holds it.
        wait_s: how long to wait for that process, in seconds; `math.inf` for ever.

    Raises:
        BusyError: another process still holds it (the sentence).
        StoreError: the folder can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path, wait_s)
    except OSError as error:
        raise StoreError(f"{path.parent} can't be written: {error.strerror or error}.") from error
    if descriptor is None:
        raise BusyError(sentence)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file
            path.unlink()  # before the lock is released: see `_is_named`
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file, temporary file or folder at `path` now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return try_lock(descriptor) is False
    finally:
        os.close(descriptor)


def remove_unheld(path: Path) -> bool:
    """Remove a lock file, temporary file or folder unless a process holds it; whether it was removed."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        locked_now = try_lock(descriptor)
        age_s = time.time() - os.fstat(descriptor).st_mtime
        if locked_now is False or (locked_now is None and age_s < UNSURE_S):
            return False
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def hold_new(path: Path) -> int | None:
    """Lock the file or folder that was created at `path` just now, as a sign that its process lives.

    Returns:
        The descriptor that holds the lock until it is closed; None where somebody removed it meanwhile as a leftover,
        so that it has to be created again.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    if try_lock(descriptor) is not False and _is_named(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file for this descriptor alone, without waiting.

    Returns:
        True where it is locked now, False where another descriptor has it, None where the system has no such locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _acquire(path: Path, wait_s: float) -> int | None:
    """Return the descriptor that holds the lock file; None where another process held it all the time."""
    until, pause = time.monotonic() + max(wait_s, PROBE_S), SHORTEST_S
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        held = try_lock(descriptor) is not False  # without such locks work is done twice at worst
        if held and _is_named(descriptor, path):
            return descriptor
        os.close(descriptor)
        if held:
            continue  # whoever held it before removed the file between the two calls
        left = until - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_S)


def _is_named(descriptor: int, path: Path) -> bool:
    """Whether `path` still names the open file, which may have been removed before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
