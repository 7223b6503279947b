"""MLflow with experiments whose artifacts are gone: their runs are listed with the reason, and nothing else suffers."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from odits.cli.checkpoints import app
from odits.core.errors import StoreError
from odits.core.files import file_digest
from odits.tracking import mlflow_artifacts
from odits.tracking.mlflow_artifacts import store_of
from odits.tracking.mlflow_client import local_database, open_mlflow
from odits.tracking.pulling import pull
from odits.tracking.sources import open_store
from tests.loopback import serving

Make = Callable[[float], Path]


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No login of the machine's own, and no search for one in the network."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of an artifact server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/api/2.0/mlflow-artifacts/artifacts"


def make_run(client: Any, name: str, location: str, file: Path | None = None) -> str:
    """Make a run of an experiment of its own; the client of somebody else's trainer leaves no tag about its files."""
    run: str = client.create_run(client.create_experiment(name, artifact_location=location), run_name=name).info.run_id
    if file is not None:
        client.log_artifact(run, str(file), "weights")
    client.set_terminated(run)
    return run


GONE = {
    "bucket": ("gs://gone/signs", "gs://gone/signs needs the Python package google-cloud-storage"),
    "cluster": ("hdfs://namenode:9000/signs", "hdfs://namenode:9000/signs does not open"),
    "server": ("mlflow-artifacts:/signs", "mlflow-artifacts:/signs is behind an MLflow server: name that"),
    "credentials": ("s3://gone/signs", "s3://gone/signs needs AWS_ACCESS_KEY_ID"),
    "unknown": ("nowhere://gone/signs", "nowhere://gone/signs is an address that MLflow knows no way to open"),
}


def test_three_experiments_that_are_gone_and_one_good(mlflow_home: Path, weights: Make, tmp_path: Path) -> None:
    client = open_mlflow().client
    for name in ("bucket", "server", "credentials"):
        make_run(client, name, GONE[name][0])
    good = make_run(client, "good", (tmp_path / "good").as_uri(), weights(1.0))
    client.create_registered_model("signs")
    client.create_model_version("signs", f"runs:/{good}/weights/{weights(1.0).name}", good)
    client.set_registered_model_alias("signs", "champion", "1")
    began = time.monotonic()
    result = CliRunner().invoke(app, ["list", "--json"], catch_exceptions=False)
    assert time.monotonic() - began < 10
    listed = {run["name"]: run for run in json.loads(result.stdout)["runs"]}
    assert set(listed) == {"bucket", "server", "credentials", "good"}
    for name in ("bucket", "server", "credentials"):
        assert GONE[name][1] in listed[name]["problem"] and not listed[name]["checkpoints"]
    (checkpoint,) = listed["good"]["checkpoints"]
    for reference in (checkpoint["reference"], f"runs:/{checkpoint['reference']}", "models:/signs@champion"):
        pulled = CliRunner().invoke(app, ["pull", reference, "--json"], catch_exceptions=False)
        assert json.loads(pulled.stdout)["digest"] == file_digest(weights(1.0)), reference


@pytest.mark.parametrize("name", GONE)
def test_the_reason_is_a_sentence_wherever_it_is_asked_for(
    name: str, mlflow_home: Path, weights: Make, tmp_path: Path
) -> None:
    location, said = GONE[name]
    client = open_mlflow().client
    gone = make_run(client, name, location)
    good = make_run(client, "good", (tmp_path / "good").as_uri(), weights(1.0))
    listing = open_store().list()
    by_id = {run.id: run for run in listing.runs}
    assert said in by_id[gone].problem and "\n" not in by_id[gone].problem
    assert by_id[good].checkpoints and not by_id[good].problem
    assert [warning for warning in listing.warnings if gone in warning and said in warning]
    shown = open_store().run(gone)
    assert said in shown.problem and shown.name == name
    with pytest.raises(StoreError, match="is out of reach"):
        open_store().find(f"{gone}/best")


def test_silent_places_cost_five_seconds_together(
    mlflow_home: Path, silent: str, weights: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_artifacts, "SILENT_S", 1.0)
    client = open_mlflow().client
    gone = [make_run(client, f"silent {number}", f"{silent}/{number}") for number in range(6)]
    several = client.get_run(gone[0]).info.experiment_id
    gone += [client.create_run(several).info.run_id for _ in range(10)]
    good = make_run(client, "good", (tmp_path / "good").as_uri(), weights(1.0))
    began = time.monotonic()
    found = {run.id: run for run in open_store().list().runs}
    assert time.monotonic() - began < 3
    assert found[good].checkpoints
    assert all("does not answer within 1 s" in found[run].problem for run in gone)


