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
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from odits.core.errors import OditsError

TIMEOUT_S = 5.0
CHUNK = 1 << 20

Progress = Callable[[int, int], None]


class WeightsError(OditsError):
    """A download that did not succeed; the message says what to do."""


def no_progress(done: int, total: int) -> None:
    """Nothing: for callers that do not show a progress bar."""


def fetch(url: str, path: Path, digest_prefix: str = "", progress: Progress = no_progress) -> Path:
    """The path of the file, downloaded from `url` unless it is already there with the right digest.

    The bytes go to `<path>.part` and reach `path` by a rename once they are complete and checked, so that `path`
    never holds half a file. A `.part` left by an earlier attempt is continued where the server allows it.

    Args:
        url: http or https address.
        path: where the file shall lie; its folder is created.
        digest_prefix: the first hexadecimal digits of the file's MD5 (the form in which Meta's SAM file names
            carry it); empty for no check.
        progress: called with (bytes here, bytes in all); the second is 0 where the server does not say.

    Raises:
        WeightsError: no network, no room, a broken connection or a wrong digest, in one sentence.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise WeightsError(f"{url} cannot be downloaded: only http and https addresses are.")
    if path.is_file() and _digest_fits(path, digest_prefix):
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part, path.name) as file:
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
            os.fsync(file.fileno())
            part.replace(path)
    except OSError as error:
        raise WeightsError(_sentence(error, path)) from error
    return path


def _download(url: str, file: IO[bytes], name: str, progress: Progress) -> bool:
    """Whether the download continued an earlier one; the complete file's bytes are then in `file`."""
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
    """The next bytes, empty at the end; what fails here is the network, not the disk."""
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(_broken_off(name, done, total)) from error


def _broken_off(name: str, done: int, total: int) -> str:
    return (
        f"The download of {name} broke off after {done:,} of {total:,} bytes; ask for it again to continue from there."
    )


def _open_within(request: urllib.request.Request, seconds: float) -> Any:
    """The open response, or TimeoutError once `seconds` are over.

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
    if not prefix:
        return True
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest().startswith(prefix.lower())


@contextmanager
def _locked(part: Path, name: str) -> Iterator[IO[bytes]]:
    """The partial file, open for reading and writing, and for this process alone where the system can say so."""
    with open(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:  # noqa: PTH123
        try:
            import fcntl
        except ImportError:  # Windows: the second writer's rename fails instead
            yield file
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WeightsError(f"{name} is already being downloaded; please wait for it to end.") from error
        yield file


def _sentence(error: OSError, path: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path.name} does not fit: the disk that holds {path.parent} is full."
    if isinstance(error, socket.timeout | urllib.error.URLError):
        return f"{path.name} cannot be downloaded: the network does not answer."
    return f"{path.name} cannot be written to {path.parent}: {error.strerror or error}."
