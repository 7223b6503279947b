"""Small things about files that stores share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from odits.checkpoints.store import Progress, StoreError

CHUNK = 1 << 20


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for the file where the disk can do that, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def copy_with_progress(source: Path, target: Path, progress: Progress) -> None:
    """Copies a file in pieces and says how far it is."""
    total, done = source.stat().st_size, 0
    with source.open("rb") as read, target.open("xb") as write:
        progress(0, total)
        while chunk := read.read(CHUNK):
            write.write(chunk)
            done += len(chunk)
            progress(done, total)
        write.flush()
        os.fsync(write.fileno())


@contextmanager
def watched(folder: Path, total: int, progress: Progress, every_s: float = 0.2) -> Iterator[None]:
    """Reports the growth of the files in a folder while the block runs: clients that download say nothing themselves.

    An exception of `progress` (a page that was left) is raised when the block ends.
    """
    done, failed = Event(), []

    def watch() -> None:
        while True:
            last = done.wait(every_s)
            try:
                progress(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()), total)
            except FileNotFoundError:
                pass  # renamed between the listing and the question
            except BaseException as error:
                failed.append(error)
                return
            if last:
                return

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failed:
        raise failed[0]


def inside(root: Path, relative: str) -> Path:
    """The path `relative` under `root`, symbolic links resolved.

    Raises:
        StoreError: it leaves its root, or is no path.
    """
    try:
        found = (root / relative).resolve()
        home = root.resolve()
    except (OSError, ValueError, RuntimeError):
        raise StoreError(f"'{relative}' is no usable path.") from None
    if found == home or not found.is_relative_to(home):
        raise StoreError(f"'{relative}' leaves its folder and is refused.")
    return found


def sync_file(path: Path) -> None:
    """Makes the file's content durable before it is renamed into place."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
