"""A real MLflow server on this machine: artifacts go through it, in both directions."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from odits.core.files import file_digest
from odits.tracking.mlflow_client import local_database, open_mlflow
from odits.tracking.pulling import pull
from odits.tracking.sources import make_tracker, open_store

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def serve(database: Path, artifacts: Path, command: str = "server") -> Iterator[str]:
    """Run an MLflow server of the test's own over a SQLite file; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    arguments = [sys.executable, "-m", "mlflow", command, "--backend-store-uri", f"sqlite:///{database}"]
    arguments += ["--artifacts-destination", str(artifacts), "--host", "127.0.0.1", "--workers", "1"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    log_file = artifacts.with_name("server.log")
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*arguments, "--port", address.rpartition(":")[2]],
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
            pytest.fail(log_file.read_text()[-2000:])
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)
        process.wait(20)


@pytest.fixture
def server(empty_store: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a server with nothing in it."""
    with sqlite3.connect(empty_store) as source, sqlite3.connect(tmp_path / "server.db") as copy:
        source.backup(copy)
    with serve(tmp_path / "server.db", tmp_path / "artifacts") as address:
        yield address


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


def test_logged_models_of_a_server_and_an_experiment_of_it_that_is_gone(
    server: str, weights: Callable[[float], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything goes over HTTP; the folder in which one stands stays empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    client = open_mlflow().client
    gone = client.create_run(client.create_experiment("gone", artifact_location="gs://gone/signs")).info.run_id
    run = client.create_run(client.create_experiment("theirs")).info
    model = client.create_logged_model(run.experiment_id, "signs", run.run_id)
    client.log_model_artifact(model.model_id, str(weights(1.0)))
    client.create_registered_model("registered")
    client.create_model_version("registered", f"models:/{model.model_id}", run.run_id, model_id=model.model_id)
    client.set_registered_model_alias("registered", "champion", "1")
    store = open_store()
    found = {item.id: item for item in store.list().runs}
    assert "google-cloud-storage" in found[gone].problem
    assert [item.name for item in found[run.run_id].checkpoints] == [f"signs/{weights(1.0).name}"]
    for reference in (f"models:/{model.model_id}", "models:/registered@champion", f"runs:/{run.run_id}/signs"):
        assert file_digest(pull(store, store.find(reference))) == file_digest(weights(1.0))
    assert list(Path().iterdir()) == []


def test_mlflow_ui_shows_the_runs_that_the_list_shows(
    mlflow_home: Path, weights: Callable[[float], Path], tmp_path: Path
) -> None:
    """The line of docs/results.md: mlflow ui --backend-store-uri sqlite:///$ODITS_HOME/mlflow/mlflow.db ."""
    store = open_store()
    pushed = [store.push(weights(value), f"run {value}") for value in (1.0, 2.0)]
    listed = store.list().runs
    with serve(local_database(), tmp_path / "artifacts", "ui") as address:
        experiments = [item["experiment_id"] for item in _post(address, "experiments/search", {"max_results": 10})]
        found = _post(address, "runs/search", {"experiment_ids": experiments, "max_results": 10})
        assert {item["info"]["run_id"] for item in found} == {item.run for item in pushed} == {run.id for run in listed}
        by_server = open_store(f"mlflow:{address}").list().runs
        assert [(run.id, run.name, run.status) for run in by_server] == [
            (run.id, run.name, run.status) for run in listed
        ]
        assert [[item.name for item in run.checkpoints] for run in by_server] == [
            [item.name for item in run.checkpoints] for run in listed
        ]


def _post(address: str, call: str, question: dict[str, Any]) -> list[Any]:
    """Ask MLflow's REST interface; return the list that it answers with."""
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/{call}", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found = json.load(answer)
    return list(found[call.partition("/")[0]])
