"""The tracking seam: MLflow in a real SQLite store, Neptune offline and in debug mode, and none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from odits.tracking.mlflow_client import open_mlflow
from odits.tracking.sources import make_tracker, open_store
from odits.tracking.store import TrackingError
from tests.tracking.conftest import empty_store, mlflow_home, weights

__all__ = ["empty_store", "mlflow_home", "weights"]

Make = Callable[[float], Path]


def test_a_killed_run_is_resumed_and_nothing_is_doubled(mlflow_home: Path, weights: Make) -> None:
    tracker = make_tracker("mlflow")
    first = tracker.start("signs", {"seed": 0, "long": "x" * 9000}, {"code": "abc"})
    for step in (1, 2, 3):
        first.metrics({"loss/image": 1.0 / step, "system/cpu_utilization_percentage": 50.0}, step)
    first.checkpoint(weights(1.0), "best", {})
    second = tracker.start("signs", {"seed": 1, "new": "yes"}, {"code": "def"}, resume=first.id)
    assert second.id == first.id
    for step in (3, 4):
        second.metrics({"loss/image": 1.0 / step}, step)
    second.checkpoint(weights(2.0), "best", {"epoch": "4"})
    second.finish("killed")
    found = open_store().run(first.id)
    assert found.status == "killed" and found.tags["code"] == "def"
    assert (found.parameters["seed"], found.parameters["new"]) == ("0", "yes")
    assert [point.step for point in open_store().curves(first.id)["loss/image"]] == [1, 2, 3, 4]
    assert [(item.name, item.metadata) for item in found.checkpoints] == [
        ("checkpoints/best.safetensors", {"epoch": "4"})
    ]


def test_evaluation_results_join_a_finished_run(mlflow_home: Path) -> None:
    tracker = make_tracker("mlflow")
    run = tracker.start("signs", {}, {})
    run.finish("finished")
    again = tracker.start("signs", {}, {}, resume=run.id)
    again.metrics({"evaluation/confidence/precision": 0.25}, 40)
    again.finish("finished")
    assert open_store().run(run.id).metrics == {"evaluation/confidence/precision": 0.25}


def test_names_that_mlflow_would_not_take_are_made_good(mlflow_home: Path) -> None:
    run = make_tracker("mlflow").start("odd", {"../a/ /b?": 1, "/lead": 2}, {"x" * 300: "long"})
    run.metrics({"loss (image)": 1.0, "nan": float("nan"), "inf": float("inf")}, 0)
    run.finish("failed")
    found = open_store().run(run.id)
    assert found.parameters == {"a/ /b_": "1", "lead": "2"} and found.status == "failed"
    assert found.metrics["loss _image_"] == 1.0


def test_two_threads_log_into_one_run(mlflow_home: Path) -> None:
    run = make_tracker("mlflow").start("threads", {}, {})
    names = ("a", "b")
    threads = [
        threading.Thread(target=lambda name=name: [run.metrics({name: 1.0}, step) for step in range(20)])
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish("finished")
    curves = open_store().curves(run.id)
    assert {name: len(curves[name]) for name in names} == {"a": 20, "b": 20}


def test_what_mlflow_refuses_is_named_and_does_not_hold_up_the_rest(mlflow_home: Path, weights: Make) -> None:
    run = make_tracker("mlflow").start("refused", {}, {})
    gone = weights(5.0)
    open_mlflow().client.delete_run(run.id)
    run.metrics({"loss": 1.0}, 1)
    open_mlflow().client.restore_run(run.id)
    run.metrics({"loss": 2.0}, 2)
    gone.unlink()
    run.checkpoint(gone, "gone", {})
    with pytest.raises(TrackingError, match=r"lacks 2 entries of run .*weights-5\.0\.safetensors is no longer there"):
        run.finish("finished")
    assert open_store().run(run.id).status == "finished"
    assert [point.step for point in open_store().curves(run.id)["loss"]] == [2]


def test_a_run_that_does_not_exist_cannot_be_resumed(mlflow_home: Path) -> None:
    with pytest.raises(TrackingError, match="did not do what was asked") as caught:
        make_tracker("mlflow").start("x", {}, {}, resume="0" * 32)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_neptune_offline_keeps_everything_for_a_later_sync(
    home: Path, weights: Make, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEPTUNE_MODE", "offline")
    monkeypatch.setenv("NEPTUNE_DATA_DIRECTORY", str(home / "neptune"))
    tracker = make_tracker("neptune:team/signs")
    run = tracker.start("signs", {"seed": 0}, {"code": "abc"})
    run.metrics({"loss/image": 0.5}, 1)
    path = weights(1.0)
    run.checkpoint(path, "best", {"epoch": "1"})
    path.unlink()
    run.finish("finished")
    again = tracker.start("signs", {"seed": 0}, {}, resume=run.id)
    again.finish("failed")
    assert again.id == run.id
    logged = "".join(file.read_text() for file in (home / "neptune" / "offline").rglob("data-*.log"))
    for said in ('"loss", "image"', '"parameters", "seed"', '"checkpoints", "best"', "sha256"):
        assert said in logged
    staged = list((home / "neptune" / "uploads").rglob("*.safetensors"))
    assert len(staged) == 1 and staged[0].stat().st_size > 0, "the file is kept until it can be sent"
    assert not Path(".neptune").exists()
    assert capfd.readouterr().out == "", "stdout belongs to --json"


@pytest.mark.slow
def test_neptune_debug_takes_everything_and_sends_nothing(
    home: Path, weights: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEPTUNE_MODE", "debug")
    monkeypatch.setenv("NEPTUNE_DATA_DIRECTORY", str(home / "neptune"))
    run = make_tracker("neptune").start("signs", {"seed": 0}, {})
    run.metrics({"loss": 0.5}, 1)
    run.checkpoint(weights(1.0), "best", {})
    run.finish("failed")
    with pytest.raises(TrackingError, match="can only be resumed while its server is reached"):
        make_tracker("neptune").start("signs", {}, {}, resume="SIGNS-12")
    monkeypatch.setenv("NEPTUNE_MODE", "sometimes")
    with pytest.raises(TrackingError, match="NEPTUNE_MODE is 'sometimes'"):
        make_tracker("neptune").start("signs", {}, {})


def test_none_keeps_nothing_and_other_trackers_do_not_exist(home: Path, weights: Make) -> None:
    run = make_tracker("none").start("x", {}, {}, resume="abc")
    run.metrics({"loss": 1.0}, 1)
    run.checkpoint(weights(1.0), "best", {})
    run.finish("finished")
    assert run.id == "abc" and not list(home.iterdir())
    for reference in ("wandb", "none:x", ""):
        with pytest.raises(TrackingError, match="There is no tracker"):
            make_tracker(reference)


def test_the_name_of_a_tracker_holds_no_password(home: Path) -> None:
    assert make_tracker("mlflow:https://me:hush@host").name == "mlflow:https://***@host"
    assert json.dumps(make_tracker("neptune:team/signs").name) == '"neptune:team/signs"'
