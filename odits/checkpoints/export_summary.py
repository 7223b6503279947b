"""What a run of an export holds, gathered in one pass over its rows: values, last points of series, files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from odits.checkpoints.export_reader import ExportedRun, read_batches
from odits.checkpoints.files import inside
from odits.checkpoints.store import StoredRun, StoreError, is_weights

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

_COLUMNS = ("attribute_path", "attribute_type", "step", *VALUES.values(), "file_value")


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
        files: every file that is spoken of; nothing is known about them yet.
        texts: paths of series of text or histograms.
    """

    values: dict[str, Any] = field(default_factory=dict)
    last: dict[str, tuple[float, float]] = field(default_factory=dict)
    decimals: dict[str, int] = field(default_factory=dict)
    files: list[ExportedFile] = field(default_factory=list)
    texts: set[str] = field(default_factory=set)

    def parameters(self) -> dict[str, str]:
        """Every single value outside sys/, as text."""
        return {path: as_text(value) for path, value in self.values.items() if not path.startswith("sys/")}

    def metrics(self) -> dict[str, float]:
        """The last value of each series, and single numbers that are no settings."""
        single = {
            path: value
            for path, value in self.values.items()
            if isinstance(value, float) and not path.startswith(("sys/", *SETTINGS))
        }
        return {**single, **{path: value for path, (_, value) in self.last.items()}}

    def describe(self, source: str, run: ExportedRun) -> StoredRun:
        """The run as the stores show it, without its checkpoints."""
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
    """The summary of a run; memory does not grow with the length of its series.

    Raises:
        StoreError: a part can't be read to its end.
    """
    found = Summary()
    for batch in read_batches(run, _COLUMNS):
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
    broken = rows.filter(pc.not_equal(pc.floor(steps), steps))
    for name, step in zip(broken["attribute_path"].to_pylist(), broken["step"].to_pylist(), strict=True):
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
    """Each file of the run that is there, with its place on the disk; the others are named in `warnings`.

    A path that leaves the project's folder, through dots, a root of its own or a symbolic link, is refused.
    """
    for file in summary.files:
        try:
            place = inside(run.files, file.path)
        except StoreError as error:
            warnings.append(f"Run {run.id}, {file.attribute}: {error}")
            continue
        if place.is_file():
            yield file, place
        elif place.is_dir():
            for item in sorted(place.rglob("*")):
                below = item.relative_to(place).as_posix()
                try:
                    real = inside(place, below)
                except StoreError as error:
                    warnings.append(f"Run {run.id}, {file.attribute}: {error}")
                    continue
                if real.is_file():
                    yield ExportedFile(f"{file.attribute}/{below}", f"{file.path}/{below}"), real
        else:
            warnings.append(f"Run {run.id}, {file.attribute}: the file '{file.path}' is missing.")


def is_checkpoint(file: ExportedFile) -> bool:
    """Whether the file is taken for weights, by its own ending or its attribute's."""
    return is_weights(file.path) or is_weights(file.attribute)


def aware(moment: datetime) -> datetime:
    """The moment with its time zone; one without is meant in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def as_text(value: Any) -> str:
    """A single value as text: sets sorted and separated by commas, moments in ISO 8601."""
    if isinstance(value, list | tuple | set):
        return ",".join(sorted(str(item) for item in value))
    return aware(value).isoformat() if isinstance(value, datetime) else str(value)
