"""The MLflow store over a real SQLite file: list, find, pull, push; damage and absence."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from odits.core.errors import StoreError
from odits.core.files import file_digest
from odits.tracking import mlflow_store
from odits.tracking.mlflow_client import experiment_id, local_database, open_mlflow
from odits.tracking.pulling import is_here, local_path, pull
from odits.tracking.sources import make_tracker, open_store

Make = Callable[[float], Path]


@pytest.fixture
def run(mlflow_home: Path, weights: Make) -> str:
    """A finished run with two checkpoints."""
    tracked = make_tracker("mlflow").start("first", {"batch": 128}, {"data": "svt"})
    tracked.metrics({"loss/total": 2.0}, 1)
    tracked.metrics({"loss/total": 1.0}, 2)
    tracked.checkpoint(weights(1.0), "epoch-1", {"epoch": "1"})
    tracked.checkpoint(weights(2.0), "best", {"epoch": "2"})
    tracked.finish("finished")
    return tracked.id


def test_lists_runs_with_their_checkpoints(run: str) -> None:
    found = open_store().list().runs[0]
    assert (found.id, found.name, found.status) == (run, "first", "finished")
    assert found.parameters == {"batch": "128"} and found.metrics == {"loss/total": 1.0}
    assert found.tags["data"] == "svt"
    assert [item.name for item in found.checkpoints] == [
        "checkpoints/best.safetensors",
        "checkpoints/epoch-1.safetensors",
    ]
    assert found.checkpoints[0].metadata == {"epoch": "2"}
    assert [(point.step, point.value) for point in open_store().curves(run)["loss/total"]] == [(1, 2.0), (2, 1.0)]


def test_the_database_is_in_wal_mode_and_artifacts_lie_beside_it(run: str, home: Path) -> None:
    with sqlite3.connect(local_database()) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert list((home / "mlflow" / "artifacts").rglob("best.safetensors"))
    assert not Path("mlruns").exists()


@pytest.mark.parametrize("form", ["{run}/best", "runs:/{run}/checkpoints/best.safetensors", "{run}/best.safetensors"])
def test_pull_by_several_names(run: str, form: str, weights: Make) -> None:
    store = open_store()
    checkpoint = store.find(form.format(run=run))
    path = pull(store, checkpoint)
    assert file_digest(path) == file_digest(weights(2.0)) == checkpoint.digest
    assert is_here(checkpoint) and path == local_path(checkpoint)


def test_pull_of_a_registered_model(run: str, weights: Make) -> None:
    client = open_mlflow().client
    client.create_registered_model("signs")
    client.create_model_version("signs", f"runs:/{run}/checkpoints/best.safetensors", run)
    client.set_registered_model_alias("signs", "champion", "1")
    store = open_store()
    for reference in ("models:/signs@champion", "models:/signs/1"):
        assert store.find(reference).name == "checkpoints/best.safetensors"
    with pytest.raises(StoreError, match="is no registered model"):
        store.find("models:/signs")


def test_a_run_without_a_name_must_be_unambiguous(run: str) -> None:
    with pytest.raises(StoreError, match=r"several such checkpoints: name one of checkpoints/best"):
        open_store().find(run)
    with pytest.raises(StoreError, match=r"has no checkpoint 'worst'; it has checkpoints/best"):
        open_store().find(f"{run}/worst")


def test_damaged_bytes_are_refused_and_a_broken_pull_starts_over(run: str, home: Path) -> None:
    artifact = next((home / "mlflow" / "artifacts").rglob("best.safetensors"))
    good = artifact.read_bytes()
    artifact.write_bytes(good[:-1] + b"x")
    store = open_store()
    checkpoint = store.find(f"{run}/best")
    with pytest.raises(StoreError, match="is not what was logged"):
        pull(store, checkpoint)
    artifact.write_bytes(good[:-1])
    with pytest.raises(StoreError, match="arrived damaged"):
        pull(store, checkpoint)
    assert not local_path(checkpoint).exists()
    artifact.write_bytes(good)

    def leave(done: int, total: int) -> None:
        raise StoreError("the page was left")

    with pytest.raises(StoreError, match="the page was left"):
        pull(store, checkpoint, leave)
    left_over = home / "cache" / "work" / ".pull.0123.tmp"
    left_over.mkdir(parents=True)
    (left_over / "best.safetensors").write_bytes(b"half of it, from a killed pull")
    hours_ago = time.time() - 7200
    os.utime(left_over, (hours_ago, hours_ago))
    assert pull(store, checkpoint).read_bytes() == good
    assert list(left_over.parent.iterdir()) == [], "what a killed pull left is gone an hour later"


def test_two_pulls_at_once_are_told_apart(run: str) -> None:
    store = open_store()
    checkpoint = store.find(f"{run}/best")

    def second(done: int, total: int) -> None:
        with pytest.raises(StoreError, match="is already being pulled"):
            pull(store, checkpoint)

    assert pull(store, checkpoint, second).is_file()


def test_push_makes_a_run_of_its_own_or_goes_into_one(run: str, weights: Make) -> None:
    store = open_store()
    own = store.push(weights(3.0), "mine")
    assert own.run != run and store.find(own.reference).digest == file_digest(weights(3.0))
    into = store.push(weights(4.0), "mine", run)
    assert into.reference == f"{run}/checkpoints/mine.safetensors"
    assert len(store.list().runs) == 2


def test_an_artifact_that_leaves_its_root_is_refused(run: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.safetensors").write_bytes(b"secret")
    folder = next((home / "mlflow" / "artifacts").rglob("best.safetensors")).parent
    (folder / "odd.safetensors").symlink_to(tmp_path / "outside.safetensors")
    store = open_store()
    with pytest.raises(StoreError, match="leaves its folder and is refused"):
        pull(store, store.find(f"{run}/odd"))


def test_runs_of_others_are_listed_by_their_files(mlflow_home: Path, tmp_path: Path) -> None:
    mlflow = open_mlflow()
    theirs = mlflow.client.create_run(experiment_id(mlflow, "theirs")).info.run_id
    (tmp_path / "model.pt").write_bytes(b"weights")
    mlflow.client.log_artifact(theirs, str(tmp_path / "model.pt"), "deep/er")
    found = open_store().list().runs[0]
    assert [(item.name, item.size, item.digest) for item in found.checkpoints] == [("deep/er/model.pt", 7, None)]


def test_a_run_whose_artifacts_are_out_of_reach_does_not_end_the_listing(run: str) -> None:
    mlflow = open_mlflow("")
    experiment = mlflow.client.create_experiment("elsewhere", artifact_location="nowhere://bucket/signs")
    other = mlflow.client.create_run(experiment, run_name="out of reach").info.run_id
    found = open_store().list()
    listed = {one.id: one for one in found.runs}
    assert listed[run].checkpoints and not listed[other].checkpoints
    assert len(found.warnings) == 1 and other in found.warnings[0]


def test_before_the_first_run_the_store_is_empty_and_no_file_is_made(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert open_store().list().runs == ()
    with pytest.raises(StoreError, match="There is no run 'abc' here"):
        open_store().find("abc/best")
    assert not (home / "mlflow").exists()


def test_a_file_that_is_no_database_and_one_that_is_absent(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"this is text, long enough to be looked at as a database header....." * 20)
    for name, said in (("broken.db", "can't be opened"), ("absent.db", "There is no MLflow store")):
        with pytest.raises(StoreError, match=said):
            open_store(f"mlflow:{tmp_path / name}").list()
    assert not (tmp_path / "absent.db").exists()


def test_a_reader_is_not_locked_out_by_a_writer(run: str) -> None:
    with contextlib.closing(sqlite3.connect(local_database())) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert open_store().list().runs[0].id == run
        writer.rollback()


def test_every_page_of_runs_and_experiments_is_read(
    mlflow_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """MLflow's client stops at a page without a word; https://github.com/mlflow/mlflow/issues/15814 ."""
    monkeypatch.setattr(mlflow_store, "_PAGE", 3)
    monkeypatch.setattr(mlflow_store, "_FILE_PAGE", 3)
    monkeypatch.setattr(mlflow_store, "_CHUNK", 2)
    client = open_mlflow().client
    experiments = [client.create_experiment(f"e {n}", artifact_location=(tmp_path / "a").as_uri()) for n in range(5)]
    runs = {client.create_run(experiments[number % 4]).info.run_id for number in range(11)}
    models = {client.create_logged_model(experiments[4], f"m{number}").model_id for number in range(3)}
    listed = {run.id for run in open_store().list().runs}
    assert listed == runs | {f"models:/{model}" for model in models}