@pytest.fixture
def slow(weights: Make) -> Iterator[str]:
    """The address of an artifact server that takes two seconds for each list of files."""
    content = weights(1.0).read_bytes()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = content
            if "?" in self.path or not self.path.endswith("best.safetensors"):
                time.sleep(2)
                one = {"path": "best.safetensors", "is_dir": False, "file_size": len(content)}
                answer = json.dumps({"files": [one]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Slow) as address:
        yield f"{address}/api/2.0/mlflow-artifacts/artifacts/signs"


@pytest.mark.slow
def test_a_slow_place_is_waited_for_where_one_run_is_asked_for(
    mlflow_home: Path, weights: Make, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_artifacts, "SILENT_S", 1.0)
    run = make_run(open_mlflow().client, "slow", slow)
    (listed,) = open_store().list().runs
    assert "does not answer within 1 s; `odits checkpoints show RUN` waits longer" in listed.problem
    shown = open_store().run(run)
    assert [item.name for item in shown.checkpoints] == ["best.safetensors"] and not shown.problem
    store = open_store()
    assert file_digest(pull(store, store.find(f"{run}/best.safetensors"))) == file_digest(weights(1.0))


@pytest.mark.slow
def test_a_silent_place_ends_the_pull_of_one_run_with_a_sentence(
    mlflow_home: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_artifacts, "PATIENT_S", 2.0)
    run = make_run(open_mlflow().client, "gone", silent)
    with pytest.raises(StoreError, match="does not answer within 2 s"):
        open_store().find(run)


def test_a_place_that_refuses_is_not_asked_for_each_of_its_runs(mlflow_home: Path) -> None:
    asked: list[str] = []
    mlflow = open_mlflow()
    roots = [f"gs://gone/signs/{number:032x}/artifacts" for number in range(500)]
    answer = mlflow_artifacts._answer

    def count(mlflow: Any, root: str) -> Any:
        asked.append(root)
        return answer(mlflow, root)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlflow_artifacts, "_answer", count)
        answers = mlflow_artifacts.list_roots(mlflow, roots)
    assert set(answers) == set(roots) and len(set(answers.values())) == 1
    assert len(asked) < 20


def test_a_moved_folder_is_named_and_one_never_filled_is_not(mlflow_home: Path, weights: Make, tmp_path: Path) -> None:
    client = open_mlflow().client
    moved = make_run(client, "moved", (tmp_path / "old").as_uri(), weights(1.0))
    shutil.move(tmp_path / "old", tmp_path / "elsewhere")
    fresh = make_run(client, "fresh", (local_database().parent / "artifacts" / "fresh").as_uri())
    found = {run.id: run for run in open_store().list().runs}
    assert f"the folder {tmp_path / 'old'} is not there: it was moved" in found[moved].problem
    assert not found[fresh].problem and not found[fresh].checkpoints


def test_a_checkpoint_of_ours_whose_place_is_gone_is_listed_with_the_reason(
    mlflow_home: Path, weights: Make, tmp_path: Path
) -> None:
    mlflow = open_mlflow()
    experiment = mlflow.client.create_experiment("odits", artifact_location=(tmp_path / "old").as_uri())
    store = open_store()
    first, second = store.push(weights(1.0), "first"), store.push(weights(2.0), "second")
    assert mlflow.client.get_run(first.run).info.experiment_id == experiment
    shutil.rmtree(tmp_path / "old")
    found = store.list().runs
    assert {run.id for run in found} == {first.run, second.run}
    assert all(run.checkpoints and "is not there" in run.problem for run in found)
    with pytest.raises(StoreError, match="was moved or removed"):
        pull(store, store.find(first.reference))


def test_a_store_that_was_moved_with_its_artifacts_still_has_them(
    mlflow_home: Path, weights: Make, tmp_path: Path
) -> None:
    """MLflow's addresses are absolute; https://github.com/mlflow/mlflow/issues/3144 ."""
    pushed = open_store().push(weights(1.0), "mine")
    shutil.move(mlflow_home / "mlflow", tmp_path / "taken along")
    store = open_store(f"mlflow:{tmp_path / 'taken along' / 'mlflow.db'}")
    (run,) = store.list().runs
    assert not run.problem and run.id == pushed.run
    assert file_digest(pull(store, run.checkpoints[0])) == file_digest(weights(1.0))


def test_roots_of_one_experiment_are_one_place() -> None:
    assert (
        store_of("s3://bucket/signs/4f1a/artifacts")
        == store_of("s3://bucket/signs/77/artifacts/")
        == "s3://bucket/signs"
    )
    assert store_of("/mlruns/0/models/m-4f/artifacts") == store_of("/mlruns/0/4f/artifacts") == "/mlruns/0"


def test_an_experiment_that_may_not_be_read_hides_no_other(
    mlflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    client = open_mlflow().client
    make_run(client, "theirs", (tmp_path / "theirs").as_uri())
    theirs = client.get_experiment_by_name("theirs").experiment_id
    mine = make_run(client, "mine", (tmp_path / "mine").as_uri())
    search = SqlAlchemyStore.search_runs

    def refuse(self: Any, experiment_ids: list[str], **options: Any) -> Any:
        if theirs in experiment_ids:
            raise MlflowException("Permission denied", PERMISSION_DENIED)
        return search(self, experiment_ids=experiment_ids, **options)

    monkeypatch.setattr(SqlAlchemyStore, "search_runs", refuse)
    found = open_store().list()
    assert [run.id for run in found.runs] == [mine]
    assert any("The runs of experiment 'theirs' are left out: Permission denied" in line for line in found.warnings)


def test_a_folder_of_mlflows_is_a_store_too(weights: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow 3 refuses the `mlruns` that its former versions made, unless it is told otherwise."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder = tmp_path / "mlruns"
    client = MlflowClient(str(folder), registry_uri=str(folder))
    good = make_run(client, "theirs", (folder / "theirs").as_uri(), weights(1.0))
    gone = make_run(client, "gone", GONE["bucket"][0])
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    for place in (folder, folder.as_uri(), "mlruns"):
        found = {run.id: run for run in open_store(f"mlflow:{place}").list().runs}
        assert set(found) == {good, gone} and GONE["bucket"][1] in found[gone].problem
        store = open_store(f"mlflow:{place}")
        assert file_digest(pull(store, store.find(good))) == file_digest(weights(1.0))
    shown = CliRunner().invoke(app, ["show", good, "--source", f"mlflow:{folder}", "--json"], catch_exceptions=False)
    assert json.loads(shown.stdout)["name"] == "theirs"
