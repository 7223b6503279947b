"""Files: digests, writing so that a reader never sees half of one, and the folder where this program stores its own.

Nothing outside `odits.core` computes a digest, renames a file or looks for the home folder by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Event, Thread

from odits.core.errors import OditsError, WriteError
from odits.core.locks import hold_new, remove_unheld
from odits.core.progress import Progress

CHUNK = 1 << 20
_ROOM = 1 << 16
TEMPORARY = ".tmp"
"""How the names of temporary files and folders end; their processes hold them locked (`odits.core.locks`)."""
_OURS = re.compile(rf"\..+\.[0-9a-f]{{12}}{re.escape(TEMPORARY)}", re.DOTALL)
LEFT_AFTER_S = 3600.0
"""Age in seconds from which a temporary file that no process holds is removed by the way."""


def cache_home() -> Path:
    """Return the folder of all this program stores: ODITS_HOME, else the user's cache folder. It may be missing."""
    named = os.environ.get("ODITS_HOME", "").strip()
    if named:
        return expand_home(named).absolute()
    import platformdirs

    with contextlib.suppress(RuntimeError):  # no HOME, and a user whom the system does not know
        folder = Path(platformdirs.user_cache_dir("odits"))
        if folder.is_absolute():
            return folder
    return Path(tempfile.gettempdir(), f"odits-{os.getuid()}")


def expand_home(path: str | Path) -> Path:
    """Return the path with a leading `~` replaced by the home folder; that of an unknown user stays as it is.

    Example:
        >>> expand_home("~nobody-of-this-name/x")
        PosixPath('~nobody-of-this-name/x')
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def app_folder() -> Path:
    """Return the folder of app.py, pages/ and assets/: in the installed package, else the checkout around it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_app"
    return installed if installed.is_dir() else package.parent


def asset(name: str) -> Path:
    """Return the path of a file or folder of assets/, such as "demo" or "odits-signs/model.safetensors"."""
    return app_folder() / "assets" / name


# Digests.


def sha256_of(*parts: bytes | str) -> str:
    """Return the hexadecimal SHA-256 of the parts, one after the other; text counts as UTF-8."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file; remembered while its size and time of change stay the same.

    Raises:
        OSError: the file can't be read.
    """
    status = path.stat()
    return _file_digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=65536)
