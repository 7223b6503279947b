"""Runs of a Neptune export copied into MLflow, once however often it is asked for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from odits.core.errors import StoreError
from odits.core.files import file_digest, sha256_of, temporary_folder
from odits.core.progress import Progress, no_progress
from odits.core.store import work_lock
from odits.tracking.importing_names import (
    ORIGIN_TAG,
    Names,
    assign_keys,
    assign_paths,
    origin_of,
    read_names,
    write_names,
)
from odits.tracking.importing_registry import import_registry
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
from odits.tracking.neptune_export_files import FoundFile, bring_out, find_files, usual_suffix
from odits.tracking.neptune_export_index import ExportIndex, IndexedRun
from odits.tracking.neptune_export_layout import find_layout
from odits.tracking.neptune_export_reader import ExportedRun, milliseconds, moment_at, read_batches
from odits.tracking.neptune_export_summary import TEXT_SERIES, Summary, summarise
from odits.tracking.store import EPOCH

IDENTITY_TAG = "odits.import_identity"
"""A digest of the origin: a run's own id can hold every letter, a search for it can't."""
FINGERPRINT_TAG = "odits.import_fingerprint"
_VERSION = 2  # of what is copied
_METRICS = 1000
_PARAMETER_ROOM = 6000
_TAG_ROOM = 5000
_NAME_LETTERS = 500


@dataclass(frozen=True)
class ImportedRuns:
    """What an import did.

    Attributes:
        new: runs that were copied.
        changed: runs that were there and were brought up to date, or finished after an interruption.
        unchanged: runs that were there already.
        runs: the MLflow run of each run of the export.
        warnings: what had to be left out.
        failed: runs that could not be copied; warnings say why.
        models: "models:/NAME/VERSION" of each version of a model in the export's registry.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    runs: dict[str, str]
    warnings: tuple[str, ...]
    failed: tuple[str, ...]
    models: dict[str, str]


class _Existing(NamedTuple):
    """The MLflow run that an earlier import made of a run of the export."""

    id: str
    fingerprint: str


def import_export(
    folder: Path, place: str = "", progress: Progress = no_progress, files: Path | None = None
) -> ImportedRuns:
    """Copy parameters, metrics with their steps and times, series of text, files with their digests, and the registry.

    A run is found again by a tag that names where it came from. Metrics carry the times of the export, and MLflow keeps
    equal points once, so that an import that was interrupted, or finds new parts, goes on in the same run. What
    Neptune's names became is written into the run (`importing_names`).

    Args:
        folder: the export, holding data/ and files/, or its folder of data.
        place: MLflow's address; empty for the default.
        progress: called with (runs done, runs in all).
        files: the export's folder of files, where it lies elsewhere.

    Raises:
        StoreError: there is no export, MLflow does not answer, or another import is going on.
    """
    index = ExportIndex(find_layout(folder, files))
    index.save()
    warnings = dict.fromkeys(index.warnings)
    groups: dict[str, list[str]] = {"new": [], "changed": [], "unchanged": []}
    copies: dict[str, str] = {}
    models: dict[str, str] = {}
    if index.runs:
        with work_lock("import", "Another import is going on; please wait for it to end."):
            mlflow = open_mlflow(place)
            for done, indexed in enumerate(index.runs):
                progress(done, len(index.runs))
                run = indexed.run
                said: list[str] = []
                try:
                    with mlflow.errors():
                        outcome, copies[run.id] = _import_run(mlflow, indexed, said)
                    groups[outcome].append(run.id)
                except (StoreError, OSError) as error:
                    said.append(f"Run {run.id} is not imported: {error}")
                warnings |= dict.fromkeys(said)
            said = []
            models = import_registry(mlflow, [item for item in index.runs if item.run.id in copies], copies, said)
            warnings |= dict.fromkeys(said)
            progress(len(index.runs), len(index.runs))
    failed = tuple(item.run.id for item in index.runs if item.run.id not in copies)
    new, changed, unchanged = (tuple(groups[name]) for name in ("new", "changed", "unchanged"))
    return ImportedRuns(new, changed, unchanged, copies, tuple(warnings), failed, models)


