"""One process at a time at a piece of work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from odits.core.errors import StoreError


@contextmanager
def locked(path: Path, sentence: str) -> Iterator[None]:
    """Holds the lock file for the block; the lock goes with the process, however that ends.

    Raises:
        StoreError: somebody else holds it (the sentence), or the folder can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(f"{path.parent} can't be written: {error.strerror or error}.") from error
    try:
        _lock(descriptor, sentence)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, sentence: str) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: two at once cost work done twice there, the results are renamed into place
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(sentence) from error
