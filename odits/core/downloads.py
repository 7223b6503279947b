"""Downloads of weight files: resumable, checked, and never waiting long for a network that is not there."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import queue
import re
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
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


SHA256 = "sha256:"
"""Stands before the digits of a digest that is a SHA-256; without it they are an MD5's."""


class WeightsError(OditsError):
    """A download that did not succeed; the message says what to do."""


class DamagedError(WeightsError):
    """All of a file arrived, and it is not the file that was promised."""


class _BrokenOffError(WeightsError):
    """The connection ended before the file did; what arrived is kept."""


@dataclass(frozen=True)
class _Source:
    """Where a file comes from: its address, how messages call it, and the headers for that host alone."""

    url: str
    name: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, method: str = "GET") -> urllib.request.Request:
        common = {"User-Agent": "odits", "Accept-Encoding": "identity"}
        request = urllib.request.Request(self.url, headers=common, method=method)
        for name, value in self.headers.items():
            request.add_unredirected_header(name, value)  # a login is not for the host that is redirected to
        return request


def fetch(
    url: str,
    path: Path,
    digest_prefix: str = "",
    progress: Progress = no_progress,
    patience_s: float = PATIENCE_S,
    name: str = "",
    headers: Mapping[str, str] | None = None,
    retries: int = 0,
) -> Path:
    """Download `url` to `path` unless it is there already with the right digest, and return `path`.

    The bytes go to `<path>.part` and reach `path` by a rename once they are complete and checked, so that `path`
    never holds half a file. A `.part` left by an earlier attempt, such as one that `progress` ended, is continued where
    the server allows it. Of several processes that want the same file one downloads it, and the others wait.

    Args:
        url: http or https address.
        path: where the file shall lie; its folder is created.
        digest_prefix: the first hexadecimal digits of the file's MD5 (the form in which Meta's SAM file names
            carry it), or of its SHA-256 with "sha256:" before them; empty for no check.
        progress: called with (bytes here, bytes in all); the second is 0 where the server does not say.
        patience_s: how long to wait for another process's download while it does not grow, in seconds.
        name: how messages call the file; by default as `path` does.
        headers: for the host of `url`, and not for one that it redirects to.
        retries: how often in a row a connection may break off with nothing new.

    Raises:
        WeightsError: no network, no room, a broken connection or a wrong digest, in one sentence.
    """
    source = _Source(url, name or path.name, headers or {})
    if urlsplit(url).scheme not in ("http", "https"):
        raise WeightsError(f"{url} cannot be downloaded: only http and https addresses are.")
    part = path.with_name(path.name + ".part")
    busy = f"{source.name} is already being downloaded; please wait for it to end."
    seen, until = -1, time.monotonic() + patience_s
    while not (path.is_file() and _digest_fits(path, digest_prefix)):
        try:
            with locked(part.with_name(f"{part.name}.lock"), busy):
                if not (path.is_file() and _digest_fits(path, digest_prefix)):
                    _fetch_alone(source, path, digest_prefix, progress, retries)
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
            raise WeightsError(f"{source.name} cannot be written: {error}") from error
    return path


def size_of(url: str, name: str) -> int:
    """Ask a server how large a file is, in bytes; 0 where it does not say.

    Args:
        url: http or https address.
        name: how messages call the file.

    Raises:
        WeightsError: it cannot be reached, or has no such file, in one sentence.
    """
    source = _Source(url, name)
    try:
        with _open(source, source.request("HEAD")) as response:
            return int(response.headers.get("Content-Length") or 0)
    except urllib.error.HTTPError as error:
        raise WeightsError(_answered(source, error)) from error


