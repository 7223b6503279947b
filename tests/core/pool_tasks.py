"""Small real tasks for the tests of the pool; workers import them by name."""

from __future__ import annotations

import os
import time
from pathlib import Path

from odits.core.errors import ItemError, OditsError
from odits.core.files import cache_home, sha256_of
from odits.core.pool import Function, Item, per_batch, per_item


def content_of(item: Item) -> bytes:
    if isinstance(item.source, bytes):
        return item.source
    try:
        return item.source.read_bytes()
    except OSError as error:
        raise ItemError(f"{item.name} can't be read: {error.strerror}.") from error


def digester(threads: int | None = None, salt: str = "", seconds: float = 0.0) -> Function:
    """Digests; b"bad" can't be used, b"bug" meets a mistake in the code, b"deadly" kills the process, b"disk" all."""

    def digest(item: Item) -> tuple[str, int]:
        content = content_of(item)
        time.sleep(seconds)
        if content == b"bad":
            raise ItemError(f"{item.name} is bad.")
        if content == b"bug":
            raise IndexError("out of range\nand more")
        if content == b"disk":
            raise OditsError("The disk is full.")
        if content == b"deadly":
            os._exit(9)
        return sha256_of(content, salt), os.getpid()

    return per_item(digest)


def no_model(threads: int | None = None) -> Function:
    raise OditsError("There is no such model.")


def mistaken(threads: int | None = None) -> Function:
    raise ZeroDivisionError("a mistake")


def batcher(threads: int | None = None) -> Function:
    """The length of each content and how many were together; a batch with b"odd" fails as a whole."""

    def compute(contents: list[bytes]) -> list[tuple[int, int]]:
        if b"odd" in contents:
            raise ValueError("odd")
        if b"deadly" in contents:
            os._exit(9)
        return [(len(content), len(contents)) for content in contents]

    return per_batch(content_of, compute)


def weighted(weights: str, threads: int | None = None, seconds: float = 0.0) -> Function:
    """What the weights file says, where it lies, and the home of the process; the file is read when it is built."""
    path = Path(weights)
    told = path.read_text()

    def tell(item: Item) -> tuple[str, str, str]:
        time.sleep(seconds)
        return told + item.name, str(path), str(cache_home())

    return per_item(tell)
