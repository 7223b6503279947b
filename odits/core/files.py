"""Writing files so that a reader never sees half of one, and where this program keeps its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Event, Thread

import platformdirs

from odits.core.errors import OditsError
from odits.core.progress import Progress


class WriteError(OditsError, OSError):
    """A file that can't be written, and why. An OSError too: a cache that can't be kept costs speed, not the answer."""


def cache_home() -> Path:
    """The folder of caches, stores and downloads: ODITS_HOME, else the user's cache folder. It need not exist yet."""
    named = os.environ.get("ODITS_HOME", "").strip()
    return Path(named).expanduser().absolute() if named else Path(platformdirs.user_cache_dir("odits"))


def app_folder() -> Path:
    """Return the folder of app.py, pages/ and assets/: in the installed package, else the checkout around it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_app"
    return installed if installed.is_dir() else package.parent


def asset(name: str) -> Path:
    """Return the path of a file or folder of assets/, such as "demo" or "odits-signs/model.safetensors"."""
    return app_folder() / "assets" / name


def write_atomically(path: Path, data: bytes) -> None:
    """Nothing; afterwards `path` holds exactly `data`, or, where that failed, what it held before.

    The bytes go to a temporary name in the same folder (made if need be), are synced to the disk and renamed.

    Raises:
        WriteError: the folder can't be made, the disk is full, or writing is not allowed there.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x" never follows a link that somebody else put there, and keeps the permissions that the umask asks for
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}.") from error
    finally:
        # gone already when the rename succeeded
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable, where the system can open a folder (Windows can't)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# Small things about files that stores share.


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


def sha256_of(*parts: bytes | str) -> str:
    """Return the hexadecimal SHA-256 of the parts, one after the other; text counts as UTF-8."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file; remembered while its size and time of change stay the same."""
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _file_digest(path: Path, _size: int, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def move_into_place(ready: Path, target: Path) -> None:
    """Sync the finished file `ready` to the disk and rename it to `target` on the same disk, whose folder is made.

    Raises:
        OSError: the file can't be synced or renamed.
    """
    with ready.open("rb+") as stream:
        os.fsync(stream.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    ready.replace(target)
    _sync_folder(target.parent)


def inside(root: Path, relative: str) -> Path | None:
    """Resolve the path `relative` below `root`, symbolic links followed.

    Returns:
        The path; None where it leads out of `root`, is `root` itself, or is no usable path.
    """
    try:
        home = root.resolve()
        found = (root / relative).resolve()
    except (OSError, ValueError, RuntimeError):
        # a NUL in the name, a name that is too long, links in a circle
        return None
    return found if found != home and found.is_relative_to(home) else None
