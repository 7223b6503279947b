"""Writing files so that a reader never sees half of one, and where this program keeps its own."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import platformdirs

from odits.errors import OditsError


class WriteError(OditsError, OSError):
    """A file that can't be written, and why. An OSError too: a cache that can't be kept costs speed, not the answer."""


def cache_home() -> Path:
    """The folder of caches, stores and downloads: ODITS_HOME, else the user's cache folder. It need not exist yet."""
    named = os.environ.get("ODITS_HOME", "").strip()
    return Path(named).expanduser().absolute() if named else Path(platformdirs.user_cache_dir("odits"))


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
