"""A real MLflow server on this machine: artifacts go through it, in both directions."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from odits.core.files import file_digest
from odits.tracking.pulling import pull
from odits.tracking.sources import make_tracker, open_store

pytestmark = pytest.mark.slow


@pytest.fixture
def server(empty_store: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a server of the test's own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with sqlite3.connect(empty_store) as source, sqlite3.connect(tmp_path / "server.db") as copy:
        source.backup(copy)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts"), "--host", "127.0.0.1", "--workers", "1"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", address.rpartition(":")[2]],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.3)
        else:
            pytest.fail((tmp_path / "server.log").read_text()[-2000:])
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(20)


def test_a_run_goes_through_a_server_and_back(
    server: str, weights: Callable[[float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    run = make_tracker("mlflow").start("remote", {"seed": 0}, {})
    run.metrics({"loss": 0.5}, 1)
    run.checkpoint(weights(1.0), "best", {"epoch": "1"})
    run.finish("finished")
    store = open_store("mlflow")
    found = store.list().runs[0]
    assert (found.id, found.metrics, found.checkpoints[0].metadata) == (run.id, {"loss": 0.5}, {"epoch": "1"})
    seen: list[tuple[int, int]] = []
    path = pull(store, store.find(f"runs:/{run.id}/best"), lambda done, total: seen.append((done, total)))
    size = weights(1.0).stat().st_size
    assert file_digest(path) == file_digest(weights(1.0)) and seen[-1] == (size, size)
    assert store.push(weights(2.0), "mine", run.id).digest == file_digest(weights(2.0))
