"""Runs and their checkpoints as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from odits.evaluation.results import KeptEvaluation
from odits.tracking.store import Point, StoredCheckpoint, StoredRun
from pages._checkpoints.names import epoch, short_name

Curves = Mapping[str, Sequence[Point]]

METRICS = {
    "Precision": "confidence/precision",
    "F1": "confidence/f1",
    "Precision at 10": "rank/precision_at_10",
    "Average precision": "rank/average_precision",
}
LOSSES = ("loss/total", "train/loss", "loss")


def run_names(runs: Sequence[StoredRun]) -> dict[str, str]:
    """The name of each run by its id; equal ones are told apart by their ids."""
    names = [run.name for run in runs]
    return {
        run.id: run.name if names.count(run.name) == 1 else f"{run.name} · {run.id.rpartition('/')[2][:8]}"
        for run in runs
    }


def run_table(runs: Sequence[StoredRun]) -> pd.DataFrame:
    """One row a run: when, how it ended, its last loss, its last evaluation, and how many checkpoints it keeps."""
    names = run_names(runs)
    rows = [
        {
            "Run": names[run.id],
            "Started": run.started,
            "State": run.status,
            "Total loss": next((run.metrics[name] for name in LOSSES if name in run.metrics), None),
            **{title: evaluated(run.metrics, path) for title, path in METRICS.items()},
            "Checkpoints": len(run.checkpoints),
        }
        for run in runs
    ]
    table = pd.DataFrame(rows)
    table["Started"] = pd.to_datetime(table["Started"], utc=True)
    return _known(table)


def checkpoint_table(
    found: Sequence[tuple[StoredRun, StoredCheckpoint]],
    names: Mapping[str, str],
    curves: Mapping[str, Curves],
    kept: Sequence[KeptEvaluation],
    here: Sequence[bool],
) -> pd.DataFrame:
    """One row a checkpoint: its run, epoch, time, loss, evaluation, size, and whether it is on this machine.

    Args:
        found: the checkpoints with their runs.
        names: of the runs, by id.
        curves: of the runs, by id.
        kept: evaluations made on this machine, newest first: they count where the run has none.
        here: whether each is on this machine.
    """
    rows = []
    for (run, item), local in zip(found, here, strict=True):
        metadata = dict(item.metadata)
        step = epoch(metadata)
        logged = curves.get(run.id, {})
        own = next((one for one in kept if item.digest and one.checkpoint == item.digest), None)
        loss = metadata.get("total_loss")
        rows.append(
            {
                "Checkpoint": short_name(metadata.get("name", "")) or _plain_name(item.name),
                "Run": names[run.id],
                "Epoch": step or None,
                "Kept at": time_at(logged, step) or run.started,
                "Loss": float(loss) if loss else _at(logged, LOSSES, step),
                **{
                    title: _evaluated_at(logged, path, step) if own is None else _of_group(own, path)
                    for title, path in METRICS.items()
                },
                "Size (MiB)": round(item.size / 2**20, 1) if item.size is not None else None,
                "Here": local,
            }
        )
    table = pd.DataFrame(rows)
    table["Kept at"] = pd.to_datetime(table["Kept at"], utc=True)
    return _known(table)


def evaluated(metrics: Mapping[str, float], path: str) -> float | None:
    """The value of a metric such as "confidence/precision" on the evaluation images, whoever logged it."""
    for name in (f"eval/{path}", f"evaluation/{path}", path):
        if name in metrics:
            return metrics[name]
    return next((value for name, value in metrics.items() if name.endswith(f"/{path}")), None)


def time_at(curves: Curves, step: int) -> datetime | None:
    """When the epoch was logged."""
    for name in LOSSES:
        for point in curves.get(name, ()):
            if point.step == step:
                return point.time
    return None


def _at(curves: Curves, names: Sequence[str], step: int) -> float | None:
    values = {name: point.value for name in names for point in curves.get(name, ()) if point.step == step}
    return next(iter(values.values()), None)


def _evaluated_at(curves: Curves, path: str, step: int) -> float | None:
    values = {name: point.value for name, points in curves.items() for point in points if point.step == step}
    return evaluated(values, path)


def _of_group(kept: KeptEvaluation, path: str) -> float | None:
    group, _, name = path.partition("/")
    value: Any = kept.groups[group][name]
    return value


def _plain_name(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".safetensors")


def _known(table: pd.DataFrame) -> pd.DataFrame:
    """The table without the metrics that nobody measured."""
    empty = [
        title for title in ("Total loss", "Loss", "Epoch", *METRICS) if title in table and table[title].isna().all()
    ]
    return table.drop(columns=empty)
