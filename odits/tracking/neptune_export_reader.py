"""The rows of an export's parts, read so that memory stays flat however long its runs are.

Nothing here is trusted: a part that can't be read, does not say what its rows are, or is another run's is left out and
named. Columns of values may be missing: exporters have not always written all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from odits.core.errors import StoreError
from odits.core.files import file_digest, sha256_of
from odits.tracking.neptune_export_layout import REGISTRY, Kind
from odits.tracking.store import EPOCH

OWNER = ("project_id", "run_id")
NEEDED = (*OWNER, "attribute_path", "attribute_type")
_MOMENT = pa.timestamp("ms", "UTC")
_NUMBERS = pa.list_(pa.float64())
VALUES = {
    "step": pa.decimal128(18, 6),
    "timestamp": _MOMENT,
    "int_value": pa.int64(),
    "float_value": pa.float64(),
    "string_value": pa.string(),
    "bool_value": pa.bool_(),
    "datetime_value": _MOMENT,
    "string_set_value": pa.list_(pa.string()),
    "file_value": pa.struct({"path": pa.string()}),
    "histogram_value": pa.struct({"type": pa.string(), "edges": _NUMBERS, "values": _NUMBERS}),
}
"""The columns of values, with the types that the exporter gives them."""
BATCH_ROWS = 8192
_BUFFER = 1 << 20


class Owner(NamedTuple):
    """The run that rows belong to, by its real names."""

    project: str
    run: str

    def __str__(self) -> str:
        return f"run {self.run} of {self.project}"


@dataclass(frozen=True)
class ExportedRun:
    """One run of an export, or one model or version of its registry: its real names, parts, and folder of files.

    Attributes:
        project: its project, as "workspace/name".
        run: its own id, unique among those of its kind in the project.
        parts: the finished parts in order.
        files: the folder that the paths of its files are relative to.
        kind: what it is.
    """

    project: str
    run: str
    parts: tuple[Path, ...]
    files: Path
    kind: Kind = "run"

    @property
    def id(self) -> str:
        """The run as "project/run", a registered model as "project/models/id"."""
        return f"{self.project}/{self.run}" if self.kind == "run" else f"{self.project}/{self.kind}/{self.run}"

    def fingerprint(self) -> str:
        """Return a digest of the parts' contents: copying the folder elsewhere changes nothing.

        Raises:
            OSError: a part can't be read.
        """
        return sha256_of("\n".join(f"{part.name}:{file_digest(part)}" for part in self.parts))


def read_rows(
    paths: Sequence[Path], columns: Sequence[str], warnings: list[str], owner: Owner | None = None
) -> Iterator[tuple[Owner, Path, pa.RecordBatch]]:
    """Yield the rows of a run's parts, one row group after the other, in batches of at most `BATCH_ROWS`.

    Args:
        paths: the parts.
        columns: which columns, besides those that name the run.
        warnings: what is left out is named here: a part that can't be read, or not to its end, and rows of other runs.
        owner: which run; by default that of the first row.

    Yields:
        The run, the part, and rows of that run.
    """
    for part in paths:
        label = "/".join(part.parts[-3 if part.parent.name in REGISTRY else -2 :])
        begun, empty, foreign = False, True, 0
        try:
            for batch in batches_of(part, (*OWNER, *columns), BATCH_ROWS):
                empty = False
                if not begun:
                    found = _owner(batch)
                    owner = owner or found
                    if found != owner:
                        warnings.append(f"{label} is left out: it belongs to {found}, not to {owner.run}.")
                        break
                    begun = True
                assert owner is not None
                own = _own_rows(batch, owner)
                foreign += batch.num_rows - own.num_rows
                yield owner, part, own
            if empty:
                warnings.append(f"{label} is left out: it holds no rows.")
        except StoreError as error:
            warnings.append(f"{label} {'is not read to its end' if begun else 'is left out'}: {error}")
        if foreign:
            warnings.append(f"{label}: {foreign:,} rows of another run than {owner} are left out.")


def _owner(batch: pa.RecordBatch) -> Owner:
    """Return the run of a batch's first row."""
    project, run = (str(batch.column(name)[0].as_py() or "") for name in OWNER)
    if not project or not run:
        raise StoreError("its rows name no run.")
    return Owner(project, run)


def _own_rows(batch: pa.RecordBatch, owner: Owner) -> pa.RecordBatch:
    """Return the batch without rows of other runs."""
    for name, value in zip(OWNER, owner, strict=True):
        column = batch.column(name)
        if pc.unique(column).to_pylist() != [value]:
            batch = batch.filter(pc.fill_null(pc.equal(column.cast(pa.string()), value), False))
    return batch


def read_batches(run: ExportedRun, columns: Sequence[str], warnings: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a run; the arguments are those of `read_rows`."""
    for _, _, batch in read_rows(run.parts, columns, warnings, Owner(run.project, run.run)):
        yield batch


def batches_of(part: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches of a parquet file that is checked first; a small buffer instead of whole column chunks.

    A column of values that the file has not, or that holds nothing, is one of nulls.

    Raises:
        StoreError: the file can't be read, or not to its end.
    """
    try:
        with pa.OSFile(str(part)) as source, pq.ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False) as file:
            problem = _problem(file.schema_arrow, tuple(columns))
            if problem:
                raise StoreError(problem)
            present = [name for name in columns if not _is_empty(file.schema_arrow, name)]
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(rows, row_groups=[group], columns=present, use_threads=False):
                    if batch.num_rows:
                        yield batch if len(present) == len(columns) else _filled(batch, columns)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        text = str(error).strip().splitlines()
        raise StoreError(f"it is damaged or no parquet file ({text[0][:120] if text else 'no reason'}).") from error


@lru_cache(maxsize=64)
def _problem(schema: pa.Schema, columns: tuple[str, ...]) -> str:
    """Return in what a file's columns are not as the export's layout says; empty where they are."""
    missing = [name for name in NEEDED if name not in schema.names]
    if missing:
        return f"it lacks the column {missing[0]}."
    twice = [name for name in (*NEEDED, *VALUES) if schema.names.count(name) > 1]
    if twice:
        return f"it has the column {twice[0]} twice."
    for name in columns:
        if not _is_empty(schema, name) and not _FITS[name](schema.field(name).type):
            return f"its column {name} has the type {schema.field(name).type}."
    return ""


def _is_empty(schema: pa.Schema, name: str) -> bool:
    """Return whether a column of values is missing, or has the type of those that hold nothing."""
    return name in VALUES and (name not in schema.names or pa.types.is_null(schema.field(name).type))


def _filled(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    """Return the batch with columns of nulls for those that it lacks."""
    arrays = [
        batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows, VALUES[name]) for name in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


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
    **dict.fromkeys((*OWNER, "attribute_path", "attribute_type", "string_value"), _is_text),
    **dict.fromkeys(("step", "int_value", "float_value"), _is_number),
    **dict.fromkeys(("timestamp", "datetime_value"), pa.types.is_timestamp),
    "bool_value": pa.types.is_boolean,
    "string_set_value": _is_list,
    "file_value": _is_file,
    "histogram_value": pa.types.is_nested,
}


def milliseconds(column: Any) -> Any:
    """Return a column of moments as milliseconds since 1970: Python's own moments end in the year 9999."""
    return pc.cast(column, pa.timestamp("ms", "UTC"), safe=False).cast(pa.int64())


def moment_at(millis: int | None) -> datetime | None:
    """Return the moment of milliseconds since 1970; None where Python has none."""
    try:
        return None if millis is None else EPOCH + timedelta(milliseconds=millis)
    except OverflowError:
        return None
