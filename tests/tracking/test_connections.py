"""Servers that are down or silent, credentials, and what the command line says about them."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from odits.core.errors import StoreError
from odits.tracking.connections import read_secrets, redact
from odits.tracking.neptune_store import project_name, server_address
from odits.tracking.sources import make_tracker, open_store
from odits.tracking.store import TrackingError

PASSWORD = "hunter2-is-secret"


@pytest.fixture
def dead_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield int(server.getsockname()[1])


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine's own, and a working folder without secrets."""
    for name in (
        "MLFLOW_TRACKING_URI",
        "NEPTUNE_API_TOKEN",
        "NEPTUNE_PROJECT",
        "NEPTUNE_MODE",
        "http_proxy",
        "HTTP_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def _token(port: int) -> str:
    address = f"http://127.0.0.1:{port}"
    return base64.b64encode(json.dumps({"api_address": address, "api_url": address, "api_key": "k"}).encode()).decode()


def test_a_dead_server_is_one_sentence_at_once(dead_port: int) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError, match="cannot be reached; what is on this machine can still be used") as caught:
        open_store(f"mlflow:http://user:{PASSWORD}@127.0.0.1:{dead_port}").list()
    assert time.monotonic() - began < 10
    assert PASSWORD not in str(caught.value) and "\n" not in str(caught.value)


def test_a_silent_server_is_one_sentence_in_time(silent_port: int) -> None:
    import mlflow  # noqa: F401  (what is measured is the waiting, not the import on a busy machine)

    began = time.monotonic()
    with pytest.raises(StoreError, match="does not answer as it should") as caught:
        open_store(f"mlflow:http://user:{PASSWORD}@127.0.0.1:{silent_port}").list()
    assert time.monotonic() - began < 10
    assert PASSWORD not in str(caught.value) and caught.value.__cause__ is None


def test_a_tracker_without_its_server_says_so(dead_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrackingError, match="cannot be reached"):
        make_tracker(f"mlflow:http://127.0.0.1:{dead_port}").start("run", {}, {})
    monkeypatch.setenv("NEPTUNE_API_TOKEN", _token(dead_port))
    with pytest.raises(TrackingError, match=f"The Neptune server http://127.0.0.1:{dead_port} cannot be reached"):
        make_tracker("neptune:team/signs").start("run", {}, {})


def test_a_dead_neptune_server(dead_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    token = _token(dead_port)
    monkeypatch.setenv("NEPTUNE_API_TOKEN", token)
    began = time.monotonic()
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        open_store("neptune:team/signs").list()
    assert time.monotonic() - began < 10 and token not in str(caught.value)


def test_neptune_without_a_token_a_project_or_with_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="Neptune needs NEPTUNE_API_TOKEN"):
        open_store("neptune:team/signs").list()
    with pytest.raises(StoreError, match="Name the Neptune project"):
        open_store("neptune").list()
    monkeypatch.setenv("NEPTUNE_API_TOKEN", "nonsense-but-secret")
    with pytest.raises(StoreError, match="is no token of Neptune's") as caught:
        open_store("neptune:team/signs").list()
    assert "nonsense" not in str(caught.value)


def test_secrets_come_from_streamlit_s_file_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".streamlit").mkdir()
    secrets = f'NEPTUNE_API_TOKEN = "{_token(1)}"\nNEPTUNE_PROJECT = "team/signs"\nOTHER = "x"\n'
    (tmp_path / ".streamlit" / "secrets.toml").write_text(secrets)
    for name in ("NEPTUNE_API_TOKEN", "NEPTUNE_PROJECT"):
        monkeypatch.setenv(name, "")  # so that the test's end puts the environment back
        monkeypatch.delenv(name)
    assert server_address() == "http://127.0.0.1:1"
    assert project_name("") == "team/signs" and "OTHER" not in os.environ
    monkeypatch.setenv("NEPTUNE_PROJECT", "mine/first")
    read_secrets()
    assert project_name("") == "mine/first"


def test_redact_takes_out_users_and_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc123")
    text = redact(f"https://me:{PASSWORD}@host:5000/x and postgresql://u:p@ss@db/y said abc123")
    assert text == "https://***@host:5000/x and postgresql://***@db/y said ***"


def test_the_command_line_says_one_line_and_no_password(dead_port: int, tmp_path: Path) -> None:
    program = "from odits.cli.checkpoints import app\nfrom odits.core.errors import OditsError\nimport sys\n"
    program += "try:\n    app()\nexcept OditsError as error:\n    sys.exit(f'odits: {error}')\n"
    command = [sys.executable, "-c", program, "list", "--json", "--source"]
    root = str(Path(__file__).parents[2])
    found = subprocess.run(
        [*command, f"mlflow:http://me:{PASSWORD}@127.0.0.1:{dead_port}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    assert found.stdout == "" and PASSWORD not in found.stderr
    assert found.stderr.startswith("odits: The MLflow server http://***@127.0.0.1") and found.stderr.count("\n") == 1


def test_a_server_that_dies_during_a_run_does_not_stop_it(
    silent_port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    from odits.tracking.mlflow_client import Mlflow
    from odits.tracking.mlflow_store import MlflowRun

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    address = f"http://me:{PASSWORD}@127.0.0.1:{silent_port}"
    run = MlflowRun(Mlflow(MlflowClient(address), address, "mlflow", "The MLflow server"), "abc", resumed=False)
    with caplog.at_level(logging.WARNING, logger="odits"):
        run.metrics({"loss": 1.0}, 1)
    began = time.monotonic()
    for step in range(2, 50):
        run.metrics({"loss": 1.0}, step)
    assert time.monotonic() - began < 1, "while the server is away, nothing waits for it"
    with contextlib.suppress(TrackingError):
        run.finish("finished")
    with pytest.raises(TrackingError, match="lacks 51 entries of run abc") as caught:
        run.finish("finished")
    said = caplog.text + str(caught.value)
    assert "what is logged waits for it" in said and PASSWORD not in said