def _file_digest(path: Path, _size: int, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Writing.


def require_folder(path: Path) -> None:
    """Raise where a file can't be written because its folder is missing: asked before the work.

    Raises:
        OditsError: there is no such folder.
    """
    if not path.parent.is_dir():
        raise OditsError(f"{path} can't be written: there is no folder {path.parent}.")


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, which holds either all of it afterwards or what it held before.

    Raises:
        WriteError: the folder can't be made, the disk is full, or writing is not allowed there.
    """
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(data)


@contextmanager
def replacing(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """Give the block a temporary file to write, which then replaces `path` in one step, synced to the disk.

    Where the block raises, `path` stays as it was and the temporary file goes.

    Args:
        path: the file to write; its folder is created.
        folder: where the temporary file lies, on the same disk; the folder of `path` by default.

    Raises:
        WriteError: the folder can't be made, the disk is full, or writing is not allowed there.
    """
    temporary, descriptor = None, None
    try:
        temporary, descriptor = _new_temporary(folder or path.parent, path.name)
        yield temporary
        move_into_place(temporary, path)
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}.") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):  # gone already where it was moved into place
                temporary.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


def _new_temporary(folder: Path, name: str) -> tuple[Path, int]:
    """Create an empty temporary file for `name`; the descriptor holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        temporary = folder / f".{name[:100]}.{secrets.token_hex(6)}{TEMPORARY}"
        # "x" never follows a link that somebody else put there, and keeps the permissions that the umask asks for
        temporary.open("xb").close()
        descriptor = hold_new(temporary)
        if descriptor is not None:
            return temporary, descriptor


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give the block an empty temporary folder to fill, which then becomes `path`, where nothing may be, in one step.

    Where the block raises, the temporary folder goes.

    Raises:
        WriteError: the folder can't be made, the disk is full, or writing is not allowed there.
    """
    temporary, descriptor = None, None
    try:
        temporary, descriptor = _new_folder(path.parent, path.name)
        yield temporary
        move_into_place(temporary, path)
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}.") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)  # gone already where it was moved into place
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def temporary_folder(name: str = "work") -> Iterator[Path]:
    """Give the block an empty folder under the home folder, else in the system's place for such; remove it then.

    What a killed process leaves of it is removed by the next one, an hour later, and by `odits cache --prune`.
    """
    parent = cache_home() / "cache" / "work"
    try:
        folder, descriptor = _new_folder_with_room(parent, name)
    except OSError:  # a full or read-only disk
        with tempfile.TemporaryDirectory(prefix="odits-") as elsewhere:
            yield Path(elsewhere)
        return
    try:
        clear_leftovers(parent)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _new_folder_with_room(parent: Path, name: str) -> tuple[Path, int]:
    """Create an empty temporary folder where the disk has room for a small file."""
    folder, descriptor = _new_folder(parent, name)
    probe = folder / "probe"
    try:
        probe.write_bytes(bytes(_ROOM))
        probe.unlink()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)
        raise
    return folder, descriptor


def _new_folder(parent: Path, name: str) -> tuple[Path, int]:
    """Create an empty temporary folder; the descriptor holds it."""
    while True:
        folder = parent / f".{name[:100]}.{secrets.token_hex(6)}{TEMPORARY}"
        folder.mkdir(parents=True)
        descriptor = hold_new(folder)
        if descriptor is not None:
            return folder, descriptor


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with all that it holds; do nothing where there is none or it can't be removed."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def move_into_place(ready: Path, target: Path) -> None:
    """Sync the finished file or folder `ready` to the disk and rename it to `target` on the same disk.

    A folder's entries are synced too, as are those of folders that are made for `target`: after a power cut the whole
    of it is found, or nothing.

    Args:
        ready: complete.
        target: a file there is replaced; its folder is made.

    Raises:
        OSError: it can't be synced or renamed.
    """
    for path in (ready, *(ready.rglob("*") if ready.is_dir() else ())):
        if path.is_dir():
            _sync_folder(path)
        else:
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
    _make_folders(target.parent)
    try:
        ready.replace(target)
    except FileNotFoundError:  # `odits cache --prune` removes folders that are empty
        _make_folders(target.parent)
        ready.replace(target)
    _sync_folder(target.parent)


def _make_folders(folder: Path) -> None:
    """Create a folder and those above it that are missing, durably."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make what a folder lists durable, where the system can open a folder (Windows can't)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def leftovers(folder: Path, age_s: float = 0.0, deep: bool = False) -> list[Path]:
    """List the temporary files and folders of at least this age in `folder`, whether a process holds them or not.

    Args:
        folder: need not exist.
        age_s: least age in seconds.
        deep: look into the folders below it too.
    """
    now, found = time.time(), []
    for path in folder.glob(f"**/.*{TEMPORARY}" if deep else f".*{TEMPORARY}"):
        with contextlib.suppress(OSError):  # gone meanwhile
            if now - path.lstat().st_mtime >= age_s:
                found.append(path)
    return found


def clear_leftovers(folder: Path, age_s: float = LEFT_AFTER_S, deep: bool = False) -> list[Path]:
    """Remove the temporary files and folders that killed processes left; the arguments are those of `leftovers`.

    Returns:
        What was removed.
    """
    return [path for path in leftovers(folder, age_s, deep) if remove_unheld(path)]


def clear_interrupted(folder: Path) -> None:
    """Remove what killed processes left in a folder of the user's: only files named as this program names them."""
    for path in leftovers(folder):
        if _OURS.fullmatch(path.name):
            remove_unheld(path)


# What stores share.


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name where the disk can do that, else copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def copy_with_progress(source: Path, target: Path, progress: Progress) -> None:
    """Copy a file in pieces and say how far it is."""
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
    """Report the growth of the files in a folder while the block runs: clients that download say nothing themselves.

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


def safe_name(text: str) -> str:
    """Make a name that is good on every disk: letters, digits, dot, dash, underscore; never empty, never a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-_")[:80] or "checkpoint"


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
