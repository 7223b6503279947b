"""Tracking of runs through one small seam: MLflow (the default), Neptune, or none.

A trainer sees `Tracker` and `Run` only; `make_tracker` turns a reference such as "mlflow" or "neptune:team/signs" into
one. A store that fails while a run is going on never stops it: what could not be sent is kept and sent again with the
next value, and `finish` says in one sentence if something is still missing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from odits.core.errors import OditsError

Status = Literal["finished", "failed", "killed"]


class TrackingError(OditsError):
    """A tracker that can't be reached or doesn't take what it is given; the message never holds a credential."""


class Run(Protocol):
    """One run that is being tracked; `id` is what `Tracker.start` takes to go on with it."""

    id: str

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Nothing; the values are logged at the step.

        Names are paths such as "loss/image"; those that begin with "system/" are shown as machine load by MLflow.
        """

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        """Nothing; the safetensors file is kept with the run as checkpoint `name`, in the place of an older one."""

    def finish(self, status: Status) -> None:
        """Nothing; the run is closed.

        Raises:
            TrackingError: something that was logged did not reach its store.
        """


class Tracker(Protocol):
    """Where runs are tracked; `name` is for people and holds no credential."""

    name: str

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> Run:
        """A new run, or the one with the id `resume` gone on with (its parameters stay as they were).

        Raises:
            TrackingError: the store can't be reached within 10 s, or knows no such run.
        """


def make_tracker(reference: str = "mlflow") -> Tracker:
    """The tracker of a reference; nothing is opened before a run starts.

    Args:
        reference: "mlflow[:URI]" (URI: $MLFLOW_TRACKING_URI, else a local SQLite file under ODITS_HOME),
            "neptune[:PROJECT]" (PROJECT: $NEPTUNE_PROJECT; $NEPTUNE_MODE is async, offline, sync or debug), or "none".

    Raises:
        TrackingError: no such tracker.
    """
    kind, _, place = reference.partition(":")
    makers: dict[str, Callable[[str], Tracker]] = {"mlflow": _mlflow, "neptune": _neptune, "none": _none}
    if kind not in makers or (kind == "none" and place):
        raise TrackingError(f"There is no tracker '{kind}': use mlflow[:URI], neptune[:PROJECT] or none.")
    return makers[kind](place)


def _mlflow(place: str) -> Tracker:
    from odits.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(place)


def _neptune(place: str) -> Tracker:
    from odits.tracking.neptune_tracker import NeptuneTracker

    return NeptuneTracker(place)


def _none(_: str) -> Tracker:
    return NoTracker()


class NoTracker:
    """A tracker that keeps nothing."""

    name = "none"

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> Run:
        """A run of which nothing is kept but its id."""
        return _UntrackedRun(resume or uuid.uuid4().hex)


class _UntrackedRun:
    def __init__(self, run: str) -> None:
        self.id = run

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Nothing."""

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        """Nothing."""

    def finish(self, status: Status) -> None:
        """Nothing."""
