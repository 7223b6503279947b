"""MLflow 3's logged models and the registry: found, listed, and pulled by every reference that MLflow has for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from odits.cli.checkpoints import app
from odits.cli.common import find_model
from odits.core.errors import StoreError
from odits.core.files import file_digest
from odits.core.progress import open_reporter
from odits.models.reference import NotPulledError, parse
from odits.tracking.mlflow_client import local_database, open_mlflow
from odits.tracking.mlflow_models import locate
from odits.tracking.pulling import pull
from odits.tracking.sources import open_store

Make = Callable[[float], Path]


class Logged(NamedTuple):
    """A run with logged models, as MLflow 3's `log_model` leaves them."""

    client: Any
    experiment: str
    run: str


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder of the test's own, into which nothing is to be written."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def logged(mlflow_home: Path, tmp_path: Path) -> Logged:
    client = open_mlflow().client
    experiment = client.create_experiment("theirs", artifact_location=(tmp_path / "artifacts").as_uri())
    return Logged(client, experiment, client.create_run(experiment, run_name="theirs").info.run_id)


def log_model(logged: Logged, file: Path, name: str = "signs", run: str | None = "", *more: Path) -> str:
    """Log a model with its files in data/, as `mlflow.pytorch.log_model` does; return its id."""
    folder = file.parent / f"model of {file.stem}"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    for item in (file, *more):
        (folder / "data" / item.name).write_bytes(item.read_bytes())
    model = logged.client.create_logged_model(logged.experiment, name, logged.run if run == "" else run)
    logged.client.log_model_artifacts(model.model_id, str(folder))
    logged.client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def register(logged: Logged, source: str, run: str | None = None, model: str | None = None) -> None:
    import mlflow

    mlflow.set_tracking_uri(open_mlflow().uri)  # the registry resolves models:/m-ID by MLflow's own setting
    try:
        logged.client.create_model_version("registered", source, run, model_id=model)
    finally:
        mlflow.set_tracking_uri(None)


def test_a_logged_model_is_listed_with_its_run_and_pulled_by_every_reference(logged: Logged, weights: Make) -> None:
    model = log_model(logged, weights(1.0))
    logged.client.create_registered_model("registered")
    register(logged, f"models:/{model}", model=model)
    logged.client.set_registered_model_alias("registered", "champion", "1")
    store, name = open_store(), f"signs/data/{weights(1.0).name}"
    (run,) = store.list().runs
    assert [item.reference for item in run.checkpoints] == [f"{logged.run}/{name}"]
    for reference in (
        "models:/registered@champion",
        "models:/registered/1",
        "models:/registered/latest",
        f"models:/registered@champion/data/{weights(1.0).name}",
        f"models:/{model}",
        f"models:/{model}/data/{weights(1.0).name}",
        f"runs:/{logged.run}/signs",
        f"runs:/{logged.run}/{name}",
        f"{logged.run}/{name}",
        logged.run,
    ):
        found = store.find(reference)
        assert found.reference == f"{logged.run}/{name}", reference
        pulled = pull(store, found)
        assert file_digest(pulled) == file_digest(weights(1.0)), reference
    assert parse(found.reference, "clip").path == pulled
    assert list(Path().iterdir()) == [], "no mlflow.db and no mlruns where one stands"


def test_models_of_one_name_and_models_without_a_run_go_by_their_ids(logged: Logged, weights: Make) -> None:
    old = log_model(logged, weights(1.0))
    new = log_model(logged, weights(2.0))
    alone = log_model(logged, weights(3.0), "alone", None)
    store = open_store()
    runs = {run.id: run for run in store.list().runs}
    assert set(runs) == {logged.run, f"models:/{old}", f"models:/{alone}"}
    assert runs[f"models:/{alone}"].name == "alone" and runs[f"models:/{alone}"].status == "ready"
    digests = {
        item.reference: file_digest(pull(store, store.find(item.reference)))
        for run in runs.values()
        for item in run.checkpoints
    }
    assert digests == {
        f"models:/{old}/data/{weights(1.0).name}": file_digest(weights(1.0)),
        f"{logged.run}/signs/data/{weights(2.0).name}": file_digest(weights(2.0)),
        f"models:/{alone}/data/{weights(3.0).name}": file_digest(weights(3.0)),
    }
    assert store.find(f"models:/{new}").run == logged.run
    for reference, digest in digests.items():
        ref = parse(reference)
        assert ref.digest == digest and ref.store == reference, "what a list prints can be pasted"
    assert store.curves(f"models:/{alone}") == {}
    shown = CliRunner().invoke(app, ["show", f"models:/{alone}", "--json"], catch_exceptions=False)
    assert json.loads(shown.stdout)["name"] == "alone"


