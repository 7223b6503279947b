"""The seam behind which runs and their checkpoints are kept, and the plain values that cross it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from odits.core.errors import StoreError
from odits.core.files import inside
from odits.core.progress import Progress

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pkl")
"""Endings of files that are taken for checkpoints; all but the first are pickles."""


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
    """A run in a store: parameters as text, each metric's last value, and its checkpoints."""

    source: str
    id: str
    name: str
    status: str
    started: datetime | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    checkpoints: tuple[StoredCheckpoint, ...] = ()


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
        """All runs with their checkpoints."""

    def run(self, run: str) -> StoredRun:
        """One run, by its id."""

    def curves(self, run: str) -> dict[str, tuple[Point, ...]]:
        """Every metric of a run with its whole history."""

    def find(self, reference: str) -> StoredCheckpoint:
        """The checkpoint of a reference: "RUN/NAME", or "RUN" where it has only one."""

    def fetch(self, checkpoint: StoredCheckpoint, folder: Path, progress: Progress) -> Path:
        """The file, copied as it is into an empty folder; nothing is checked yet (`pull` does that)."""

    def push(self, path: Path, name: str, run: str | None = None) -> StoredCheckpoint:
        """The checkpoint that a local file has become, in a run of its own unless one is named."""


def is_weights(name: str) -> bool:
    """Whether a file of that name is taken for a checkpoint."""
    return PurePosixPath(name).suffix.lower() in WEIGHT_SUFFIXES


def safe_name(text: str) -> str:
    """A name that is good on every disk: letters, digits, dot, dash, underscore; never empty, never a path."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-_")[:80] or "checkpoint"


def require_inside(root: Path, relative: str) -> Path:
    """Resolve the path `relative` below `root`, symbolic links followed.

    Raises:
        StoreError: it leaves `root`, or is no usable path.
    """
    found = inside(root, relative)
    if found is None:
        raise StoreError(f"'{relative}' leaves its folder and is refused.")
    return found


def pick(run: StoredRun, name: str) -> StoredCheckpoint:
    """The run's checkpoint of that name (with or without folder and ending); the only one where the name is empty.

    Raises:
        StoreError: none, or more than one, of that name.
    """
    found = [item for item in run.checkpoints if not name or name == item.name]
    found = found or [item for item in run.checkpoints if name in (Path(item.name).name, Path(item.name).stem)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(item.name for item in run.checkpoints) or "none"
    if not found:
        raise StoreError(f"Run {run.id} has no checkpoint '{name}'; it has {there}.")
    raise StoreError(f"Run {run.id} has several such checkpoints: name one of {there}.")


def split_reference(reference: str, runs: Iterable[str]) -> tuple[str, str]:
    """(run, name) of a reference whose run ids may hold slashes; a run may be named by the last part of its id.

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
