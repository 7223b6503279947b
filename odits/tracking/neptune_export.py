"""The folder that Neptune's exporter wrote, as a store that is read only."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from odits.core.errors import StoreError
from odits.core.files import copy_with_progress, expand_home
from odits.core.progress import Progress
from odits.tracking.neptune_export_reader import (
    ExportedRun,
    Summary,
    exported_runs,
    is_checkpoint,
    located,
    read_batches,
    summarise,
)
from odits.tracking.store import Listing, Point, StoredCheckpoint, StoredRun, aware, select_checkpoint, split_reference

CURVE_POINTS = 5000
"""A longer curve is thinned out while it is read: it is drawn on fewer pixels than that."""

_EPOCH = datetime.fromtimestamp(0, UTC)


class ExportStore:
    """A `CheckpointStore` over an export's folder, the one that holds data/ and files/."""

    def __init__(self, folder: str) -> None:
        if not folder:
            raise StoreError("Name the export's folder: neptune-export:FOLDER, where FOLDER holds data/ and files/.")
        self.folder = expand_home(folder).absolute()
        self.source = f"neptune-export:{self.folder}"

    def list(self) -> Listing:
        """List all runs, newest first; what had to be left out is named."""
        runs, warnings = exported_runs(self.folder)
        found: list[StoredRun] = []  # type: ignore[valid-type]
        for run in runs:
            try:
                found.append(self._describe(run, warnings))
            except StoreError as error:
                warnings.append(str(error))
        found.sort(key=lambda run: run.started or _EPOCH, reverse=True)
        return Listing(tuple(found), tuple(warnings))

    def _describe(self, run: ExportedRun, warnings: list[str]) -> StoredRun:  # type: ignore[valid-type]
        summary = summarise(run)
        plain = summary.describe(self.source, run)
        checkpoints = tuple(
            StoredCheckpoint(self.source, run.id, file.name, place.stat().st_size)
            for file, place in located(run, summary, warnings)
            if is_checkpoint(file)
        )
        return StoredRun(**{**vars(plain), "checkpoints": checkpoints})

    def _select(self, reference: str) -> tuple[ExportedRun, str]:
        runs = {run.id: run for run in exported_runs(self.folder)[0]}
        run, name = split_reference(reference, runs)
        return runs[run], name

    def run(self, run: str) -> StoredRun:
        """Return one run, by "project/run" or by its own id where that is unique."""
        found, name = self._select(run)
        if name:
            raise StoreError(f"There is no run '{run}' here.")
        return self._describe(found, [])

    def curves(self, run: str) -> dict[str, tuple[Point, ...]]:
        """Return every series of numbers, thinned to at most `CURVE_POINTS` points, in order of steps."""
        curves: dict[str, _Thinned] = {}
        columns = ("attribute_path", "attribute_type", "step", "timestamp", "float_value")
        for batch in read_batches(self._select(run)[0], columns):
            rows = pa.Table.from_batches([batch])
            complete = pc.and_(pc.is_valid(rows["float_value"]), pc.is_valid(rows["step"]))
            rows = rows.filter(pc.and_(pc.equal(rows["attribute_type"].cast(pa.string()), "float_series"), complete))
            names, times = rows["attribute_path"].to_pylist(), rows["timestamp"].to_pylist()
            numbers = (rows[name].cast(pa.float64()).to_pylist() for name in ("step", "float_value"))
            for name, step, value, time in zip(names, *numbers, times, strict=True):
                curves.setdefault(name or "", _Thinned()).add(Point(step, value, aware(time) if time else None))
        return {
            name: tuple(sorted(curve.points, key=lambda point: point.step)) for name, curve in sorted(curves.items())
        }

    def find(self, reference: str) -> StoredCheckpoint:
        """Find the checkpoint of "RUN/NAME", or of "RUN" where it has only one."""
        run, name = self._select(reference)
        return select_checkpoint(self._describe(run, []), name)

    def fetch(self, checkpoint: StoredCheckpoint, folder: Path, progress: Progress) -> Path:
        """Copy the file into the folder."""
        run, _ = self._select(checkpoint.run)
        summary: Summary = summarise(run)
        for file, place in located(run, summary, []):
            if is_checkpoint(file) and file.name == checkpoint.name:
                target = folder / place.name
                copy_with_progress(place, target, progress)
                return target
        raise StoreError(f"{checkpoint.name} is no longer in {self.folder}.")

    def push(self, path: Path, name: str, run: str | None = None) -> StoredCheckpoint:
        """Refuse: an export can only be read."""
        raise StoreError("A Neptune export can only be read; push to mlflow or neptune.")


class _Thinned:
    """A curve that keeps every k-th point, k doubling whenever there are too many."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._every, self._seen = 1, 0

    def add(self, point: Point) -> None:
        if self._seen % self._every == 0:
            self.points.append(point)
            if len(self.points) > CURVE_POINTS:
                self.points = self.points[::2]
                self._every *= 2
        self._seen += 1
