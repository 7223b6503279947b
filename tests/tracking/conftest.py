"""Small real stores: MLflow's tables made once, and a Neptune export written with pyarrow."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

SCHEMA = pa.schema(
    [
        ("project_id", pa.string()),
        ("run_id", pa.string()),
        ("attribute_path", pa.string()),
        ("attribute_type", pa.string()),
        ("step", pa.decimal128(18, 6)),
        ("timestamp", pa.timestamp("ms", tz="UTC")),
        ("int_value", pa.int64()),
        ("float_value", pa.float64()),
        ("string_value", pa.string()),
        ("bool_value", pa.bool_()),
        ("datetime_value", pa.timestamp("ms", tz="UTC")),
        ("string_set_value", pa.list_(pa.string())),
        ("file_value", pa.struct([("path", pa.string())])),
        (
            "histogram_value",
            pa.struct([("type", pa.string()), ("edges", pa.list_(pa.float64())), ("values", pa.list_(pa.float64()))]),
        ),
    ]
)
START = datetime(2025, 3, 1, 12, tzinfo=UTC)
PROJECT = "team/signs"
PROJECT_FOLDER = "team_signs-1a2b"

Row = dict[str, Any]


def row(path: str, kind: str, value: Any, step: float | None = None, run: str = "SIGN-1") -> Row:
    """One row of an export."""
    columns = {"file": "file_value", "file_series": "file_value", "float_series": "float_value"}
    columns |= {"string_series": "string_value", "histogram_series": "histogram_value"}
    found: Row = dict.fromkeys(SCHEMA.names)
    found |= {"project_id": PROJECT, "run_id": run, "attribute_path": path, "attribute_type": kind}
    found[columns.get(kind, f"{kind}_value")] = {"path": value} if kind.startswith("file") else value
    if step is not None:
        found["step"] = Decimal(str(step))
        found["timestamp"] = START + timedelta(minutes=step)
    return found


def write_part(path: Path, rows: list[Row], row_group_size: int = 4) -> None:
    """A part of several row groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path, row_group_size=row_group_size)


def save_weights(path: Path, value: float = 1.0) -> None:
    """A tiny safetensors checkpoint that names its architecture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.full((64, 4), value)}, path, {"architecture": "odits-signs", "name": f"tiny {value}"})


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export: one run in two parts, one part unfinished, one path that climbs out, one link that does."""
    folder = tmp_path / "export"
    data, files = folder / "data" / PROJECT_FOLDER, folder / "files" / PROJECT_FOLDER
    save_weights(files / "SIGN-1" / "best.safetensors", 2.0)
    (tmp_path / "secret.safetensors").write_bytes(b"not yours")
    (files / "SIGN-1" / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    (files / "SIGN-1" / "notes.txt").write_text("a note")
    first = [
        row("sys/name", "string", "clip +3"),
        row("sys/creation_time", "datetime", START),
        row("sys/failed", "bool", False),
        row("parameters/learning_rate", "float", 5e-5),
        row("parameters/batch", "int", 128),
        row("parameters/words", "string_set", ["HOTEL", "BAR"]),
        row("evaluation/precision", "float", 0.276),
        *(row("train/loss", "float_series", 4.0 - step, step) for step in range(3)),
    ]
    second = [
        *(row("train/loss", "float_series", 4.0 - step, step) for step in range(3, 5)),
        *(row("train/half", "float_series", step, step) for step in (0.5, 1.0, 1.5)),
        row("monitoring/log", "string_series", "epoch 1 done", 1),
        row("weights", "histogram_series", {"type": "COUNTING", "edges": [0.0, 1.0], "values": [3.0]}, 1),
        row("checkpoints/best", "file", "SIGN-1/best.safetensors"),
        row("checkpoints/climbs", "file", "../../../secret.safetensors"),
        row("checkpoints/absolute", "file", str(tmp_path / "secret.safetensors")),
        row("checkpoints/linked", "file", "SIGN-1/link.safetensors"),
        row("checkpoints/lost", "file", "SIGN-1/lost.pt"),
        row("notes", "file", "SIGN-1/notes.txt"),
    ]
    write_part(data / "SIGN-1-9f_part_0.parquet", first)
    write_part(data / "SIGN-1-9f_part_1.parquet", second)
    write_part(data / "SIGN-2-77_part_0.parquet", [row("train/loss", "float_series", 1.0, 0, run="SIGN-2")])
    (data / "SIGN-3-aa_part_0.parquet.tmp").write_bytes(b"PAR1 and then the power went")
    (data / "SIGN-4-bb_part_0.parquet").write_bytes(b"PAR1 cut off")
    return folder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow SQLite file with its tables and nothing in them: making them takes MLflow seconds."""
    from odits.tracking.mlflow_client import open_mlflow

    file = tmp_path_factory.mktemp("mlflow") / "empty.db"
    open_mlflow(f"sqlite:///{file}")
    return file


@pytest.fixture
def mlflow_home(home: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default store of a test, tables ready."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    target = home / "mlflow" / "mlflow.db"
    target.parent.mkdir(parents=True)
    with sqlite3.connect(empty_store) as source, sqlite3.connect(target) as copy:
        source.backup(copy)
    return home


@pytest.fixture
def weights(tmp_path: Path) -> Callable[[float], Path]:
    """Makes tiny checkpoints."""

    def make(value: float) -> Path:
        path = tmp_path / f"weights-{value}.safetensors"
        if not path.exists():  # safetensors writes its metadata in another order each time, so the bytes differ
            save_weights(path, value)
        return path

    return make
