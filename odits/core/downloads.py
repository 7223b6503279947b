"""Downloads of weight files: resumable, checked, and never waiting long for a network that is not there."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import queue
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from odits.core.errors import BusyError, OditsError, StoreError
from odits.core.files import move_into_place
from odits.core.locks import locked
from odits.core.progress import Progress, no_progress

TIMEOUT_S = 5.0
PATIENCE_S = 60.0
POLL_S = 0.25
CHUNK = 1 << 20


class WeightsError(OditsError):
    """A download that did not succeed; the message says what to do."""


def fetch(
    url: str, path: Path, digest_prefix: str = "", progress: Progress = no_progress, patience_s: float = PATIENCE_S
) -> Path:
    """Download `url` to `path` unless it is there already with the right digest, and return `path`.

    The bytes go to `<path>.part` and reach `path` by a rename once they are complete and checked, so that `path`
    never holds half a file. A `.part` left by an earlier attempt is continued where the server allows it. Of several
    processes that want the same file one downloads it, and the others wait.

    Args:
        url: http or https address.
        path: where the file shall lie; its folder is created.
        digest_prefix: the first hexadecimal digits of the file's MD5 (the form in which Meta's SAM file names
            carry it); empty for no check.
        progress: called with (bytes here, bytes in all); the second is 0 where the server does not say.
        patience_s: how long to wait for another process's download while it does not grow, in seconds.

    Raises:
        WeightsError: no network, no room, a broken connection or a wrong digest, in one sentence.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise WeightsError(f"{url} cannot be downloaded: only http and https addresses are.")
    part = path.with_name(path.name + ".part")
    busy = f"{path.name} is already being downloaded; please wait for it to end."
    seen, until = -1, time.monotonic() + patience_s
    while not (path.is_file() and _digest_fits(path, digest_prefix)):
        try:
            with locked(part.with_name(f"{part.name}.lock"), busy):
                if not (path.is_file() and _digest_fits(path, digest_prefix)):
                    _fetch_alone(url, path, part, digest_prefix, progress)
            break
        except BusyError as error:
            size = part.stat().st_size if part.exists() else 0
            if size > seen:
                seen, until = size, time.monotonic() + patience_s
                progress(size, 0)
            if time.monotonic() >= until:
                raise WeightsError(busy) from error
            time.sleep(POLL_S)
        except StoreError as error:
            raise WeightsError(f"{path.name} cannot be written: {error}") from error
    return path


def _fetch_alone(url: str, path: Path, part: Path, digest_prefix: str, progress: Progress) -> None:
    """Download to `part`, check it and move it into place; nobody else is at the same file."""
    try:
        with open(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:  # noqa: PTH123
            resumed = _download(url, file, path.name, progress)
            if resumed and not _digest_fits(part, digest_prefix):
                # The first half may come from another version of the file: once more, from the start.
                file.truncate(0)
                _download(url, file, path.name, progress)
            if not _digest_fits(part, digest_prefix):
                file.truncate(0)
                raise WeightsError(
                    f"{path.name} arrived damaged: its MD5 does not begin with {digest_prefix}; please try again."
                )
        move_into_place(part, path)
    except OSError as error:
        raise WeightsError(_sentence(error, path)) from error


def _download(url: str, file: IO[bytes], name: str, progress: Progress) -> bool:
    """Download all of the file; whether that continued what `file` held already."""
    start = file.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"User-Agent": "odits", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = _open_within(request, TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:
            if error.headers.get("Content-Range", "").endswith(f"/{start}"):
                return True  # everything is here already
            file.truncate(0)
            return _download(url, file, name, progress)
        raise WeightsError(f"{name} cannot be downloaded: the server answered {error.code} {error.reason}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(
            f"{name} cannot be downloaded: {urlsplit(url).netloc} cannot be reached. "
            "Check the network, or give the path of a file that is already here."
        ) from error
    with response:
        resumed = response.status == 206 and _range_start(response) == start
        if not resumed:
            if response.status == 206:
                raise WeightsError(f"{name} cannot be downloaded: the server sent another part than was asked for.")
            if start:
                file.truncate(0)
            start = 0
        file.seek(start)
        length = int(response.headers.get("Content-Length") or 0)
        total = start + length if length else 0
        done = start
        progress(done, total)
        while chunk := _read(response, name, done, total):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
        file.flush()
    if done < total:
        raise WeightsError(_broken_off(name, done, total))
    return resumed


def _read(response: Any, name: str, done: int, total: int) -> bytes:
    """Read the next bytes, none at the end; what fails here is the network, not the disk."""
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(_broken_off(name, done, total)) from error


def _broken_off(name: str, done: int, total: int) -> str:
    return (
        f"The download of {name} broke off after {done:,} of {total:,} bytes; ask for it again to continue from there."
    )


def _open_within(request: urllib.request.Request, seconds: float) -> Any:
    """Open an address; raise TimeoutError once `seconds` are over.

    A socket's own timeout counts for each address anew and not at all for the name's resolution, so a thread opens
    and this one waits.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    gone = threading.Event()

    def open_it() -> None:
        try:
            response = urllib.request.urlopen(request, timeout=seconds)
        except Exception as error:
            answers.put(error)
            return
        answers.put(response)
        if gone.is_set():
            response.close()

    threading.Thread(target=open_it, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        gone.set()
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _range_start(response: Any) -> int:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found.group(1)) if found else -1


def _digest_fits(path: Path, prefix: str) -> bool:
    """Whether the file's MD5 begins with these hexadecimal digits; true of every file where there are none."""
    if not prefix:
        return True
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest().startswith(prefix.lower())


def _sentence(error: OSError, path: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path.name} does not fit: the disk that holds {path.parent} is full."
    if isinstance(error, socket.timeout | urllib.error.URLError):
        return f"{path.name} cannot be downloaded: the network does not answer."
    return f"{path.name} cannot be written to {path.parent}: {error.strerror or error}."
