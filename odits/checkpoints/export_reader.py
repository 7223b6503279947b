"""The folder that Neptune's exporter wrote, read so that memory stays flat however long its runs are.

    DATA/<project>-<digest>/<run>-<digest>_part_<n>.parquet     a run may have several parts; .parquet.tmp is unfinished
    FILES/<project>-<digest>/...                                 file_value.path is relative to the project's folder

Names on disk are sanitised; project_id and run_id in the columns are the real ones. Nothing here is trusted: a path
that leaves its root (symbolic links included), a part that can't be read or lacks a column is left out and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odits.checkpoints.files import inside
from odits.checkpoints.store import StoreError

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
        """ "project/run": a run's own id is unique in its project only."""
        return f"{self.project}/{self.run}"

    @property
    def fingerprint(self) -> str:
        """Changes when the export gains, loses or changes a part; copying the folder elsewhere changes nothing."""
        return ",".join(f"{part.name}:{part.stat().st_size}" for part in self.parts)


def exported_runs(folder: Path) -> tuple[list[ExportedRun], list[str]]:
    """The runs of an export by project and name, and a sentence for everything that is left out.

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
            inside(data, project.name)
            inside(folder / "files", project.name)
        except StoreError as error:
            warnings.append(str(error))
            continue
        for parts in _grouped(project, warnings).values():
            found = _identify(parts, folder / "files" / project.name, warnings)
            if found is not None:
                runs.append(found)
    return runs, warnings


def _grouped(project: Path, warnings: list[str]) -> dict[str, list[Path]]:
    """The finished parts of a project's folder by run, in order of part number."""
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
            groups.setdefault(match["run"], []).append((int(match["number"]), inside(project, path.name)))
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
    """The run that the readable parts belong to."""
    kept: list[Path] = []
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
        kept.append(part)
    return ExportedRun(*names, tuple(kept), files) if names else None


def _names(part: Path) -> tuple[str, str] | None:
    """(project, run) of the first row of a part; None where it has no row."""
    for batch in _batches(part, ("project_id", "run_id"), 1):
        project, run = (str(batch.column(name)[0].as_py() or "") for name in ("project_id", "run_id"))
        if not project or not run:
            raise StoreError("its rows name no run.")
        return project, run
    return None


def read_batches(run: ExportedRun, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a run, part by part and row group by row group, in batches of at most `BATCH_ROWS`.

    Raises:
        StoreError: a part can't be read to its end.
    """
    for part in run.parts:
        try:
            yield from _batches(part, columns, BATCH_ROWS)
        except StoreError as error:
            raise StoreError(f"{part.parent.name}/{part.name} can't be used: {error}") from error


def _batches(part: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of a parquet file that is checked first; a small buffer instead of whole column chunks."""
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
    """Refuses a file whose columns are not what the export's layout says."""
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
