"""What an import into MLflow keeps, and complaints that others published about such imports, tried on ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from odits.tracking.importing import import_export
from odits.tracking.importing_names import assign_keys, assign_paths, read_names
from odits.tracking.mlflow_client import open_mlflow
from odits.tracking.pulling import pull
from odits.tracking.sources import open_store
from odits.tracking.store import StoredRun
from tests.tracking.conftest import PROJECT, START, row
from tests.tracking.exports import Export, safetensors_bytes, torch_bytes


@pytest.fixture
def made(tmp_path: Path, mlflow_home: Path) -> Export:
    return Export(tmp_path)


def imported(made: Export, run: str = "R-1") -> tuple[StoredRun, dict[str, dict[str, Any]]]:
    """Import everything; the run with the mapping of its names."""
    done = import_export(made.folder)
    assert not done.failed, done.warnings
    target = done.runs[next(name for name in done.runs if name.endswith(run))]
    return open_store().run(target), read_names(open_mlflow(), target)


def artifacts(run: str, folder: str | None = None) -> list[str]:
    found: list[str] = []
    for item in open_mlflow().client.list_artifacts(run, folder):
        found += artifacts(run, item.path) if item.is_dir else [item.path]
    return sorted(found)


def test_colliding_names_become_different_keys(made: Export) -> None:
    rows = [row(name, "float_series", value, 0) for name, value in (("val/acc@1", 0.1), ("val/acc#1", 0.9))]
    rows += [row(f"params/lr {name}", "float", value) for name, value in (("(head)", 1e-3), ("[head]", 1e-5))]
    made.write("R-1", rows)
    run, names = imported(made)
    assert {name: run.metrics[key] for name, key in names["metrics"].items()} == {"val/acc@1": 0.1, "val/acc#1": 0.9}
    values = {name: run.parameters[key] for name, key in names["parameters"].items()}
    assert values == {"params/lr (head)": "0.001", "params/lr [head]": "1e-05"}


def test_colliding_files_are_two_artifacts(made: Export) -> None:
    files = {"model/weights": torch_bytes(), "model/weights.pt": safetensors_bytes()}
    made.write("R-1", [made.file("R-1", name, f"r/{n}.pt", content) for n, (name, content) in enumerate(files.items())])
    run, names = imported(made)
    assert len({item.digest for item in run.checkpoints}) == 2
    assert len(set(names["files"].values())) == 2


def test_a_later_part_renames_nothing(made: Export) -> None:
    made.write("R-1", [row("val/acc@1", "float_series", 0.1, 0)])
    first, before = imported(made)
    made.write("R-1", [row("val/acc#1", "float_series", 0.9, 0)], part=1)
    second, after = imported(made)
    assert second.id == first.id and after["metrics"]["val/acc@1"] == before["metrics"]["val/acc@1"] == "val/acc_1"
    assert len(second.metrics) == 2


def test_steps_that_turn_out_to_have_decimals_make_a_series_of_their_own(made: Export) -> None:
    made.write("R-1", [row("loss", "float_series", float(step), step) for step in range(3)])
    imported(made)
    made.write("R-1", [row("loss", "float_series", 2.5, 2.5)], part=1)
    run, names = imported(made)
    curve = open_store().curves(run.id)[names["metrics"]["loss"]]
    assert [(point.step, point.value) for point in curve] == [(0, 0.0), (10, 1.0), (20, 2.0), (25, 2.5)]
    assert names["step_decimals"] == {"loss": 1}


def test_the_last_value_is_the_same_after_import(made: Export) -> None:
    rows = [row("loss", "float_series", value, step) for step, value in ((0, 1.0), (5, 3.0), (5, 2.0), (3, 4.0))]
    made.write("R-1", rows)
    (before,) = open_store(f"neptune-export:{made.folder}").list().runs
    assert imported(made)[0].metrics == before.metrics == {"loss": 3.0}


def test_rows_without_a_path_are_named_and_the_rest_is_imported(made: Export) -> None:
    made.write("R-1", [row(None, "string_series", "lost", 0), row("log", "string_series", "hi", 0)])  # type: ignore[arg-type]
    done = import_export(made.folder)
    assert done.warnings == (f"Run {PROJECT}/R-1: 1 row without an attribute path is left out.",)
    assert artifacts(done.runs[f"{PROJECT}/R-1"]) == ["neptune_names.json", "series/log.jsonl"]
    assert import_export(made.folder).unchanged


def test_texts_names_of_other_scripts_and_very_long_ones(made: Export) -> None:
    odd = "'quote\" and\nnew line"
    long = "x" * 1024
    rows = [row(odd, "string", odd), row("параметр/学習率", "float_series", 0.5, 1), row(long, "int", 7)]
    rows += [row("y" * 1023 + letter, "float", 1.0) for letter in "ab"]
    rows += [row("essay", "string", "e" * 20_000), row("sys/description", "string", "d" * 9000)]
    rows += [made.file("R 'quoted' 1", "данные/веса", "w", safetensors_bytes())]
    made.write("R 'quoted' 1", rows)
    made.write("R quoted 1", [row("a", "int", 1)])
    run, names = imported(made, "R 'quoted' 1")
    assert len(open_store().list().runs) == 2, "two ids that differ by quotes stay two"
    assert run.parameters[names["parameters"][odd]] == odd and run.parameters[names["parameters"][long]] == "7"
    assert len({names["metrics"]["y" * 1023 + letter] for letter in "ab"}) == 2
    assert run.metrics["параметр/学習率"] == 0.5
    assert [item.name for item in run.checkpoints] == ["данные/веса.safetensors"]
    client = open_mlflow().client
    for path, text in (("essay", "e" * 20_000), ("sys/description", "d" * 9000)):
        assert Path(client.download_artifacts(run.id, names["values"][path])).read_text() == text
    assert import_export(made.folder).unchanged == tuple(import_export(made.folder).runs)


def test_members_of_sets_and_artifacts_and_pictures_are_kept(made: Export) -> None:
    rows = [
        made.file_set("R-1", "models", {"best": safetensors_bytes(), "notes.txt": b"n"}),
        made.artifact("R-1", "dataset", ["a"]),
        made.neptune2("R-1", "picture", b"\x89PNG\r\n\x1a\n"),
    ]
    made.write("R-1", rows)
    run, names = imported(made)
    assert artifacts(run.id) == [
        "dataset/files_list.json",
        "models/best.safetensors",
        "models/notes.txt",
        "neptune_names.json",
        "picture.png",
    ]
    assert names["files"]["picture"] == "picture.png"
    store = open_store()
    assert pull(store, run.checkpoints[0]).read_bytes() == safetensors_bytes()


def test_the_registry_becomes_registered_models_in_order(made: Export) -> None:
    """amesar/mlflow-export-import#21: versions were registered in reverse order."""
    made.write("S-MOD", [row("sys/name", "string", "reader")], scope="models")
    for version in (10, 2, 1):
        item = made.neptune2(f"S-MOD-{version}", "model/binary", safetensors_bytes(), "model_versions")
        stage = row("sys/stage", "string", "production" if version == 2 else "none")
        made.write(f"S-MOD-{version}", [item, stage, row("sys/model_id", "string", "S-MOD")], scope="model_versions")
    first, second = import_export(made.folder), import_export(made.folder)
    registered = {name.rpartition("/")[2]: reference for name, reference in first.models.items()}
    assert registered == {"S-MOD-1": "models:/S-MOD/1", "S-MOD-2": "models:/S-MOD/2", "S-MOD-10": "models:/S-MOD/3"}
    assert second.models == first.models and not second.new and not second.changed
    assert len(open_mlflow().client.search_model_versions("name='S-MOD'")) == 3
    store = open_store()
    found = store.find("models:/S-MOD@production")
    assert found.run == first.runs[f"{PROJECT}/model_versions/S-MOD-2"]
    assert pull(store, found).read_bytes() == safetensors_bytes()


