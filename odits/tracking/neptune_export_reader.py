"""The folder that Neptune's exporter wrote, read so that memory stays flat however long its runs are.

    DATA/<project>-<digest>/<run>-<digest>_part_<n>.parquet     a run may have several parts; .parquet.tmp is unfinished
    FILES/<project>-<digest>/...                                 file_value.path is relative to the project's folder

Names on disk are sanitised; project_id and run_id in the columns are the real ones. Nothing here is trusted: a path
that leaves its root (symbolic links included), a part that can't be read or lacks a column is left out and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from odits.core.errors import StoreError
from odits.tracking.store import StoredRun, aware, is_weights, require_inside

COLUMNS = (
    "project_id",
    "run_id",
    "attribute_path",
    "attribute_type",
    "step",
    "timestamp",
    "int_value",
    "float_value",
    "string_value",
    "bool_value",
    "datetime_value",
    "string_set_value",
    "file_value",
    "histogram_value",
)
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

_SUMMARY_COLUMNS = ("attribute_path", "attribute_type", "step", *VALUES.values(), "file_value")

BATCH_ROWS = 8192
_BUFFER = 1 << 20
_PART = re.compile(r"(?P<run>.+)_part_(?P<number>\d+)\.parquet(?P<unfinished>\.tmp)?")


@dataclass(frozen=True)
class ExportedRun:
    """One run of an export: its real names, its finished parts in order, and the folder of its project's files."""

    project: str
    run: str
    parts: tuple[Path, ...]
    files: Path

    @property
    def id(self) -> str:
        """The run as "project/run": a run's own id is unique in its project only."""
        return f"{self.project}/{self.run}"

    @property
    def fingerprint(self) -> str:
        """Changes when the export gains, loses or changes a part; copying the folder elsewhere changes nothing."""
        return ",".join(f"{part.name}:{part.stat().st_size}" for part in self.parts)


def exported_runs(folder: Path) -> tuple[list[ExportedRun], list[str]]:
    """List the runs of an export by project and name, and a sentence for everything that is left out.

    Raises:
        StoreError: the folder holds no export.
    """
    data = folder / "data"
    if not data.is_dir():
        raise StoreError(f"{folder} is no Neptune export: it has no folder data/ with a folder per project in it.")
    warnings: list[str] = []
    runs: list[ExportedRun] = []
    for project in sorted(path for path in data.iterdir() if path.is_dir() and not path.name.startswith(".")):
        try:
            require_inside(data, project.name)
            require_inside(folder / "files", project.name)
        except StoreError as error:
            warnings.append(str(error))
            continue
        for parts in _grouped(project, warnings).values():
            found = _identify(parts, folder / "files" / project.name, warnings)
            if found is not None:
                runs.append(found)
    return runs, warnings


def _grouped(project: Path, warnings: list[str]) -> dict[str, list[Path]]:
    """List the finished parts of a project's folder by run, in order of part number."""
    groups: dict[str, list[tuple[int, Path]]] = {}
    for path in sorted(project.iterdir()):
        match = _PART.fullmatch(path.name)
        label = f"{project.name}/{path.name}"
        if match is None:
            if path.suffix in (".parquet", ".tmp"):
                warnings.append(f"{label} is left out: its name is not that of a part.")
            continue
        if match["unfinished"]:
            warnings.append(f"{label} is left out: the export of this part was not finished.")
            continue
        try:
            groups.setdefault(match["run"], []).append((int(match["number"]), require_inside(project, path.name)))
        except StoreError as error:
            warnings.append(str(error))
    for run, parts in groups.items():
        numbers = sorted(number for number, _ in parts)
        missing = set(range(numbers[0] and 1, numbers[-1])) - set(numbers)
        if missing:
            named = ", ".join(str(number) for number in sorted(missing)[:5])
            warnings.append(f"{project.name}/{run} is not whole: part {named} is missing.")
    return {run: [path for _, path in sorted(parts)] for run, parts in groups.items()}


def _identify(parts: Sequence[Path], files: Path, warnings: list[str]) -> ExportedRun | None:
    """Return the run that the readable parts belong to."""
    readable: list[Path] = []
    names: tuple[str, str] | None = None
    for part in parts:
        label = f"{part.parent.name}/{part.name}"
        try:
            found = _names(part)
        except StoreError as error:
            warnings.append(f"{label} is left out: {error}")
            continue
        if found is None:
            continue  # a part without a row
        if names is not None and found != names:
            warnings.append(f"{label} is left out: it belongs to run {found[1]} of {found[0]}, not to {names[1]}.")
            continue
        names = found
        readable.append(part)
    return ExportedRun(*names, tuple(readable), files) if names else None


