"""Runs of a Neptune export copied into MLflow, once however often it is asked for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from odits.core.errors import StoreError
from odits.core.files import file_digest, safe_name, sha256_of, temporary_folder
from odits.core.progress import Progress, no_progress
from odits.core.store import work_lock
from odits.tracking.mlflow_client import (
    CHECKPOINT_TAG,
    Mlflow,
    checkpoint_record,
    experiment_id,
    key,
    log_file,
    log_texts,
    open_mlflow,
)
from odits.tracking.neptune_export_reader import (
    TEXT_SERIES,
    ExportedRun,
    Summary,
    as_text,
    exported_runs,
    is_checkpoint,
    located,
    read_batches,
    summarise,
)
from odits.tracking.store import aware

ORIGIN_TAG = "odits.imported_from"
FINGERPRINT_TAG = "odits.import_fingerprint"
_METRICS = 1000
_PARAMETER_ROOM = 6000


@dataclass(frozen=True)
class ImportedRuns:
    """What an import did.

    Attributes:
        new: runs that were copied.
        changed: runs that were there and were brought up to date, or finished after an interruption.
        unchanged: runs that were there already.
        runs: the MLflow run of each run of the export.
        warnings: what had to be left out.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    runs: dict[str, str]
    warnings: tuple[str, ...]


class _Existing(NamedTuple):
    """The MLflow run that an earlier import made of a run of the export."""

    id: str
    fingerprint: str


def import_export(folder: Path, place: str = "", progress: Progress = no_progress) -> ImportedRuns:
    """Copy parameters, metrics with their steps and times, series of text, files with their digests.

    A run is found again by a tag that names where it came from. Metrics carry the times of the export, and MLflow keeps
    equal points once, so that an import that was interrupted, or finds new parts, goes on in the same run.

    Args:
        folder: the export, holding data/ and files/.
        place: MLflow's address; empty for the default.
        progress: called with (runs done, runs in all).

    Raises:
        StoreError: there is no export, MLflow does not answer, or another import is going on.
    """
    runs, warnings = exported_runs(folder)
    groups: dict[str, list[str]] = {"new": [], "changed": [], "unchanged": []}
    copies: dict[str, str] = {}
    if runs:
        with work_lock("import", "Another import is going on; please wait for it to end."):
            mlflow = open_mlflow(place)
            for done, run in enumerate(runs):
                progress(done, len(runs))
                try:
                    with mlflow.errors():
                        outcome, copies[run.id] = _import_run(mlflow, run, warnings)
                    groups[outcome].append(run.id)
                except StoreError as error:
                    warnings.append(f"Run {run.id} is not imported: {error}")
            progress(len(runs), len(runs))
    new, changed, unchanged = (tuple(groups[name]) for name in ("new", "changed", "unchanged"))
    return ImportedRuns(new, changed, unchanged, copies, tuple(warnings))


def _import_run(mlflow: Mlflow, run: ExportedRun, warnings: list[str]) -> tuple[str, str]:
    """Copy one run; return "new", "changed" or "unchanged", and the MLflow run's id."""
    experiment = experiment_id(mlflow, key(run.project))
    existing = _existing(mlflow, experiment, run)
    if existing is not None and existing.fingerprint == run.fingerprint:
        return "unchanged", existing.id
    summary = summarise(run)
    target = existing.id if existing else _create(mlflow, experiment, run, summary)
    logged = set(mlflow.client.get_run(target).data.params)
    short = {k: v for k, v in summary.parameters().items() if len(v) <= _PARAMETER_ROOM and key(k) not in logged}
    tags: dict[str, Any] = {name: value for name, value in summary.values.items() if name.startswith("sys/")}
    tags |= {f"odits.step_decimals/{name}": value for name, value in summary.decimals.items()}
    log_texts(mlflow, target, short, {name: as_text(value) for name, value in tags.items()})
    for metrics in _grouped(_metrics(run, summary)):
        mlflow.client.log_batch(target, metrics=metrics)
    missing: list[str] = []
    _import_files(mlflow, target, run, summary, missing)
    _import_texts(mlflow, target, run, summary)
    warnings.extend(missing)
    ended = summary.values.get("sys/modification_time")
    end = int(aware(ended).timestamp() * 1000) if isinstance(ended, datetime) else None
    mlflow.client.set_terminated(target, "FAILED" if summary.values.get("sys/failed") is True else "FINISHED", end)
    if not any("is missing" in line for line in missing):  # a file may still come: such a run is imported again
        mlflow.client.set_tag(target, FINGERPRINT_TAG, _short(run.fingerprint))
    return "changed" if existing else "new", target