def _import_run(mlflow: Mlflow, indexed: IndexedRun, warnings: list[str]) -> tuple[str, str]:
    """Copy one run; return "new", "changed" or "unchanged", and the MLflow run's id."""
    run = indexed.run
    experiment = experiment_id(mlflow, key(run.project))
    fingerprint = sha256_of(f"{_VERSION}\n{run.fingerprint()}")
    existing = _existing(mlflow, experiment, run)
    if existing is not None and existing.fingerprint == fingerprint:
        return "unchanged", existing.id
    unread: list[str] = []
    summary = summarise(run, unread)
    target = existing.id if existing else _create(mlflow, experiment, run, summary)
    missing: list[str] = []
    files = find_files(run, summary.files, missing, indexed.known)
    names = _names(run, summary, files, read_names(mlflow, target) if existing else {})
    write_names(mlflow, target, names)
    _import_values(mlflow, target, summary, names, warnings)
    for metrics in _grouped(_metrics(run, summary, names["metrics"])):
        mlflow.client.log_batch(target, metrics=metrics)
    _import_files(mlflow, target, run, files, names["files"], missing)
    _import_series(mlflow, target, run, names["series"])
    warnings.extend([*unread, *summary.complaints(run.id), *missing])
    ended = summary.moment("sys/modification_time")
    end = int(ended.timestamp() * 1000) if ended else None
    mlflow.client.set_terminated(target, "FAILED" if summary.values.get("sys/failed") is True else "FINISHED", end)
    if not unread and all(line.endswith("is refused.") for line in missing):  # what may still come is looked for again
        mlflow.client.set_tag(target, FINGERPRINT_TAG, fingerprint)
    return "changed" if existing else "new", target


def _existing(mlflow: Mlflow, experiment: str, run: ExportedRun) -> _Existing | None:
    queries = [f"tags.`{IDENTITY_TAG}` = '{sha256_of(origin_of(run.id))}'"]
    if not any(letter in run.id for letter in "'\"\\\n`"):  # imported before there was such a tag
        queries.append(f"tags.`{ORIGIN_TAG}` = '{origin_of(run.id)}'")
    for query in queries:
        for found in mlflow.client.search_runs([experiment], query, max_results=1):
            return _Existing(found.info.run_id, found.data.tags.get(FINGERPRINT_TAG, ""))
    return None


def _create(mlflow: Mlflow, experiment: str, run: ExportedRun, summary: Summary) -> str:
    started = summary.moment("sys/creation_time")
    return mlflow.client.create_run(
        experiment,
        start_time=int(started.timestamp() * 1000) if started else None,
        run_name=summary.describe("", run).name[:_NAME_LETTERS],
        tags={
            ORIGIN_TAG: origin_of(run.id)[:_TAG_ROOM],
            IDENTITY_TAG: sha256_of(origin_of(run.id)),
        },
    ).info.run_id


# Names.


def _names(run: ExportedRun, summary: Summary, files: Sequence[FoundFile], earlier: Names) -> Names:
    """Return what everything of the run is called in MLflow; what was called before keeps its name."""
    decimals, known = dict(summary.decimals), dict(earlier.get("metrics", {}))
    for name in [name for name in known if earlier.get("step_decimals", {}).get(name, 0) != decimals.get(name, 0)]:
        if name in summary.last:  # its steps are multiplied by another number now: a series of its own
            known[f"{name} (before)"] = known.pop(name)
    paths = {f"files\0{file.name}": file.name + usual_suffix(file) for file in files}
    paths |= {f"series\0{path}": f"series/{path}.jsonl" for path in sorted(summary.texts)}
    long = {**_long(summary.parameters(), _PARAMETER_ROOM), **_long(summary.tags(), _TAG_ROOM)}
    paths |= {f"values\0{path}": f"values/{path}.txt" for path in long}
    kinds = ("files", "series", "values")
    given = {f"{kind}\0{name}": path for kind in kinds for name, path in earlier.get(kind, {}).items()}
    found = {**given, **assign_paths(paths, given)}
    split = {kind: {n.partition("\0")[2]: p for n, p in found.items() if n.startswith(f"{kind}\0")} for kind in kinds}
    metrics = assign_keys(summary.metrics(), known)
    return {
        "run": {"project": run.project, "run": run.run, "kind": run.kind},
        "parameters": assign_keys(summary.parameters(), earlier.get("parameters", {})),
        "tags": assign_keys(summary.tags(), earlier.get("tags", {})),
        "metrics": {**known, **metrics},
        "step_decimals": decimals,
        **split,
    }


def _long(texts: Mapping[str, str], room: int) -> dict[str, str]:
    return {path: text for path, text in texts.items() if len(text) > room}


# Values.