def _names(part: Path) -> tuple[str, str] | None:
    """Return (project, run) of the first row of a part; None where it has no row."""
    for batch in _batches(part, ("project_id", "run_id"), 1):
        project, run = (str(batch.column(name)[0].as_py() or "") for name in ("project_id", "run_id"))
        if not project or not run:
            raise StoreError("its rows name no run.")
        return project, run
    return None


def read_batches(run: ExportedRun, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a run, part by part and row group by row group, in batches of at most `BATCH_ROWS`.

    Raises:
        StoreError: a part can't be read to its end.
    """
    for part in run.parts:
        try:
            yield from _batches(part, columns, BATCH_ROWS)
        except StoreError as error:
            raise StoreError(f"{part.parent.name}/{part.name} can't be used: {error}") from error


def _batches(part: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches of a parquet file that is checked first; a small buffer instead of whole column chunks."""
    try:
        with pq.ParquetFile(part, buffer_size=_BUFFER, pre_buffer=False) as file:
            _check(file.schema_arrow, columns)
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(rows, row_groups=[group], columns=list(columns), use_threads=False):
                    if batch.num_rows:
                        yield batch
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        text = str(error).strip().splitlines()
        raise StoreError(f"it is damaged or no parquet file ({text[0][:120] if text else 'no reason'}).") from error


def _check(schema: pa.Schema, columns: Sequence[str]) -> None:
    """Refuse a file whose columns are not what the export's layout says."""
    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        raise StoreError(f"it lacks the column {missing[0]}.")
    for name in columns:
        if not _FITS[name](schema.field(name).type):
            raise StoreError(f"its column {name} has the type {schema.field(name).type}.")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_decimal(kind) or pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _is_file(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index("path") >= 0 and _is_text(kind.field("path").type)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


_FITS: dict[str, Any] = {
    **dict.fromkeys(("project_id", "run_id", "attribute_path", "attribute_type", "string_value"), _is_text),
    **dict.fromkeys(("step", "int_value", "float_value"), _is_number),
    **dict.fromkeys(("timestamp", "datetime_value"), pa.types.is_timestamp),
    "bool_value": pa.types.is_boolean,
    "string_set_value": _is_list,
    "file_value": _is_file,
    "histogram_value": pa.types.is_nested,
}


@dataclass(frozen=True)
class ExportedFile:
    """A file of a run: its attribute, its path relative to the project's folder of files, its step in a series."""

    attribute: str
    path: str
    step: Decimal | None = None

    @property
    def name(self) -> str:
        """Its path inside the run: the attribute, with the file's own ending and, in a series, its step."""
        suffix = PurePosixPath(self.path).suffix
        if self.step is not None:
            return f"{self.attribute}/step-{self.step.normalize():f}{suffix}"
        return self.attribute if self.attribute.endswith(suffix) else self.attribute + suffix


@dataclass
class Summary:
    """What one pass over a run found.

    Attributes:
        values: attributes with one value, by path.
        last: (step, value) at the end of each series of numbers.
        decimals: the decimal places that a series' steps need; absent where they are whole.
        files: every file that is named; whether it is there is not known yet.
        texts: paths of series of text or histograms.
    """

    values: dict[str, Any] = field(default_factory=dict)
    last: dict[str, tuple[float, float]] = field(default_factory=dict)
    decimals: dict[str, int] = field(default_factory=dict)
    files: list[ExportedFile] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)

    def parameters(self) -> dict[str, str]:
        """Return every single value outside sys/, as text."""
        return {path: as_text(value) for path, value in self.values.items() if not path.startswith("sys/")}

    def metrics(self) -> dict[str, float]:
        """Return the last value of each series, and single numbers that are no settings."""
        single = {
            path: value
            for path, value in self.values.items()
            if isinstance(value, float) and not path.startswith(("sys/", *SETTINGS))
        }
        return {**single, **{path: value for path, (_, value) in self.last.items()}}

    def describe(self, source: str, run: ExportedRun) -> StoredRun:
        """Return the run as the stores show it, without its checkpoints."""
        started = self.values.get("sys/creation_time")
        return StoredRun(
            source=source,
            id=run.id,
            name=str(self.values.get("sys/name") or run.run),
            status="failed" if self.values.get("sys/failed") is True else "finished",
            started=aware(started) if isinstance(started, datetime) else None,
            parameters=self.parameters(),
            metrics=self.metrics(),
            tags={path: as_text(value) for path, value in self.values.items() if path.startswith("sys/")},
        )


def summarise(run: ExportedRun) -> Summary:
    """Summarise a run in one pass over its rows; memory does not grow with the length of its series.

    Raises:
        StoreError: a part can't be read to its end.
    """
    found = Summary()
    for batch in read_batches(run, _SUMMARY_COLUMNS):
        rows = pa.Table.from_batches([batch])
        kinds = rows["attribute_type"].cast(pa.string())
        rows = rows.set_column(rows.schema.get_field_index("attribute_type"), "attribute_type", kinds)
        _add_series(found, rows.filter(pc.equal(kinds, "float_series")))
        _add_values(found, rows.filter(pc.is_in(kinds, pa.array([*VALUES, *FILES]))))
        texts = rows.filter(pc.is_in(kinds, pa.array(TEXT_SERIES)))["attribute_path"]
        found.texts.update(path for path in pc.unique(texts).to_pylist() if path)
    return found


def _add_series(found: Summary, rows: pa.Table) -> None:
    rows = rows.filter(pc.and_(pc.is_valid(rows["float_value"]), pc.is_valid(rows["step"])))
    if not rows.num_rows:
        return
    path, steps = rows["attribute_path"].cast(pa.string()), rows["step"].cast(pa.float64())
    table = pa.table({"path": path, "step": steps, "value": rows["float_value"].cast(pa.float64())})
    last = table.group_by("path", use_threads=False).aggregate([("step", "last"), ("value", "last")])
    for row in last.to_pylist():
        if row["path"] not in found.last or row["step_last"] >= found.last[row["path"]][0]:
            found.last[row["path"]] = (row["step_last"], row["value_last"])
    fractional = rows.filter(pc.not_equal(pc.floor(steps), steps))
    for name, step in zip(fractional["attribute_path"].to_pylist(), fractional["step"].to_pylist(), strict=True):
        places = -int(Decimal(str(step)).normalize().as_tuple().exponent)
        found.decimals[name] = max(found.decimals.get(name, 0), min(places, 6))


def _add_values(found: Summary, rows: pa.Table) -> None:
    for row in rows.to_pylist():
        path, kind = row["attribute_path"], row["attribute_type"]
        if not path:
            continue
        if kind in VALUES:
            value = row[VALUES[kind]]
            if value is not None:
                found.values[path] = value
        elif row["file_value"] and row["file_value"]["path"]:
            step = row["step"] if kind == "file_series" else None
            place = row["file_value"]["path"]
            found.files.append(ExportedFile(path, place, Decimal(str(step)) if step is not None else None))


def located(run: ExportedRun, summary: Summary, warnings: list[str]) -> Iterator[tuple[ExportedFile, Path]]:
    """Yield each file of the run that is there, with its place on the disk; name the others in `warnings`.

    A path that leaves the project's folder, through dots, a root of its own or a symbolic link, is refused.
    """
    for file in summary.files:
        try:
            place = require_inside(run.files, file.path)
        except StoreError as error:
            warnings.append(f"Run {run.id}, {file.attribute}: {error}")
            continue
        if place.is_file():
            yield file, place
        elif place.is_dir():
            for item in sorted(place.rglob("*")):
                below = item.relative_to(place).as_posix()
                try:
                    real = require_inside(place, below)
                except StoreError as error:
                    warnings.append(f"Run {run.id}, {file.attribute}: {error}")
                    continue
                if real.is_file():
                    yield ExportedFile(f"{file.attribute}/{below}", f"{file.path}/{below}"), real
        else:
            warnings.append(f"Run {run.id}, {file.attribute}: the file '{file.path}' is missing.")


def is_checkpoint(file: ExportedFile) -> bool:
    """Return whether the file is taken for weights, by its own ending or its attribute's."""
    return is_weights(file.path) or is_weights(file.attribute)


def as_text(value: Any) -> str:
    """Write a single value as text: sets sorted and separated by commas, moments in ISO 8601."""
    if isinstance(value, list | tuple | set):
        return ",".join(sorted(str(item) for item in value))
    return aware(value).isoformat() if isinstance(value, datetime) else str(value)