def free_bytes(folder: Path) -> int:
    """Return how many bytes the disk that holds a folder, which need not be there yet, has free."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _fetch_alone(source: _Source, path: Path, digest_prefix: str, progress: Progress, retries: int) -> None:
    """Download to `<path>.part`, check it and move it into place; nobody else is at the same file."""
    part = path.with_name(path.name + ".part")
    try:
        with open(os.open(part, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:  # noqa: PTH123
            resumed = _download_on(source, file, path.parent, progress, retries)
            if resumed and not _digest_fits(part, digest_prefix):
                # The first half may come from another version of the file: once more, from the start.
                file.truncate(0)
                _download_on(source, file, path.parent, progress, retries)
            if not _digest_fits(part, digest_prefix):
                file.truncate(0)
                kind, digits = _digest_parts(digest_prefix)
                raise DamagedError(
                    f"{source.name} arrived damaged: its {kind} does not begin with {digits[:12]}; please try again."
                )
        move_into_place(part, path)
    except OSError as error:
        raise WeightsError(_sentence(error, path, source.name)) from error


def _download_on(source: _Source, file: IO[bytes], folder: Path, progress: Progress, retries: int) -> bool:
    """Download as `_download`, going on where the connection breaks off; whether anything was continued."""
    left, resumed = retries, False
    while True:
        before = file.seek(0, os.SEEK_END)
        try:
            return _download(source, file, folder, progress) or resumed
        except _BrokenOffError:
            left = retries if file.seek(0, os.SEEK_END) > before else left - 1
            if left < 0 or not retries:
                raise
            resumed = resumed or before > 0
            time.sleep(POLL_S)


def _download(source: _Source, file: IO[bytes], folder: Path, progress: Progress) -> bool:
    """Download all of the file; whether that continued what `file` held already."""
    name, start = source.name, file.seek(0, os.SEEK_END)
    request = source.request()
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = _open(source, request)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:
            if error.headers.get("Content-Range", "").endswith(f"/{start}"):
                return True  # everything is here already
            file.truncate(0)
            return _download(source, file, folder, progress)
        raise WeightsError(_answered(source, error)) from error
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
        _need_room(name, length, folder)
        done = start
        progress(done, total)
        while chunk := _read(response, name, done, total):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
        file.flush()
    if done < total:
        raise _BrokenOffError(_broken_off(name, done, total))
    return resumed


def _need_room(name: str, needed: int, folder: Path) -> None:
    """Refuse a download that the disk has no room for, before it begins."""
    free = free_bytes(folder)
    if needed > free:
        raise WeightsError(
            f"{name} does not fit: {needed / 1e6:,.0f} MB are still to come, and the disk that holds {folder} has "
            f"{free / 1e6:,.0f} MB free."
        )


def _read(response: Any, name: str, done: int, total: int) -> bytes:
    """Read the next bytes, none at the end; what fails here is the network, not the disk."""
    try:
        return response.read1(CHUNK)  # what is there: a slow line shows its progress, and a broken one loses nothing
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(_broken_off(name, done, total)) from error


def _broken_off(name: str, done: int, total: int) -> str:
    return (
        f"The download of {name} broke off after {done:,} of {total:,} bytes; ask for it again to continue from there."
    )


def _open(source: _Source, request: urllib.request.Request) -> Any:
    """Open an address.

    Raises:
        HTTPError: the server refuses.
        WeightsError: it cannot be reached.
    """
    try:
        return _open_within(request, TIMEOUT_S)
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(
            f"{source.name} cannot be downloaded: {urlsplit(source.url).netloc} cannot be reached. "
            "Check the network, or give the path of a file that is already here."
        ) from error


def _answered(source: _Source, error: urllib.error.HTTPError) -> str:
    return f"{source.name} cannot be downloaded: the server answered {error.code} {error.reason}."


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


def _digest_parts(prefix: str) -> tuple[str, str]:
    """Split the digest that a caller of `fetch` names: the function's name, and the digits."""
    return ("SHA-256", prefix.removeprefix(SHA256)) if prefix.startswith(SHA256) else ("MD5", prefix)


def _digest_fits(path: Path, prefix: str) -> bool:
    """Whether the file's digest begins with these hexadecimal digits; true of every file where there are none."""
    kind, digits = _digest_parts(prefix)
    if not digits:
        return True
    with path.open("rb") as file:
        digest = hashlib.file_digest(
            file, hashlib.sha256 if kind == "SHA-256" else lambda: hashlib.md5(usedforsecurity=False)
        )
    return digest.hexdigest().startswith(digits.lower())


def _sentence(error: OSError, path: Path, name: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{name} does not fit: the disk that holds {path.parent} is full."
    if isinstance(error, socket.timeout | urllib.error.URLError):
        return f"{name} cannot be downloaded: the network does not answer."
    return f"{name} cannot be written to {path.parent}: {error.strerror or error}."