def test_several_checkpoints_in_a_model_have_to_be_named(logged: Logged, weights: Make) -> None:
    model = log_model(logged, weights(1.0), "signs", "", weights(2.0))
    with pytest.raises(StoreError, match=f"holds several checkpoints: name one of {logged.run}/signs/data"):
        open_store().find(f"models:/{model}")
    assert open_store().find(f"models:/{model}/data/{weights(2.0).name}").name.endswith(weights(2.0).name)


def test_latest_is_the_highest_version_and_a_stage_is_one_too(logged: Logged, weights: Make) -> None:
    logged.client.create_registered_model("registered")
    for value in (1.0, 2.0):
        logged.client.log_artifact(logged.run, str(weights(value)), "weights")
    for number in range(11):
        register(logged, f"runs:/{logged.run}/weights/{weights(1.0 if number < 10 else 2.0).name}", logged.run)
    logged.client.transition_model_version_stage("registered", "3", "Production")
    store = open_store()
    assert store.find("models:/registered/latest").name.endswith(weights(2.0).name)
    assert store.find("models:/registered/Production").name.endswith(weights(1.0).name)
    with pytest.raises(StoreError, match="There is no registered model 'registered' with a version Staging here"):
        store.find("models:/registered/Staging")


def test_a_version_of_a_folder_that_belongs_to_no_run(logged: Logged, weights: Make, tmp_path: Path) -> None:
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "clip.safetensors").write_bytes(weights(1.0).read_bytes())
    logged.client.create_registered_model("registered")
    register(logged, (tmp_path / "exported").as_uri())
    store = open_store()
    found = store.find("models:/registered/1")
    assert found.reference == "models:/registered/1/clip.safetensors"
    assert file_digest(pull(store, store.find(found.reference))) == file_digest(weights(1.0))


def test_a_model_whose_place_is_gone_hides_no_other(logged: Logged, weights: Make) -> None:
    gone = logged.client.create_experiment("gone", artifact_location="gs://gone/signs")
    run = logged.client.create_run(gone).info.run_id
    model = logged.client.create_logged_model(gone, "signs", run).model_id
    log_model(logged, weights(1.0))
    found = {run.id: run for run in open_store().list().runs}
    assert "google-cloud-storage" in found[run].problem and found[logged.run].checkpoints
    with pytest.raises(StoreError, match=r"is out of reach.*google-cloud-storage"):
        open_store().find(f"models:/{model}")


@pytest.mark.parametrize("reference", ["models:/", "models:/a", "models:/a/b@c/", "models:/a@", "models://a/1"])
def test_what_is_no_model_is_said_to_be_none(reference: str, logged: Logged) -> None:
    with pytest.raises(StoreError, match="no registered model"):
        locate(open_mlflow(), reference)


def test_deleted_runs_are_listed_on_request(logged: Logged, weights: Make) -> None:
    logged.client.log_artifact(logged.run, str(weights(1.0)))
    logged.client.delete_run(logged.run)
    assert open_store().list().runs == ()
    result = CliRunner().invoke(app, ["list", "--deleted", "--json"], catch_exceptions=False)
    document = json.loads(result.stdout)
    assert [(run["id"], run["deleted"]) for run in document["runs"]] == [(logged.run, True)]
    assert "mlflow runs restore --run-id" in document["warnings"][0]
    table = CliRunner().invoke(app, ["list", "--deleted"], catch_exceptions=False)
    assert "deleted" in table.stdout
    logged.client.restore_run(logged.run)
    assert [run.deleted for run in open_store().list().runs] == [False]


def test_an_alias_that_was_pulled_names_its_file_and_follows_its_model(
    logged: Logged, weights: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged.client.create_registered_model("registered")
    for value in (1.0, 2.0):
        logged.client.log_artifact(logged.run, str(weights(value)), "weights")
        register(logged, f"runs:/{logged.run}/weights/{weights(value).name}", logged.run)
    logged.client.set_registered_model_alias("registered", "champion", "1")
    alias = "models:/registered@champion"
    with pytest.raises(NotPulledError, match="lies in a store and not on this machine"):
        parse(alias)
    CliRunner().invoke(app, ["pull", alias, "--json"], catch_exceptions=False)
    assert parse(alias).digest == file_digest(weights(1.0)) and parse(alias).store == alias
    logged.client.set_registered_model_alias("registered", "champion", "2")
    with open_reporter() as report:
        assert find_model(alias, report).digest == file_digest(weights(2.0))
        assert parse(alias).digest == file_digest(weights(2.0))
        local_database().rename(local_database().with_name("away.db"))
        assert find_model(alias, report).digest == file_digest(weights(2.0))
    assert "when it was pulled last is used" in capsys.readouterr().err
