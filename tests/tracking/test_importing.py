"""A Neptune export copied into MLflow, more than once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from odits.tracking.importing import import_export
from odits.tracking.mlflow_client import open_mlflow
from odits.tracking.pulling import pull
from odits.tracking.sources import open_store
from odits.tracking.store import StoredRun
from tests.tracking.conftest import PROJECT, PROJECT_FOLDER, START, row, save_weights, write_part


def _imported(run: str) -> StoredRun:
    return next(found for found in open_store().list().runs if found.tags.get("odits.imported_from", "").endswith(run))


def test_import_copies_parameters_metrics_with_steps_and_files(mlflow_home: Path, export: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = import_export(export, progress=lambda i, n: seen.append((i, n)))
    assert done.new == (f"{PROJECT}/SIGN-1", f"{PROJECT}/SIGN-2") and not done.changed and not done.unchanged
    assert seen[-1] == (2, 2)
    run = _imported("SIGN-1")
    assert (run.name, run.status, run.started) == ("clip +3", "finished", START)
    assert run.parameters["parameters/batch"] == "128"
    assert run.metrics["evaluation/precision"] == 0.276
    curves = open_store().curves(run.id)
    assert [(point.step, point.value) for point in curves["train/loss"]] == [(step, 4.0 - step) for step in range(5)]
    assert [(point.step, point.value) for point in curves["train/half"]] == [(5, 0.5), (10, 1.0), (15, 1.5)]
    assert run.tags["odits.step_decimals/train/half"] == "1"
    assert (curves["train/loss"][1].time - START).total_seconds() == 60
    assert [item.name for item in run.checkpoints] == ["checkpoints/best.safetensors"]
    store = open_store()
    original = export / "files" / PROJECT_FOLDER / "SIGN-1" / "best.safetensors"
    assert pull(store, run.checkpoints[0]).read_bytes() == original.read_bytes()
    client = open_mlflow().client
    paths = [
        item.path for folder in ("", "series", "series/monitoring") for item in client.list_artifacts(run.id, folder)
    ]
    assert {"notes.txt", "series/monitoring/log.jsonl", "series/weights.jsonl"} <= set(paths)
    text = Path(client.download_artifacts(run.id, "series/monitoring/log.jsonl")).read_text()
    assert '"value": "epoch 1 done"' in text
    refused = [warning for warning in done.warnings if "is refused" in warning]
    assert len(refused) == 3, "the climbing, the absolute and the linked path; the rest went on"


def test_import_twice_changes_nothing(mlflow_home: Path, export: Path) -> None:
    (export / "files" / PROJECT_FOLDER / "SIGN-1" / "lost.pt").write_bytes(b"found again")
    first = import_export(export)
    before = {run.id: open_store().curves(run.id) for run in open_store().list().runs}
    second = import_export(export)
    assert second.unchanged == first.new and not second.new and not second.changed
    assert second.runs == first.runs
    assert {run.id: open_store().curves(run.id) for run in open_store().list().runs} == before


def test_an_interrupted_import_and_new_parts_go_on_in_the_same_run(
    mlflow_home: Path, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from odits.tracking import importing

    def dies(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "_import_files", dies)
    with pytest.raises(KeyboardInterrupt):
        import_export(export)
    monkeypatch.undo()
    monkeypatch.setenv("ODITS_HOME", str(mlflow_home))
    assert import_export(export).changed == (f"{PROJECT}/SIGN-1",)
    assert len(open_store().curves(_imported("SIGN-1").id)["train/loss"]) == 5
    data = export / "data" / PROJECT_FOLDER
    write_part(data / "SIGN-2-77_part_1.parquet", [row("train/loss", "float_series", 0.5, 1, run="SIGN-2")])
    save_weights(export / "files" / PROJECT_FOLDER / "SIGN-1" / "lost.pt")
    third = import_export(export)
    assert set(third.changed) == {f"{PROJECT}/SIGN-1", f"{PROJECT}/SIGN-2"}
    assert [point.value for point in open_store().curves(_imported("SIGN-2").id)["train/loss"]] == [1.0, 0.5]
    assert len(open_store().list().runs) == 2


def test_a_part_that_breaks_off_names_its_run_and_the_others_go_on(mlflow_home: Path, export: Path) -> None:
    part = export / "data" / PROJECT_FOLDER / "SIGN-1-9f_part_1.parquet"
    content = bytearray(part.read_bytes())
    content[4 : len(content) // 2] = b"\x00" * (len(content) // 2 - 4)  # the footer stays, the rows are gone
    part.write_bytes(bytes(content))
    done = import_export(export)
    assert f"{PROJECT}/SIGN-2" in done.new
    assert any("SIGN-1-9f_part_1.parquet" in warning for warning in done.warnings)


def test_steps_keep_their_decimals(mlflow_home: Path, export: Path) -> None:
    rows = [row("fine", "float_series", value, value, run="SIGN-6") for value in (0.25, 1.0, 1.125)]
    assert rows[0]["step"] == Decimal("0.25")
    write_part(export / "data" / PROJECT_FOLDER / "SIGN-6-dd_part_0.parquet", rows)
    import_export(export)
    run = _imported("SIGN-6")
    assert [point.step for point in open_store().curves(run.id)["fine"]] == [250, 1000, 1125]
    assert run.tags["odits.step_decimals/fine"] == "3"