def _import_values(mlflow: Mlflow, target: str, summary: Summary, names: Names, warnings: list[str]) -> None:
    """Log parameters and tags; those too long for MLflow become text files."""
    logged = mlflow.client.get_run(target).data.params
    parameters, tags = summary.parameters(), summary.tags()
    texts = {path: text for path, text in {**parameters, **tags}.items() if path in names["values"]}
    keys = names["parameters"]
    for path, text in parameters.items():
        if keys[path] in logged and path not in texts and logged[keys[path]] != text:
            warnings.append(
                f"Parameter {path} has changed since it was imported; MLflow keeps {logged[keys[path]]!r:.80}."
            )
    short = {keys[path]: text for path, text in parameters.items() if path not in texts and keys[path] not in logged}
    fitting = {names["tags"][path]: text for path, text in tags.items() if path not in texts}
    for path, places in names["step_decimals"].items():
        label = f"odits.step_decimals/{names['metrics'][path]}"
        if key(label) == label:
            fitting[label] = str(places)
    log_texts(mlflow, target, short, fitting)
    with temporary_folder("upload") as work:
        for path, text in texts.items():
            (work / "value.txt").write_text(text, encoding="utf-8")
            log_file(mlflow, target, work / "value.txt", names["values"][path])


def _metrics(run: ExportedRun, summary: Summary, keys: Mapping[str, str]) -> Iterator[Any]:
    """Yield every point of every series; steps with decimals are multiplied to whole ones: MLflow takes no others."""
    from mlflow.entities import Metric

    created = summary.moment("sys/creation_time") or EPOCH
    fallback = int(created.timestamp() * 1000)
    for path, value in summary.metrics().items():
        if path not in summary.last:
            yield Metric(keys[path], value, fallback, 0)
    columns = ("attribute_path", "attribute_type", "step", "timestamp", "float_value")
    for row in _rows(run, columns, ("float_series",)):
        if row["float_value"] is not None and row["step"] is not None:
            step = Decimal(str(row["step"])).scaleb(summary.decimals.get(row["attribute_path"], 0))
            millis = fallback if row["timestamp"] is None else row["timestamp"]
            yield Metric(keys[row["attribute_path"]], float(row["float_value"]), millis, int(step))


def _grouped(metrics: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(itertools.islice(metrics, _METRICS)):
        yield batch


def _rows(run: ExportedRun, columns: tuple[str, ...], kinds: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield the rows of some types that name an attribute; times are milliseconds since 1970."""
    for batch in read_batches(run, columns, []):
        rows = pa.Table.from_batches([batch]).drop_columns(["project_id", "run_id"])
        named = pc.not_equal(rows["attribute_path"].cast(pa.string()), "")
        rows = rows.filter(pc.and_(pc.is_in(rows["attribute_type"].cast(pa.string()), pa.array(kinds)), named))
        times = milliseconds(rows["timestamp"])
        yield from rows.set_column(rows.schema.get_field_index("timestamp"), "timestamp", times).to_pylist()


# Files.


def _import_files(
    mlflow: Mlflow,
    target: str,
    run: ExportedRun,
    files: Sequence[FoundFile],
    paths: Mapping[str, str],
    warnings: list[str],
) -> None:
    """Log the files; one that can't be read is named, and the others go on."""
    for file in files:
        try:
            _import_file(mlflow, target, file, paths[file.name])
        except (StoreError, OSError) as error:
            warnings.append(f"Run {run.id}, {file.name}: {error}")


def _import_file(mlflow: Mlflow, target: str, file: FoundFile, artifact: str) -> None:
    """Log a file under its name; one of weights is written down as a checkpoint, and not sent again."""
    with temporary_folder("member") as work:
        place = file.place
        if file.member:
            place = work / "member"
            bring_out(file, place, no_progress)
        record = checkpoint_record(file_digest(place), file.size, file.metadata)
        tag = CHECKPOINT_TAG + artifact
        if file.is_checkpoint and mlflow.client.get_run(target).data.tags.get(tag) == record:
            return
        log_file(mlflow, target, place, artifact)
        if file.is_checkpoint:
            mlflow.client.set_tag(target, tag, record)


def _import_series(mlflow: Mlflow, target: str, run: ExportedRun, paths: Mapping[str, str]) -> None:
    """Log series of text and of histograms as JSON lines."""
    columns = ("attribute_path", "attribute_type", "step", "timestamp", "string_value", "histogram_value")
    with temporary_folder("upload") as work:
        files = {path: work / f"{number}.jsonl" for number, path in enumerate(sorted(paths))}
        rows = _rows(run, columns, TEXT_SERIES) if files else iter(())
        for path, group in itertools.groupby(rows, key=lambda row: row["attribute_path"]):
            with files[path].open("a", encoding="utf-8") as out:
                for row in group:
                    value = row["string_value"] if row["string_value"] is not None else row["histogram_value"]
                    moment = moment_at(row["timestamp"])
                    line = {"step": float(row["step"]) if row["step"] is not None else None, "value": value}
                    line["time"] = moment.isoformat() if moment else None
                    out.write(json.dumps(line, default=str) + "\n")
        for path, file in files.items():
            if file.is_file():
                log_file(mlflow, target, file, paths[path])
