"""A server of the explorer for benchmarks, tests and screenshots: a free port, and waiting until it answers."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from pathlib import Path

_WAIT_S = 120.0


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def wait_until_served(
    address: str, process: subprocess.Popen[bytes], log: Path | None = None, pause_s: float = 0.2
) -> None:
    """Wait until a Streamlit server answers.

    Args:
        address: of the server, without a path.
        process: the server's.
        log: where it writes.
        pause_s: seconds between two questions.

    Raises:
        RuntimeError: it ended, or did not answer within two minutes; with what it wrote.
    """
    ends = time.monotonic() + _WAIT_S
    while True:
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > ends:
                wrote = log.read_text(errors="replace") if log is not None else ""
                raise RuntimeError(f"The server at {address} does not answer.\n{wrote}") from None
            time.sleep(pause_s)
