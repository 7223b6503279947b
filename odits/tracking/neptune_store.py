"""Runs and checkpoints on a Neptune server (self-hosted ones are left), through the `neptune` package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from odits.core.errors import StoreError
from odits.core.files import file_digest, watched
from odits.core.progress import Progress
from odits.models.registry import read_metadata
from odits.tracking.neptune_client import open_neptune, project_name, speaking
from odits.tracking.neptune_export_reader import aware
from odits.tracking.neptune_tracker import RECORDS
from odits.tracking.store import Listing, Point, StoredCheckpoint, StoredRun, is_weights, pick, safe_name

_RUNS = 1000
_SCALARS = ("float", "int", "string", "bool", "datetime")


class NeptuneStore:
    """A `CheckpointStore` over one Neptune project."""

    def __init__(self, place: str = "") -> None:
        self._place = place
        self.source = f"neptune:{place}" if place else "neptune"

    @contextmanager
    def _opened(self, kind: str, **options: Any) -> Iterator[Any]:
        """A run or project of the client, closed again."""
        project = project_name(self._place)

        def opener() -> Any:
            import neptune

            return getattr(neptune, kind)(project=project, **options)

        found = open_neptune(opener)
        try:
            with speaking():
                yield found
        finally:
            found.stop(seconds=5)

    def list(self) -> Listing:
        """The newest thousand runs of the project."""
        with self._opened("init_project", mode="read-only") as project:
            rows = project.fetch_runs_table(limit=_RUNS, progress_bar=False).to_rows()
            found = tuple(describe_row(self.source, row) for row in rows)
        cut = (f"Only the newest {_RUNS} runs are listed.",) if len(found) == _RUNS else ()
        return Listing(found, cut)

    def run(self, run: str) -> StoredRun:
        """One run, by Neptune's id such as SIGNS-12, or by its custom id."""
        with self._opened("init_project", mode="read-only") as project:
            query = f'(`sys/id`:string = "{_plain(run)}") OR (`sys/custom_run_id`:string = "{_plain(run)}")'
            rows = project.fetch_runs_table(query=query, progress_bar=False).to_rows()
            if not rows:
                raise StoreError(f"There is no run '{run}' in {self.source}.")
            return describe_row(self.source, rows[0])

    def curves(self, run: str) -> dict[str, tuple[Point, ...]]:
        """Every series of numbers of the run."""
        found: dict[str, tuple[Point, ...]] = {}
        with self._opened("init_run", with_id=self.run(run).id, mode="read-only") as opened:
            for path, kind in _leaves(opened.get_structure()):
                if kind == "FloatSeries":
                    table = opened[path].fetch_values(progress_bar=False)
                    times = table["timestamp"] if "timestamp" in table else [None] * len(table)
                    values = zip(table["step"], table["value"], times, strict=True)
                    found[path] = tuple(Point(float(step), float(value), time) for step, value, time in values)
        return found

    def find(self, reference: str) -> StoredCheckpoint:
        """The checkpoint of "RUN/NAME", or of "RUN" where it has only one."""
        run, _, name = reference.partition("/")
        return pick(self.run(run), name)

    def fetch(self, checkpoint: StoredCheckpoint, folder: Path, progress: Progress) -> Path:
        """The file, downloaded into the folder."""
        name = PurePosixPath(checkpoint.name)
        attribute = checkpoint.metadata.get("attribute", checkpoint.name)
        target = folder / (safe_name(name.stem) + (name.suffix or ".safetensors"))
        with (
            self._opened("init_run", with_id=checkpoint.run, mode="read-only") as opened,
            watched(folder, checkpoint.size or 0, progress),
        ):
            opened[attribute].download(str(target), progress_bar=False)
        return target

    def push(self, path: Path, name: str, run: str | None = None) -> StoredCheckpoint:
        """The checkpoint that the safetensors file has become."""
        metadata = read_metadata(path)
        stem = safe_name(name.removesuffix(".safetensors"))
        digest, size = file_digest(path), path.stat().st_size
        options: dict[str, Any] = {"with_id": self.run(run).id} if run else {"name": name}
        quiet = {"capture_stdout": False, "capture_stderr": False, "capture_hardware_metrics": False}
        with self._opened("init_run", mode="sync", source_files=[], git_ref=False, **quiet, **options) as opened:
            opened[f"checkpoints/{stem}"].upload(str(path), wait=True)
            opened[f"{RECORDS}/{stem}"] = json.dumps({"sha256": digest, "size": size, "metadata": metadata})
            owner = str(opened["sys/id"].fetch())
        return StoredCheckpoint(self.source, owner, f"checkpoints/{stem}.safetensors", size, digest, metadata)


def describe_row(source: str, row: Any) -> StoredRun:
    """The run of a row of Neptune's runs table."""
    kinds = {attribute.path: attribute.type.value for attribute in row._attributes}
    values = {path: row.get_attribute_value(path) for path, kind in kinds.items() if kind in _SCALARS}
    last = {path: row.get_attribute_value(path) for path, kind in kinds.items() if kind == "floatSeries"}
    run = str(values.get("sys/id", ""))
    plain = {path: value for path, value in values.items() if not path.startswith(("sys/", f"{RECORDS}/"))}
    numbers = {path: value for path, value in plain.items() if isinstance(value, float)}
    return StoredRun(
        source=source,
        id=run,
        name=str(values.get("odits/name") or values.get("sys/name") or run),
        status="failed" if values.get("sys/failed") is True else str(values.get("odits/status", "finished")),
        started=_moment(values.get("sys/creation_time")),
        parameters={path.removeprefix("parameters/"): str(value) for path, value in plain.items()},
        metrics={**_finite(numbers), **_finite(last)},
        tags={path: str(value) for path, value in values.items() if path.startswith("sys/")},
        checkpoints=tuple(
            _checkpoint(source, run, path, values)
            for path, kind in sorted(kinds.items())
            if kind == "file" and (path.startswith("checkpoints/") or is_weights(path))
        ),
    )


def _checkpoint(source: str, run: str, path: str, values: dict[str, Any]) -> StoredCheckpoint:
    """The checkpoint at a path; its record, where this program wrote one, says digest and size."""
    try:
        record = json.loads(values[f"{RECORDS}/{path.removeprefix('checkpoints/')}"])
        size, digest = int(record["size"]), str(record["sha256"])
        metadata = {str(name): str(value) for name, value in record["metadata"].items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        size, digest, metadata = None, None, {}
    name = path if is_weights(path) else f"{path}.safetensors"
    return StoredCheckpoint(source, run, name, size, digest, {**metadata, "attribute": path})


def _finite(values: dict[str, Any]) -> dict[str, float]:
    return {path: float(value) for path, value in values.items() if value is not None}


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return aware(value)
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC) if value else None
    except ValueError:
        return None


def _leaves(structure: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(path, kind) of everything in the structure that the client gives."""
    for name, value in structure.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", type(value).__name__


def _plain(text: str) -> str:
    """The text without what could end a string of a query."""
    return text.replace("\\", "").replace('"', "")
