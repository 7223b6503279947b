"""What a run of an export holds: many runs at a time, in one pass over their rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from odits.tracking.neptune_export_layout import Parts
from odits.tracking.neptune_export_reader import ExportedRun, Owner, milliseconds, moment_at, read_batches, read_rows
from odits.tracking.store import StoredRun, aware

VALUES = {
    "float": "float_value",
    "int": "int_value",
    "string": "string_value",
    "bool": "bool_value",
    "datetime": "datetime_value",
    "string_set": "string_set_value",
}
"""Attribute types with one value, and the column it stands in."""

FILES = ("file", "file_series", "file_set", "artifact")
TEXT_SERIES = ("string_series", "histogram_series")
SETTINGS = ("parameters/", "params/", "hyperparameters/", "config/")
"""Folders whose numbers are settings; numbers elsewhere are taken for results, such as those of an evaluation."""

_COLUMNS = ("attribute_path", "attribute_type", "step", "timestamp", *VALUES.values(), "file_value")
_CHUNK_ROWS = 1 << 16
_READERS, _AHEAD = 2, 64
_SMALL_BYTES = 1 << 18
_PLACES = 6  # a step is a decimal(18, 6)
_NO_TIME = -(1 << 62)
_NAMED = 3  # attributes in a sentence


class Last(NamedTuple):
    """The end of a series: the highest step; of equal steps the latest, then the largest value, as in MLflow."""

    step: float
    time: int
    value: float


@dataclass(frozen=True)
class ExportedFile:
    """A file that a run names: its attribute and type, its path below the project's folder, its step in a series."""

    attribute: str
    path: str
    kind: str = "file"
    step: Decimal | None = None


@dataclass
class Summary:
    """What one pass over a run found.

    Attributes:
        values: attributes with one value, by path.
        last: the end of each series of numbers.
        decimals: the decimal places that a series' steps need; absent where they are whole.
        files: every file that is named; whether it is there is not known yet.
        texts: paths of series of text or histograms.
        unnamed: how many rows name no attribute.
        unexported: attributes of files whose rows say of none where it lies.
    """

    values: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Last] = field(default_factory=dict)
    decimals: dict[str, int] = field(default_factory=dict)
    files: list[ExportedFile] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)
    unnamed: int = 0
    unexported: list[str] = field(default_factory=list)

    def parameters(self) -> dict[str, str]:
        """Return every single value outside sys/, as text."""
        return {path: as_text(value) for path, value in self.values.items() if not path.startswith("sys/")}

    def tags(self) -> dict[str, str]:
        """Return every single value in sys/, as text."""
        return {path: as_text(value) for path, value in self.values.items() if path.startswith("sys/")}

    def metrics(self) -> dict[str, float]:
        """Return the last value of each series, and single numbers that are no settings."""
        single = {
            path: value
            for path, value in self.values.items()
            if isinstance(value, float) and not path.startswith(("sys/", *SETTINGS))
        }
        return {**single, **{path: last.value for path, last in self.last.items()}}

    def moment(self, path: str) -> datetime | None:
        """Return the moment that an attribute holds."""
        found = self.values.get(path)
        return found if isinstance(found, datetime) else None

    def describe(self, source: str, run: ExportedRun) -> StoredRun:
        """Return the run as the stores show it, without its checkpoints."""
        title = {"run": "", "models": "Model ", "model_versions": "Model version "}[run.kind]
        name = self.values.get("sys/name") or run.run
        return StoredRun(
            source=source,
            id=run.id,
            name=f"{title}{name}" if name == run.run or not title else f"{title}{run.run}: {name}",
            status="failed" if self.values.get("sys/failed") is True else "finished",
            started=self.moment("sys/creation_time"),
            parameters=self.parameters(),
            metrics=self.metrics(),
            tags=self.tags(),
        )

    def complaints(self, run: str) -> list[str]:
        """Name what had to be left out of the run."""
        rows = (
            "1 row without an attribute path is"
            if self.unnamed == 1
            else f"{self.unnamed:,} rows without an attribute path are"
        )
        lines = [f"Run {run}: {rows} left out."] if self.unnamed else []
        if self.unexported:
            first = ", ".join(self.unexported[:_NAMED])
            more = f" and {len(self.unexported) - _NAMED:,} more" if len(self.unexported) > _NAMED else ""
            lines.append(f"Run {run}: the exporter brought no file for {first}{more}.")
        return lines