def _short(fingerprint: str) -> str:
    return sha256_of(fingerprint)


def _existing(mlflow: Mlflow, experiment: str, run: ExportedRun) -> _Existing | None:
    quoted = run.id.replace("'", "")
    found = mlflow.client.search_runs([experiment], f"tags.`{ORIGIN_TAG}` = 'neptune-export:{quoted}'", max_results=1)
    if not found:
        return None
    stored = found[0].data.tags.get(FINGERPRINT_TAG, "")
    return _Existing(found[0].info.run_id, run.fingerprint if stored == _short(run.fingerprint) else "")


def _create(mlflow: Mlflow, experiment: str, run: ExportedRun, summary: Summary) -> str:
    started = summary.values.get("sys/creation_time")
    start = int(aware(started).timestamp() * 1000) if isinstance(started, datetime) else None
    quoted = run.id.replace("'", "")
    return mlflow.client.create_run(
        experiment,
        start_time=start,
        run_name=str(summary.values.get("sys/name") or run.run),
        tags={ORIGIN_TAG: f"neptune-export:{quoted}"},
    ).info.run_id


def _metrics(run: ExportedRun, summary: Summary) -> Iterator[Any]:
    """Yield every point of every series; steps with decimals are multiplied to whole ones: MLflow takes no others."""
    from mlflow.entities import Metric

    created = summary.values.get("sys/creation_time")
    fallback = aware(created) if isinstance(created, datetime) else datetime.fromtimestamp(0, UTC)
    names = set(summary.last)
    for path, value in summary.metrics().items():
        if path not in names:
            yield Metric(key(path), value, int(fallback.timestamp() * 1000), 0)
    columns = ("attribute_path", "attribute_type", "step", "timestamp", "float_value")
    for row in _rows(run, columns, ("float_series",)):
        if row["float_value"] is not None and row["step"] is not None:
            step = Decimal(str(row["step"])).scaleb(summary.decimals.get(row["attribute_path"], 0))
            moment = aware(row["timestamp"]) if row["timestamp"] is not None else fallback
            millis = int(moment.timestamp() * 1000)
            yield Metric(key(row["attribute_path"]), float(row["float_value"]), millis, int(step))


def _grouped(metrics: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(itertools.islice(metrics, _METRICS)):
        yield batch


def _rows(run: ExportedRun, columns: tuple[str, ...], kinds: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for batch in read_batches(run, columns):
        rows = pa.Table.from_batches([batch])
        yield from rows.filter(pc.is_in(rows["attribute_type"].cast(pa.string()), pa.array(kinds))).to_pylist()


def _import_files(mlflow: Mlflow, target: str, run: ExportedRun, summary: Summary, warnings: list[str]) -> None:
    """Log the files under their attributes' names; those of weights are written down as checkpoints."""
    for file, place in located(run, summary, warnings):
        artifact = _artifact(file.name)
        log_file(mlflow, target, place, artifact)
        if is_checkpoint(file):
            record = checkpoint_record(file_digest(place), place.stat().st_size, {"attribute": file.attribute})
            mlflow.client.set_tag(target, CHECKPOINT_TAG + artifact, record)


def _artifact(name: str) -> str:
    return "/".join(safe_name(part) for part in key(name).split("/"))


def _import_texts(mlflow: Mlflow, target: str, run: ExportedRun, summary: Summary) -> None:
    """Log series of text and of histograms as JSON lines, and values too long for a parameter as text files."""
    with temporary_folder("upload") as work:
        names = {path: f"{index}.jsonl" for index, path in enumerate(sorted(summary.texts))}
        columns = ("attribute_path", "attribute_type", "step", "timestamp", "string_value", "histogram_value")
        rows = _rows(run, columns, TEXT_SERIES) if names else iter(())
        for path, group in itertools.groupby(rows, key=lambda row: row["attribute_path"]):
            with ExitStack() as stack:
                out = stack.enter_context((work / names[path]).open("a", encoding="utf-8"))
                for row in group:
                    value = row["string_value"] if row["string_value"] is not None else row["histogram_value"]
                    line = {"step": float(row["step"]) if row["step"] is not None else None, "value": value}
                    line["time"] = aware(row["timestamp"]).isoformat() if row["timestamp"] is not None else None
                    out.write(json.dumps(line, default=str) + "\n")
        for path, name in names.items():
            log_file(mlflow, target, work / name, f"series/{_artifact(path)}.jsonl")
        for path, text in summary.parameters().items():
            if len(text) > _PARAMETER_ROOM:
                (work / "long.txt").write_text(text, encoding="utf-8")
                log_file(mlflow, target, work / "long.txt", f"values/{_artifact(path)}.txt")
