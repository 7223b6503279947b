"""Servers on this machine that stand in for others, for as long as a block runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

HERE = ("127.0.0.1", 0)
"""This machine, and a port that is free."""


@contextmanager
def running(server: HTTPServer) -> Iterator[str]:
    """Let a server answer during the block, which gets its address."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler] | Any) -> Iterator[str]:
    """Let a handler answer during the block, which gets its address."""
    with running(ThreadingHTTPServer(HERE, handler)) as address:
        yield address
