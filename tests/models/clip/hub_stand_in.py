"""A server on this machine that answers as the Hugging Face hub does, as far as a download goes."""

from __future__ import annotations

import hashlib
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.loopback import HERE

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 10_000
"""Bytes from which a file is one of LFS: redirected to another place, and called by its SHA-256."""
PART = 1 << 18


class HubStandIn(ThreadingHTTPServer):
    """The hub: files by "ORG/NAME/FILE", and what shall go wrong.

    Attributes:
        files: what there is.
        status: answer every request for a file with this status, and with `error_code`.
        cut_after: send so many bytes of a large file once, then hang up.
        damaged: send other bytes than the digest says.
        pause: seconds between two parts of 256 KiB of a large file, so that a download can be stopped.
        size: of every large file, as it is announced and not sent; for a disk that has no room for it.
        asked: method, path and range of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(HERE, _Handler)
        self.files: dict[str, bytes] = {}
        self.status, self.error_code = 200, ""
        self.cut_after: int | None = None
        self.damaged = False
        self.pause = 0.0
        self.size = 0
        self.asked: list[tuple[str, str, str | None]] = []

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of these tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def storage(self) -> str:
        """Where large files lie: on another host, as the client sees it."""
        return f"http://localhost:{self.server_address[1]}"

    def downloads(self) -> list[tuple[str, str | None]]:
        """The large files that were asked for, and their ranges."""
        return [(path, wanted) for method, path, wanted in self.asked if method == "GET" and path.startswith("/lfs/")]


class _Handler(BaseHTTPRequestHandler):
    server: HubStandIn
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(None)

    def _answer(self, nothing: bytes | None) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append((self.command, self.path, wanted))
        if self.path == "/":
            self._send(200, {}, b"")
            return
        if self.path.startswith("/lfs/"):
            self._send_large(self.path.removeprefix("/lfs/"), wanted)
            return
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        repository, revision, file = found.groups() if found else ("", "", "")
        if server.status != 200:
            self._send(server.status, {"X-Error-Code": server.error_code} if server.error_code else {}, b"")
        elif not any(name.startswith(f"{repository}/") for name in server.files):
            self._send(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b"")
        elif revision not in ("main", COMMIT):
            self._send(404, {"X-Error-Code": "RevisionNotFound"}, b"")
        elif f"{repository}/{file}" not in server.files:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b"")
        else:
            self._send_file(f"{repository}/{file}", nothing)

    def _send_file(self, name: str, nothing: bytes | None) -> None:
        data = self.server.files[name]
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{git}"'}
        if len(data) < LARGE:
            self._send(200, headers, data if nothing is None else nothing, len(data))
            return
        size, digest = self.server.size or len(data), hashlib.sha256(data).hexdigest()
        linked = {"X-Linked-Size": str(size), "X-Linked-ETag": f'"{digest}"'}
        self._send(302, headers | linked | {"Location": f"{self.server.storage}/lfs/{name}"}, b"")

    def _send_large(self, name: str, wanted: str | None) -> None:
        data = self.server.files[name]
        if self.server.damaged:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = int(re.match(r"bytes=(\d+)-", wanted).group(1)) if wanted else 0  # type: ignore[union-attr]
        ranged = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if wanted else {}
        ranged |= {"Connection": "close"}
        rest, self.server.cut_after = data[start : start + (self.server.cut_after or len(data))], None
        self._send(206 if wanted else 200, ranged, b"", self.server.size or len(data) - start)
        if self.command == "GET":
            for place in range(0, len(rest), PART):
                self.wfile.write(rest[place : place + PART])
                time.sleep(self.server.pause)
        self.close_connection = True

    def _send(self, status: int, headers: dict[str, str], data: bytes, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