def summarise(run: ExportedRun, warnings: list[str]) -> Summary:
    """Summarise a run; what can't be read of it is named in `warnings`."""
    found = Summary()
    collector = _Collector()
    for batch in read_batches(run, _COLUMNS, warnings):
        collector.add(found, batch)
    collector.flush()
    return found


class Scanned(NamedTuple):
    """What was found in the parts of one run; no run where they have no row that can be read."""

    parts: Parts
    run: ExportedRun | None
    summary: Summary
    warnings: list[str]


def scan(groups: Iterable[Parts]) -> list[Scanned]:
    """Read and summarise the runs of many parts, small ones on two threads: most of the time goes to opening them."""
    collector = _Collector()
    found: list[Scanned] = []
    with ThreadPoolExecutor(_READERS) as pool:
        for parts, reading in _ahead(pool, groups):
            summary = Summary()
            warnings: list[str] = []
            paths: list[Path] = []
            owner = None
            rows, said = reading.result() if reading else (read_rows(parts.paths, _COLUMNS, warnings), [])
            for found_owner, path, batch in rows:
                owner = found_owner
                if path not in paths:
                    paths.append(path)
                collector.add(summary, batch)
            run = ExportedRun(*owner, tuple(paths), parts.files, parts.kind) if owner else None
            found.append(Scanned(parts, run, summary, [*warnings, *said]))
        collector.flush()
    return found


_Rows = tuple[list[tuple[Owner, Path, pa.RecordBatch]], list[str]]


def _ahead(pool: ThreadPoolExecutor, groups: Iterable[Parts]) -> Iterator[tuple[Parts, Future[_Rows] | None]]:
    """Yield each run's parts with their rows, which are read a few runs ahead; large ones are left to be streamed."""
    waiting: deque[tuple[Parts, Future[_Rows] | None]] = deque()
    for parts in groups:
        small = sum(size for _, size, _ in parts.stamps) <= _SMALL_BYTES
        waiting.append((parts, pool.submit(_read_small, parts) if small else None))
        if len(waiting) > _AHEAD:
            yield waiting.popleft()
    yield from waiting


def _read_small(parts: Parts) -> _Rows:
    warnings: list[str] = []
    return list(read_rows(parts.paths, _COLUMNS, warnings)), warnings