@pytest.mark.slow
def test_a_killed_import_goes_on_and_nothing_is_doubled(made: Export, mlflow_home: Path) -> None:
    for number in range(12):
        points = [row("loss", "float_series", float(step), step) for step in range(50)]
        best = made.neptune2(f"R-{number}", "best", safetensors_bytes())
        made.write(f"R-{number}", [*points, row("a", "int", 1), best])
    command = [sys.executable, "-m", "odits", "checkpoints", "import", "--source", f"neptune-export:{made.folder}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while len(open_store().list().runs) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    said, _ = child.communicate()
    assert 3 <= len(open_store().list().runs) < 12, said.decode()
    done = import_export(made.folder)
    assert len(done.new) + len(done.changed) + len(done.unchanged) == 12
    runs = open_store().list().runs
    assert len(runs) == 12
    for run in runs:
        assert [point.step for point in open_store().curves(run.id)["loss"]] == list(range(50))
        assert len(run.checkpoints) == 1 and run.parameters["a"] == "1"


# Complaints about other importers.


def test_no_ending_no_picture(made: Export) -> None:
    """neptune-ai/neptune-exporter#36: Neptune 2's files have no endings, so MLflow shows no picture of them."""
    made.write("R-1", [made.neptune2("R-1", "plots/roc", b"\xff\xd8\xff\xe0 a JPEG")])
    assert "plots/roc.jpg" in artifacts(imported(made)[0].id)


def test_importing_again_doubles_nothing(made: Export) -> None:
    """mlflow/mlflow-export-import#178: a repeated import made every run twice."""
    made.write("R-1", [row("loss", "float_series", 1.0, 0), row("a", "int", 1)])
    first = import_export(made.folder)
    assert import_export(made.folder).unchanged == first.new and len(open_store().list().runs) == 1


def test_names_that_the_store_refuses(made: Export) -> None:
    """amesar/mlflow-export-import#4: one metric name that MLflow refuses kept everything from being imported."""
    made.write("R-1", [row("01, time (min)?", "float_series", 1.0, 0), row("loss", "float_series", 2.0, 0)])
    run, names = imported(made)
    assert run.metrics[names["metrics"]["01, time (min)?"]] == 1.0 and run.metrics["loss"] == 2.0


def test_times_steps_and_every_point_are_kept(made: Export) -> None:
    """mlflow-export-import#59 (times lost), wandb/wandb#5755 (steps renumbered), #5754 (series of different lengths)
    and amesar/mlflow-export-import#26 (only the last point).
    """
    rows = [row("a", "float_series", float(step), step) for step in (10, 20, 40)]
    made.write("R-1", [*rows, row("b", "float_series", 1.0, 7), row("sys/creation_time", "datetime", START)])
    run, _ = imported(made)
    curves = open_store().curves(run.id)
    assert [point.step for point in curves["a"]] == [10, 20, 40] and [point.step for point in curves["b"]] == [7]
    assert [(point.time - START).total_seconds() / 60 for point in curves["a"] if point.time] == [10, 20, 40]
    assert run.started == START


def test_one_long_parameter_costs_nothing_else(made: Export) -> None:
    """mlflow/mlflow#10512: a parameter that is too long broke everything that came with it."""
    made.write("R-1", [row("long", "string", "x" * 7000), row("short", "int", 1)])
    run, names = imported(made)
    assert run.parameters == {"short": "1"} and names["values"] == {"long": "values/long.txt"}


def test_thousands_of_parameters(made: Export) -> None:
    """neptune-ai/neptune-client#730: a table of runs with very many hyperparameters."""
    made.write("R-1", [row(f"p/{number}", "int", number) for number in range(2300)])
    assert len(imported(made)[0].parameters) == 2300


def test_names_too_long_for_a_disk(made: Export) -> None:
    """ReagentX/imessage-exporter#661: one name that is too long ended the whole export."""
    made.write("R-1", [row("z" * 1024, "string_series", "text", 0), row("log", "string_series", "text", 0)])
    run, names = imported(made)
    assert set(names["series"]) == {"z" * 1024, "log"} and len(artifacts(run.id)) == 3


def test_keys_and_paths_by_themselves() -> None:
    keys = assign_keys(["a_b", "a@b", "a#b"], {})
    assert keys["a_b"] == "a_b" and len(set(keys.values())) == 3
    assert assign_keys(["a#b", "a@b"], {"a@b": "a_b"})["a@b"] == "a_b"
    paths = assign_paths({"1": "a", "2": "a/b", "3": "A", "4": "../../etc/passwd", "5": "x" * 300 + ".pt"}, {})
    assert len({path.casefold() for path in paths.values()}) == 5
    assert paths["2"] == "a/b" and not any(path == "a" for path in paths.values())
    assert ".." not in paths["4"].split("/") and paths["5"].endswith(".pt") and len(paths["5"]) < 200
    assert assign_paths({"2": "a/b"}, {"1": "a"})["2"] != "a/b"
    json.dumps(paths)
