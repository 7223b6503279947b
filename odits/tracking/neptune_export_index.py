"""The index of an export: what each of its runs holds, read once and kept until a part changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from odits.core.errors import WriteError
from odits.core.store import FunctionCodec, Store, make_key
from odits.tracking.neptune_export_files import FoundFile, Known, find_files
from odits.tracking.neptune_export_layout import Layout, Parts, list_parts
from odits.tracking.neptune_export_reader import ExportedRun, moment_at
from odits.tracking.neptune_export_summary import ExportedFile, Last, Scanned, Summary, scan
from odits.tracking.store import EPOCH

INDEXES: Store[Any] = Store(
    "neptune-exports", FunctionCodec(".json", lambda value: json.dumps(value).encode(), json.loads), version=2
)
LISTED_LETTERS = 2000
LISTED_VALUES = 2000
"""How much of a text, and how many values, a list of runs shows; a run by itself is shown whole."""

Record = dict[str, Any]


@dataclass(frozen=True)
class IndexedRun:
    """A run of an export with what the index knows of it: long texts are cut."""

    run: ExportedRun
    summary: Summary
    known: Known

    def files(self, warnings: list[str]) -> list[FoundFile]:
        """Find the run's files; what is missing or refused is named in `warnings`."""
        return find_files(self.run, self.summary.files, warnings, self.known)


class ExportIndex:
    """The runs of an export: those whose parts are new or changed are read, all others remembered.

    Args:
        layout: where the export lies.

    Attributes:
        runs: by project and name.
        warnings: a sentence for everything that is left out.
    """

    def __init__(self, layout: Layout) -> None:
        self.warnings: list[str] = []
        self.runs: list[IndexedRun] = []
        self._key = make_key(folders=layout.identity)
        self._records: dict[str, Record] = {}
        stored = INDEXES.get(self._key)
        stored = stored if isinstance(stored, dict) else {}
        found: dict[str, IndexedRun | None] = {}
        changed: list[Parts] = []
        groups = list_parts(layout, self.warnings)
        for parts in groups:
            name = str(parts.paths[0])
            try:
                record = stored[name]
                if record["stamps"] != [list(stamp) for stamp in parts.stamps]:
                    raise KeyError(name)
                found[name], self._records[name] = _from_record(parts, record), record
            except (KeyError, TypeError, ValueError, AttributeError):
                changed.append(parts)
        for scanned in scan(changed):
            name = str(scanned.parts.paths[0])
            self._records[name] = record = _to_record(scanned)
            found[name] = _from_record(scanned.parts, record)
        self._changed = bool(changed) or len(stored) != len(groups)
        self._collect(groups, found)

    def _collect(self, groups: Sequence[Parts], found: dict[str, IndexedRun | None]) -> None:
        ids: set[str] = set()
        for parts in groups:
            name = str(parts.paths[0])
            self.warnings.extend(self._records[name]["warnings"])
            run = found[name]
            if run is None:
                continue
            if run.run.id in ids:
                self.warnings.append(f"{parts.label} is left out: run {run.run.id} is there already.")
                continue
            ids.add(run.run.id)
            self.runs.append(run)

    def save(self) -> None:
        """Keep what was read now, for the next time."""
        if self._changed or any(run.known.changed for run in self.runs):
            try:
                INDEXES.put(self._key, self._records)
            except WriteError:
                return  # costs time later, not the answer now
            self._changed = False


def _to_record(scanned: Scanned) -> Record:
    """Return what the index keeps of a run: plain values, of a size that lists can show."""
    run, summary, warnings = scanned.run, scanned.summary, list(scanned.warnings)
    record: Record = {"stamps": [list(stamp) for stamp in scanned.parts.stamps], "warnings": warnings}
    if run is None:
        return record
    values = dict(summary.values)
    if len(values) > LISTED_VALUES:
        shown = sorted(values, key=lambda path: not path.startswith("sys/"))[:LISTED_VALUES]
        values = {path: values[path] for path in shown}
        warnings.append(f"Run {run.id} has {len(summary.values):,} values, of which the list shows {LISTED_VALUES:,}.")
    warnings.extend(summary.complaints(run.id))
    return record | {
        "owner": [run.project, run.run],
        "parts": [part.name for part in run.parts],
        "values": {path: _plain(value) for path, value in values.items()},
        "last": {path: list(last) for path, last in summary.last.items()},
        "files": [
            [file.attribute, file.path, file.kind, None if file.step is None else str(file.step)]
            for file in summary.files
        ],
        "known": {},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"at": round((value - EPOCH).total_seconds() * 1000)}
    if isinstance(value, str) and len(value) > LISTED_LETTERS:
        return f"{value[:LISTED_LETTERS]} … ({len(value):,} letters)"
    return value


def _from_record(parts: Parts, record: Record) -> IndexedRun | None:
    """Return the run of a record; None where its parts hold none."""
    if "owner" not in record:
        return None
    project, name = record["owner"]
    paths = tuple(path for path in parts.paths if path.name in record["parts"])
    summary = Summary(
        values={path: _value(value) for path, value in record["values"].items()},
        last={path: Last(*last) for path, last in record["last"].items()},
        files=[ExportedFile(a, p, kind, None if s is None else Decimal(s)) for a, p, kind, s in record["files"]],
    )
    return IndexedRun(ExportedRun(project, name, paths, parts.files, parts.kind), summary, Known(record["known"]))


def _value(value: Any) -> Any:
    return moment_at(value["at"]) if isinstance(value, dict) else value