class _Collector:
    """Adds rows to the summaries of their runs, as many runs at a time as fit a chunk: rows are few, runs are many."""

    def __init__(self) -> None:
        self.pending: list[tuple[Summary, pa.RecordBatch]] = []
        self._rows = 0

    def add(self, summary: Summary, batch: pa.RecordBatch) -> None:
        """Take rows of a run; the summary holds them at the latest after `flush`."""
        self.pending.append((summary, batch))
        self._rows += batch.num_rows
        if self._rows >= _CHUNK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Add all rows that were taken."""
        by_schema: dict[pa.Schema, list[tuple[Summary, pa.RecordBatch]]] = {}
        for summary, batch in self.pending:
            by_schema.setdefault(batch.schema, []).append((summary, batch))
        for schema, pairs in by_schema.items():
            rows = pa.Table.from_batches([batch for _, batch in pairs], schema)
            owners = np.repeat(np.arange(len(pairs)), [batch.num_rows for _, batch in pairs])
            _absorb(rows, owners, [summary for summary, _ in pairs])
        self.pending.clear()
        self._rows = 0


def _absorb(rows: pa.Table, owners: np.ndarray, summaries: Sequence[Summary]) -> None:
    """Add the rows to the summaries that `owners` says, an index each."""
    kinds = rows["attribute_type"].cast(pa.string())
    paths = rows["attribute_path"].cast(pa.string())
    named = _mask(pc.and_(pc.is_valid(paths), pc.not_equal(paths, "")))
    for owner, count in zip(*np.unique(owners[~named], return_counts=True), strict=True):
        summaries[owner].unnamed += int(count)
    numbers = pc.and_(
        pc.equal(kinds, "float_series"), pc.and_(pc.is_valid(rows["float_value"]), pc.is_valid(rows["step"]))
    )
    _add_series(rows, paths, np.flatnonzero(_mask(numbers) & named), owners, summaries)
    single = np.flatnonzero(_mask(pc.is_in(kinds, pa.array([*VALUES, *FILES]))) & named)
    _add_values(rows.take(single), owners[single], summaries)
    texts = np.flatnonzero(_mask(pc.is_in(kinds, pa.array(TEXT_SERIES))) & named)
    for owner, path in set(zip(owners[texts].tolist(), paths.take(texts).to_pylist(), strict=True)):
        summaries[owner].texts.add(path)


def _mask(condition: Any) -> np.ndarray:
    found: np.ndarray = pc.fill_null(condition, False).to_numpy()
    return found


def _add_series(
    rows: pa.Table, paths: pa.ChunkedArray, which: np.ndarray, owners: np.ndarray, summaries: Sequence[Summary]
) -> None:
    """Keep the end of each series and the decimal places of its steps; `which` rows are points of one."""
    if not which.size:
        return
    encoded = paths.take(which).combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    keys = owners[which] * len(names) + encoded.indices.to_numpy()
    series, place = np.unique(keys, return_inverse=True)
    steps = rows["step"].take(which).cast(pa.float64()).to_numpy()
    highest = np.full(series.size, -np.inf)
    np.maximum.at(highest, place, steps)
    ends = np.flatnonzero(steps == highest[place])
    values = rows["float_value"].take(which[ends]).cast(pa.float64()).to_pylist()
    times = milliseconds(rows["timestamp"].take(which[ends])).to_pylist()
    for end, value, time in zip(ends.tolist(), values, times, strict=True):
        owner, name = divmod(int(series[place[end]]), len(names))
        last = Last(float(steps[end]), _NO_TIME if time is None else time, value)
        known = summaries[owner].last.get(names[name])
        if known is None or last >= known:
            summaries[owner].last[names[name]] = last
    if (fractional := steps != np.floor(steps)).any():
        places = _decimal_places(steps)
        most = np.zeros(series.size, dtype=int)
        np.maximum.at(most, place[fractional], places[fractional])
        for found in np.flatnonzero(most).tolist():
            owner, name = divmod(int(series[found]), len(names))
            decimals = summaries[owner].decimals
            decimals[names[name]] = max(decimals.get(names[name], 0), int(most[found]))


def _decimal_places(steps: np.ndarray) -> np.ndarray:
    """Return how many decimal places each step needs, at most `_PLACES`."""
    with np.errstate(invalid="ignore"):
        scaled = np.round(steps * 10**_PLACES)
    found = np.full(steps.shape, _PLACES)
    for places in range(_PLACES - 1, -1, -1):
        found[np.mod(scaled, 10.0 ** (_PLACES - places)) == 0] = places
    return found


def _add_values(rows: pa.Table, owners: np.ndarray, summaries: Sequence[Summary]) -> None:
    if not rows.num_rows:
        return
    rows = rows.set_column(
        rows.schema.get_field_index("datetime_value"), "datetime_value", milliseconds(rows["datetime_value"])
    )
    rows = rows.drop_columns(["timestamp"])
    for owner, row in zip(owners.tolist(), rows.to_pylist(), strict=True):
        path, kind = row["attribute_path"], row["attribute_type"]
        if kind in VALUES:
            value = row[VALUES[kind]]
            if kind == "datetime":
                value = moment_at(value)
            if value is not None:
                summaries[owner].values[path] = value
        elif not row["file_value"] or not row["file_value"]["path"]:
            if path not in summaries[owner].unexported:
                summaries[owner].unexported.append(path)
        else:
            step = row["step"] if kind == "file_series" else None
            place = row["file_value"]["path"]
            exact = Decimal(str(step)) if step is not None else None
            summaries[owner].files.append(ExportedFile(path, place, kind, exact))


def as_text(value: Any) -> str:
    """Write a single value as text: sets sorted and separated by commas, moments in ISO 8601."""
    if isinstance(value, list | tuple | set):
        return ",".join(sorted(str(item) for item in value))
    return aware(value).isoformat() if isinstance(value, datetime) else str(value)
