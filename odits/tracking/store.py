"""The protocols of checkpoint stores and trackers, and the plain values that they exchange.

A trainer sees `Tracker` and `Run` only. A store that fails while a run is going on never stops it: what could not be
sent is sent again with the next value, and `finish` says in one sentence if something is still missing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, Protocol

from odits.core.errors import OditsError, StoreError
from odits.core.files import inside
from odits.core.progress import Progress

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pkl")
"""Endings of files that are taken for checkpoints; all but the first are pickles."""

Status = Literal["finished", "failed", "killed"]

EPOCH = datetime.fromtimestamp(0, UTC)
"""The moment from which stores count their milliseconds."""


class TrackingError(OditsError):
    """A tracker that can't be reached or doesn't take what it is given; the message never holds a credential."""


@dataclass(frozen=True)
class StoredCheckpoint:
    """A file of weights that lies in a store.

    Attributes:
        source: the store's reference, without credentials.
        run: the id of its run.
        name: its path inside the run; `reference` is "run/name".
        size: bytes, where known.
        digest: SHA-256, hexadecimal, where the store knows it.
        metadata: what was logged with it.

    Example:
        >>> StoredCheckpoint("mlflow", "4f1a", "checkpoints/best.safetensors").reference
        '4f1a/checkpoints/best.safetensors'
    """

    source: str
    run: str
    name: str
    size: int | None = None
    digest: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """What `pull` takes."""
        return f"{self.run}/{self.name}"


@dataclass(frozen=True)
class StoredRun:
    """A run in a store: parameters as text, each metric's last value, and its checkpoints.

    Attributes:
        problem: a sentence why its files, or some of them, can't be listed or had.
        deleted: whether it waits in the store's bin.
    """

    source: str
    id: str
    name: str
    status: str
    started: datetime | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    checkpoints: tuple[StoredCheckpoint, ...] = ()
    problem: str = ""
    deleted: bool = False


def newest_first(runs: Iterable[StoredRun]) -> tuple[StoredRun, ...]:
    """Return runs by their beginning; those that do not know it come last."""
    return tuple(sorted(runs, key=lambda run: run.started or EPOCH, reverse=True))


class Listing(NamedTuple):
    """The runs of a store, newest first, and a sentence for everything that had to be left out."""

    runs: tuple[StoredRun, ...]
    warnings: tuple[str, ...] = ()


class Point(NamedTuple):
    """One value of a curve."""

    step: float
    value: float
    time: datetime | None


class CheckpointStore(Protocol):
    """Runs and their checkpoints. Every method raises StoreError, in one sentence and in time."""

    source: str

    def list(self) -> Listing:
        """List all runs with their checkpoints."""

    def run(self, run: str) -> StoredRun:
        """Return one run, by its id."""

    def curves(self, run: str) -> dict[str, tuple[Point, ...]]:
        """Return every metric of a run with its whole history."""

    def find(self, reference: str) -> StoredCheckpoint:
        """Find the checkpoint of a reference: "RUN/NAME", or "RUN" where it has only one."""

    def fetch(self, checkpoint: StoredCheckpoint, folder: Path, progress: Progress) -> Path:
        """Copy the file as it is into an empty folder; nothing is checked yet (`pull` does that)."""

    def push(
        self, path: Path, name: str, run: str | None = None, metrics: Mapping[str, float] | None = None
    ) -> StoredCheckpoint:
        """Store a local file as a checkpoint with its model card, in a run of its own unless one is named.

        Args:
            path: a safetensors file.
            name: how it is called there.
            run: the id of the run.
            metrics: what was measured with it, for the card.
        """


class Run(Protocol):
    """One run that is being tracked; `id` is what `Tracker.start` takes to resume it."""

    id: str

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log the values at the step.

        Names are paths such as "loss/image"; those that begin with "system/" are shown as machine load by MLflow.
        """

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        """Store the safetensors file with the run as checkpoint `name`, in the place of an older one."""

    def finish(self, status: Status) -> None:
        """Close the run.

        Raises:
            TrackingError: something that was logged did not reach its store.
        """


class Tracker(Protocol):
    """Where runs are tracked; `name` is for people and holds no credential."""

    name: str

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> Run:
        """Start a run, or resume the one with the id `resume` (its parameters stay as they were).

        Raises:
            TrackingError: the store can't be reached within 10 s, or knows no such run.
        """


class NoTracker:
    """A tracker that logs nothing.

    Example:
        >>> run = NoTracker().start("a run", {}, {}, resume="its id")
        >>> run.metrics({"loss": 0.5}, step=1)
        >>> run.id
        'its id'
    """

    name = "none"

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> Run:
        """Start a run of which nothing is known but its id."""
        return _UntrackedRun(resume or uuid.uuid4().hex)


class _UntrackedRun:
    def __init__(self, run: str) -> None:
        self.id = run

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log nothing."""

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        """Store nothing."""

    def finish(self, status: Status) -> None:
        """Close nothing."""


def is_weights(name: str) -> bool:
    """Return whether a file of that name is taken for a checkpoint."""
    return PurePosixPath(name).suffix.lower() in WEIGHT_SUFFIXES


def aware(moment: datetime) -> datetime:
    """Give a moment without time zone that of UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def require_inside(root: Path, relative: str) -> Path:
    """Resolve the path `relative` below `root`, symbolic links followed.

    Raises:
        StoreError: it leaves `root`, or is no usable path.
    """
    found = inside(root, relative)
    if found is None:
        raise StoreError(f"'{relative}' leaves its folder and is refused.")
    return found


def select_checkpoint(run: StoredRun, name: str) -> StoredCheckpoint:
    """Return the run's checkpoint of that name (with or without folder and ending), or its only one for no name.

    Raises:
        StoreError: none, or more than one, of that name.
    """
    found = [item for item in run.checkpoints if not name or name == item.name]
    found = found or [item for item in run.checkpoints if name == Path(item.name).name]
    found = found or [item for item in run.checkpoints if name == Path(item.name).stem]
    if len(found) == 1:
        return found[0]
    names = ", ".join(item.name for item in run.checkpoints)
    if not names:
        raise StoreError(f"Run {run.id} has no checkpoint.")
    if not found:
        raise StoreError(f"Run {run.id} has no checkpoint '{name}'; it has {names}.")
    raise StoreError(f"Run {run.id} has several such checkpoints: name one of {names}.")


def split_reference(reference: str, runs: Iterable[str]) -> tuple[str, str]:
    """Split a reference into (run, name) where ids of runs may hold slashes.

    Args:
        reference: "RUN", "RUN/NAME", or the same with the last part of the run's id only.
        runs: ids of all runs.

    Raises:
        StoreError: no such run, or several.
    """
    known = list(runs)
    for run in sorted(known, key=len, reverse=True):
        if reference == run or reference.startswith(f"{run}/"):
            return run, reference[len(run) + 1 :]
    head, _, name = reference.partition("/")
    short = [run for run in known if run.rpartition("/")[2] == head]
    if len(short) > 1:
        raise StoreError(f"Several runs are called '{head}': write one of {', '.join(short)}.")
    if not short:
        raise StoreError(f"There is no run '{head}' here.")
    return short[0], name
