"""Addresses that strangers make: every parameter of every page with values that reach for hosts, files and models.

First each value is sorted as a page sorts it; then whole pages run with some of them. Python's own audit events say
what was contacted and what was opened: a connection, or a file of the folder that the values name, is let in.
"""

from __future__ import annotations

import json
import random
import string
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from streamlit.testing.v1 import AppTest

from benchmarks._reliability.part import Part, PartProgress
from benchmarks.reporting import own_home
from pages._shared.parameters import PARAMETERS, sort_address

ROOT = Path(__file__).parents[2]
PAGES = ("words", "browse", "search", "objects", "explain", "counts", "models", "checkpoints", "data")
FULL, QUICK = 1000, 30
"""Values for each parameter."""
QUICK_S, FULL_S = 35.0, 3600.0
"""For whole pages."""
_MARKUP = (
    *("**bold**", "<img src=x onerror=alert(1)>", "$x^2$", ":smile:", "[a](http://b)"),
    *("\u202eabc", "\x00", "\x1b[31m"),
)


class Watch:
    """What the audit events of Python say happened, while it is on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on = str(folder), False
        self.contacts: list[str] = []
        self.opened: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "socket.connect" and not isinstance(arguments[1], str | bytes):
            self.contacts.append(str(arguments[1]))
        elif event in ("open", "sqlite3.connect", "os.listdir", "os.scandir") and self.folder in str(arguments[0]):
            self.opened.append(f"{event} {arguments[0]}")

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Listen during the block."""
        self.on = True
        try:
            yield
        finally:
            self.on = False


def values(draw: random.Random, host: str, folder: Path) -> Iterator[str]:
    """Yield values of every kind without end."""
    reaching = (
        host,
        f"{host}/api/2.0/mlflow/experiments/search",
        f"mlflow:{host}",
        f"http://owner:secret@{host.removeprefix('http://')}",
        f"sqlite:///{folder}/theirs.db",
        f"file://{folder}",
        str(folder),
        f"{folder}/model.safetensors",
        f"local-dir:{folder}",
        f"sam:{folder}/model.pth",
        f"spotting:{folder}",
        "hf-hub:somebody/else",
        "../../../../etc/passwd",
        "~/.ssh/id_rsa",
        "//host/share",
        "runs:/0123/model",
        "models:/name@alias",
    )
    plain = ("0", "-1", "1e9", "nan", "inf", "True", "False", "", " ", "a" * 300, "x" * 4000, "1-2", "5-1")
    alphabet = string.printable + "äöüß漢字\u200b\u202e\U0001f600"
    while True:
        kind = draw.randrange(4)
        if kind == 0:
            yield draw.choice(reaching)
        elif kind == 1:
            yield draw.choice(plain)
        elif kind == 2:
            yield draw.choice(_MARKUP)
        else:
            yield "".join(draw.choices(alphabet, k=draw.randrange(1, 60)))


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Try addresses; a connection, a file opened or a traceback is a violation, named with its address."""
    draw = random.Random(seed)
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as name, own_home(), _recorder() as host:
        folder = Path(name)
        (folder / "theirs.db").write_bytes(b"SQLite format 3\0" + bytes(84))
        (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
        before = _listed(folder)
        watch = Watch(folder)
        drawn = values(draw, host, folder)
        each = QUICK if quick else FULL
        total = len(PARAMETERS) * each
        crashed = worst = 0.0
        tried = 0
        for parameter in PARAMETERS:
            for _ in range(each):
                address = {parameter: next(drawn)}
                began = time.monotonic()
                crashed += _fails(watch, address, partial(sort_address, address), notes)
                worst = max(worst, time.monotonic() - began)
                tried += 1
            progress(tried, total)
        until = time.monotonic() + (QUICK_S if quick else FULL_S)
        while time.monotonic() < until:
            page = PAGES[tried % len(PAGES)]
            address = {one: next(drawn) for one in draw.sample(sorted(PARAMETERS), k=draw.randrange(1, 6))}
            crashed += _fails(watch, {"page": page, **address}, partial(_run_page, page, address), notes)
            tried += 1
        let_in = len(watch.contacts) + len(watch.opened) + (_listed(folder) != before)
        notes += [f"contacted: {one}" for one in watch.contacts[:5]] + [f"opened: {one}" for one in watch.opened[:5]]
    return Part("links", tried, 0, let_in, int(crashed), worst, 0, tuple(notes[:20]))


def _fails(watch: Watch, address: dict[str, str], work: Callable[[], Any], notes: list[str]) -> bool:
    try:
        with watch.looking():
            work()
    except Exception as error:
        notes.append(f"{type(error).__name__}: {error!s:.120} with {json.dumps(address)[:300]}")
        return True
    return False


def _run_page(page: str, address: dict[str, str]) -> None:
    app = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=120)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    if app.exception:
        raise RuntimeError(app.exception[0].message)


def _listed(folder: Path) -> list[tuple[str, bytes]]:
    return sorted((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())


@contextmanager
def _recorder() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
