"""Downloads against a real server on this machine: whole, resumed, cut off, damaged, refused."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from odits.core import downloads as weights
from odits.core.downloads import DamagedError, WeightsError, fetch, free_bytes, size_of
from odits.core.errors import OditsError, StoppedError
from tests.loopback import HERE, running

BODY = bytes(range(256)) * 20_000  # 5 MB
DIGEST = hashlib.md5(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """A server whose behaviour a test chooses, and which remembers the ranges it was asked for."""

    daemon_threads = True
    ranges = True
    cut_after: int | None = None
    delay = 0.0
    status = 200
    body = BODY
    claimed: int | None = None
    elsewhere = ""

    def __init__(self) -> None:
        super().__init__(HERE, Handler)
        self.asked: list[str | None] = []
        self.logins: list[tuple[str, str | None]] = []

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of these tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/weights.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.logins.append((self.headers["Host"].partition(":")[0], self.headers.get("Authorization")))
        if server.elsewhere and not self.path.startswith("/there"):
            self.send_response(302)
            self.send_header("Location", f"{server.elsewhere}/there")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        server.asked.append(wanted)
        time.sleep(server.delay)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = int(re.match(r"bytes=(\d+)-", wanted).group(1)) if wanted and server.ranges else 0  # type: ignore[union-attr]
        if wanted and server.ranges and start >= len(server.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        rest = server.body[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.body) - 1}/{len(server.body)}")
        self.send_header("Content-Length", str(server.claimed or len(rest)))
        self.end_headers()
        self.wfile.write(rest[: server.cut_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    with running(made):
        yield made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "weights.pth"


def part_of(target: Path) -> Path:
    return target.with_name("weights.pth.part")


def test_a_whole_download(server: Server, target: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert fetch(server.url, target, DIGEST[:6], lambda done, total: seen.append((done, total))) == target
    assert target.read_bytes() == BODY and not part_of(target).exists()
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_file_that_is_here_is_not_fetched_again(server: Server, target: Path) -> None:
    fetch(server.url, target, DIGEST[:6])
    fetch(server.url, target, DIGEST[:6])
    assert len(server.asked) == 1


def test_a_damaged_file_that_is_here_is_replaced(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"broken")
    fetch(server.url, target, DIGEST[:6])
    assert target.read_bytes() == BODY


def test_a_download_that_broke_off_goes_on(server: Server, target: Path) -> None:
    server.cut_after = 1_500_000
    with pytest.raises(WeightsError, match="broke off after"):
        fetch(server.url, target, DIGEST[:6])
    assert not target.exists()
    here = part_of(target).stat().st_size
    assert 0 < here <= 1_500_000
    server.cut_after = None
    seen: list[tuple[int, int]] = []
    fetch(server.url, target, DIGEST[:6], lambda done, total: seen.append((done, total)))
    assert server.asked == [None, f"bytes={here}-"]
    assert seen[0] == (here, len(BODY))
    assert target.read_bytes() == BODY


def test_a_server_without_ranges_starts_over(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(BODY[:1000])
    server.ranges = False
    fetch(server.url, target, DIGEST[:6])
    assert target.read_bytes() == BODY


def test_a_part_of_another_file_starts_over(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 1000)
    fetch(server.url, target, DIGEST[:6])
    assert target.read_bytes() == BODY
    assert server.asked == ["bytes=1000-", None]


@pytest.mark.parametrize("extra", [b"", b"more than there is"])
def test_a_part_that_is_complete_or_too_long(server: Server, target: Path, extra: bytes) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(BODY + extra)
    fetch(server.url, target, DIGEST[:6])
    assert target.read_bytes() == BODY


def test_a_wrong_digest(server: Server, target: Path) -> None:
    with pytest.raises(WeightsError, match="damaged"):
        fetch(server.url, target, "000000")
    assert not target.exists()
    fetch(server.url, target, DIGEST[:6])
    assert target.read_bytes() == BODY


def test_an_error_of_the_server(server: Server, target: Path) -> None:
    server.status = 404
    with pytest.raises(WeightsError, match="404"):
        fetch(server.url, target, DIGEST[:6])
    assert not target.exists()


def test_nobody_there(target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(WeightsError, match="cannot be reached") as caught:
        fetch(f"http://127.0.0.1:{port}/weights.pth", target, DIGEST[:6])
    assert time.monotonic() - start < 5.5
    assert "\n" not in str(caught.value)


def test_a_server_that_does_not_answer(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.TIMEOUT_S == 5.0
    monkeypatch.setattr(weights, "TIMEOUT_S", 0.3)
    server.delay = 2.0
    start = time.monotonic()
    with pytest.raises(WeightsError, match="cannot be reached"):
        fetch(server.url, target, DIGEST[:6])
    assert time.monotonic() - start < 1.5


def test_a_full_disk(server: Server, target: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is Linux's")
    target.parent.mkdir()
    part_of(target).symlink_to("/dev/full")
    with pytest.raises(OditsError, match=r"disk that holds .* is full"):
        fetch(server.url, target, DIGEST[:6])
    assert not target.exists()


def test_a_second_download_of_the_same_file_waits_for_its_turn(server: Server, target: Path) -> None:
    pytest.importorskip("fcntl")
    server.delay = 1.0
    first = threading.Thread(target=fetch, args=(server.url, target, DIGEST[:6]))
    first.start()
    time.sleep(0.4)
    with pytest.raises(WeightsError, match="already being downloaded"):
        fetch(server.url, target, DIGEST[:6], patience_s=0)
    assert fetch(server.url, target, DIGEST[:6]) == target, "it waits for the other"
    first.join()
    assert target.read_bytes() == BODY and server.asked == [None]
    assert [path.name for path in target.parent.iterdir()] == ["weights.pth"], "no lock and no part is left"


def test_other_schemes_are_refused(target: Path) -> None:
    with pytest.raises(WeightsError, match="http"):
        fetch("file:///etc/passwd", target)


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match=r"weights\.pth"):
        fetch(server.url, tmp_path / "file" / "weights.pth")


SHA = "sha256:" + hashlib.sha256(BODY).hexdigest()


def test_sha256_is_checked_too(server: Server, target: Path) -> None:
    with pytest.raises(DamagedError, match="SHA-256 does not begin with 000000000000;"):
        fetch(server.url, target, "sha256:" + "0" * 64)
    assert not target.exists()
    assert fetch(server.url, target, SHA).read_bytes() == BODY


def test_a_stopped_download_goes_on_from_there(server: Server, target: Path) -> None:
    def stop(done: int, _total: int) -> None:
        if done > 2_000_000:
            raise StoppedError("Stopped.")

    with pytest.raises(StoppedError):
        fetch(server.url, target, SHA, stop)
    here = part_of(target).stat().st_size
    assert 2_000_000 < here < len(BODY) and not target.exists()
    assert fetch(server.url, target, SHA).read_bytes() == BODY
    assert server.asked == [None, f"bytes={here}-"]


def test_a_connection_that_breaks_off_again_and_again(server: Server, target: Path) -> None:
    server.cut_after = 1_500_000
    assert fetch(server.url, target, SHA, retries=1).read_bytes() == BODY
    assert server.asked == [None, *(f"bytes={1_500_000 * times}-" for times in (1, 2, 3))]
    server.cut_after, server.asked = 0, []
    with pytest.raises(WeightsError, match="broke off after 0 of"):
        fetch(server.url, target.with_name("another"), SHA, retries=2)
    assert len(server.asked) == 3, "nothing came in three tries"


def test_a_file_that_the_disk_has_no_room_for_is_not_begun(server: Server, target: Path) -> None:
    server.claimed = 10**15
    with pytest.raises(WeightsError, match=r"the model does not fit: 1,000,000,000 MB are still to come, and the disk"):
        fetch(server.url, target, SHA, name="the model")
    assert not target.exists() and part_of(target).stat().st_size == 0
    assert 0 < free_bytes(target) < 10**15, "of a folder that is not there yet"


def test_a_login_stays_with_the_host_it_is_for(server: Server, target: Path) -> None:
    server.elsewhere = server.url.replace("127.0.0.1", "localhost").rpartition("/")[0]
    assert fetch(server.url, target, SHA, headers={"Authorization": "Bearer secret"}).read_bytes() == BODY
    assert server.logins == [("127.0.0.1", "Bearer secret"), ("localhost", None)]


def test_the_size_is_asked_without_a_download(server: Server) -> None:
    assert size_of(server.url, "weights") == len(BODY) and not server.asked
    server.status = 404
    with pytest.raises(WeightsError, match="weights cannot be downloaded: the server answered 404"):
        size_of(server.url, "weights")
    with pytest.raises(WeightsError, match="cannot be reached"):
        size_of("http://127.0.0.1:9/weights.pth", "weights")
