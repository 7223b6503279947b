"""The folder that Neptune's exporter wrote, as a store that is read only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from odits.core.errors import StoreError
from odits.core.files import expand_home, safe_name
from odits.core.formats import suffix_of
from odits.core.progress import Progress
from odits.tracking.neptune_export_files import NAME_FILES, FoundFile, bring_out, checkpoints_of, find_files
from odits.tracking.neptune_export_index import ExportIndex, IndexedRun
from odits.tracking.neptune_export_layout import Layout, find_layout
from odits.tracking.neptune_export_reader import milliseconds, moment_at, read_batches
from odits.tracking.neptune_export_summary import Summary, summarise
from odits.tracking.store import (
    Listing,
    Point,
    StoredCheckpoint,
    StoredRun,
    newest_first,
    select_checkpoint,
    split_reference,
)

MOST_PROBLEMS, MOST_RUNS = 5, 3
"""How many are named in a sentence."""
CURVE_POINTS = 5000
"""A longer curve is thinned out while it is read: it is drawn on fewer pixels than that."""

Lines = list[str]  # inside the class, `list` is its method

_LIST_BYTES = 1 << 20


class ExportStore:
    """A `CheckpointStore` over an export.

    Args:
        folder: the one that holds data/ and files/, or the exporter's folder of data.
        files: the exporter's folder of files, where it lies elsewhere.
    """

    def __init__(self, folder: str, files: str = "") -> None:
        if not folder:
            raise StoreError("Name the export's folder: neptune-export:FOLDER, where FOLDER holds data/ and files/.")
        self.folder = expand_home(folder).absolute()
        self._files = expand_home(files).absolute() if files else None
        self.source = f"neptune-export:{self.folder}"

    def layout(self) -> Layout:
        """Find the export's folders.

        Raises:
            StoreError: there is no export.
        """
        return find_layout(self.folder, self._files)

    def list(self) -> Listing:
        """List all runs, newest first; what had to be left out is named."""
        index = ExportIndex(self.layout())
        warnings = [*index.warnings]
        missing: dict[Path, Lines] = {}
        found = []
        for run in index.runs:
            said: Lines = []
            whole = self._describe(run, run.summary, run.files(said), said)
            found.append(replace(whole, problem=_problem(said)))
            if said and not run.run.files.is_dir():
                missing.setdefault(run.run.files, []).append(run.run.id)
            else:
                warnings.extend(said)
        warnings.extend(_missing(folder, runs) for folder, runs in missing.items())
        index.save()
        return Listing(newest_first(found), tuple(warnings))

    def _describe(
        self,
        indexed: IndexedRun,
        summary: Summary,
        files: Sequence[FoundFile],
        warnings: Lines,
    ) -> StoredRun:
        run = indexed.run
        plain = summary.describe(self.source, run)
        checkpoints = tuple(
            StoredCheckpoint(self.source, run.id, file.name, file.size, metadata=file.metadata)
            for file in checkpoints_of(files, run.id, warnings)
        )
        artifacts = {file.attribute: _artifact(file) for file in files if file.kind == "artifact"}
        return replace(plain, checkpoints=checkpoints, parameters={**plain.parameters, **artifacts})

    def _select(self, reference: str) -> tuple[IndexedRun, str]:
        index = ExportIndex(self.layout())
        index.save()
        runs = {run.run.id: run for run in index.runs}
        run, name = split_reference(reference, runs)
        return runs[run], name

    def _whole(self, indexed: IndexedRun, warnings: Lines) -> tuple[StoredRun, Sequence[FoundFile]]:
        """Read one run anew: nothing of it is cut."""
        summary = summarise(indexed.run, warnings)
        warnings.extend(summary.complaints(indexed.run.id))
        files = find_files(indexed.run, summary.files, warnings, indexed.known)
        return self._describe(indexed, summary, files, warnings), files

    def run(self, run: str) -> StoredRun:
        """Return one run, by "project/run" or by its own id where that is unique."""
        found, name = self._select(run)
        if name:
            raise StoreError(f"There is no run '{run}' here.")
        warnings: list[str] = []
        whole = self._whole(found, warnings)[0]
        return replace(whole, problem=_problem(warnings))

    def curves(self, run: str) -> dict[str, tuple[Point, ...]]:
        """Return every series of numbers, thinned to at most `CURVE_POINTS` points, in order of steps."""
        curves: dict[str, _Thinned] = {}
        columns = ("attribute_path", "attribute_type", "step", "timestamp", "float_value")
        for batch in read_batches(self._select(run)[0].run, columns, []):
            rows = pa.Table.from_batches([batch])
            complete = pc.and_(pc.is_valid(rows["float_value"]), pc.is_valid(rows["step"]))
            rows = rows.filter(pc.and_(pc.equal(rows["attribute_type"].cast(pa.string()), "float_series"), complete))
            names, times = rows["attribute_path"].to_pylist(), milliseconds(rows["timestamp"]).to_pylist()
            numbers = (rows[name].cast(pa.float64()).to_pylist() for name in ("step", "float_value"))
            for name, step, value, time in zip(names, *numbers, times, strict=True):
                if name:
                    curves.setdefault(name, _Thinned()).add(Point(step, value, moment_at(time)))
        return {name: curve.in_order() for name, curve in sorted(curves.items())}

    def find(self, reference: str) -> StoredCheckpoint:
        """Find the checkpoint of "RUN/NAME", or of "RUN" where it has only one."""
        indexed, name = self._select(reference)
        warnings: list[str] = []
        run, files = self._whole(indexed, warnings)
        try:
            return select_checkpoint(run, name)
        except StoreError:
            for file in files:
                if file.claims_weights and not file.is_checkpoint and name in _called(file):
                    raise StoreError(
                        f"{file.place.name} is not a safetensors checkpoint, nor one of torch: its content is none."
                    ) from None
            raise

    def fetch(self, checkpoint: StoredCheckpoint, folder: Path, progress: Progress) -> Path:
        """Copy the file into the folder, out of its ZIP where it is in one."""
        indexed, _ = self._select(checkpoint.run)
        for file in self._whole(indexed, [])[1]:
            if file.is_checkpoint and file.name == checkpoint.name:
                target = folder / (safe_name(Path(file.name).stem) + suffix_of(b"", file.format))
                bring_out(file, target, progress)
                return target
        raise StoreError(f"{checkpoint.name} is no longer in {self.folder}.")

    def push(
        self, path: Path, name: str, run: str | None = None, metrics: Mapping[str, float] | None = None
    ) -> StoredCheckpoint:
        """Refuse: an export can only be read."""
        raise StoreError("A Neptune export can only be read; push to mlflow or neptune.")


def _problem(said: Sequence[str]) -> str:
    more = len(said) - MOST_PROBLEMS
    return " ".join([*said[:MOST_PROBLEMS], *([f"So it is with {more:,} more."] if more > 0 else [])])


def _missing(folder: Path, runs: Sequence[str]) -> str:
    """Say once of all the runs that name files in a folder that it is missing."""
    more = len(runs) - MOST_RUNS
    named = ", ".join(runs[:MOST_RUNS]) + (f" and {more:,} more" if more > 0 else "")
    verb = "Runs {} name" if len(runs) > 1 else "Run {} names"
    return f"{verb.format(named)} files, and their folder {folder} is missing: {NAME_FILES}"


def _called(file: FoundFile) -> tuple[str, ...]:
    """Return the names by which `select_checkpoint` would find a file."""
    return file.name, Path(file.name).name, Path(file.name).stem


def _artifact(file: FoundFile) -> str:
    """Say what an artifact is: a list of files that lie elsewhere, with their hashes."""
    sentence = "artifact: a list of files that lie elsewhere"
    try:
        if file.size > _LIST_BYTES:
            return sentence
        listed = json.loads(file.place.read_bytes())
        return f"artifact: a list of {len(listed):,} files that lie elsewhere"
    except (OSError, ValueError, TypeError, RecursionError):
        return f"{sentence}; it can't be read"


class _Thinned:
    """A curve that keeps every k-th point, k doubling whenever there are too many, and its last one."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._every, self._seen = 1, 0
        self._last: Point | None = None

    def add(self, point: Point) -> None:
        if self._last is None or point.step >= self._last.step:
            self._last = point
        if self._seen % self._every == 0:
            self.points.append(point)
            if len(self.points) > CURVE_POINTS:
                self.points = self.points[::2]
                self._every *= 2
        self._seen += 1

    def in_order(self) -> tuple[Point, ...]:
        """Return the points by step; the end of the curve is always one of them."""
        kept = self.points if self._last is None or self._last in self.points else [*self.points[:-1], self._last]
        return tuple(sorted(kept, key=lambda point: point.step))
