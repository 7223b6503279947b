"""Runs tracked in MLflow."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from odits.core.errors import StoreError
from odits.tracking.connections import read_secrets, reason, redact
from odits.tracking.mlflow_client import Mlflow, experiment_id, key, log_checkpoint, open_mlflow, resolve_uri
from odits.tracking.trackers import Run, Status, TrackingError

_AGAIN_AFTER_S = 30.0
_BATCH = 100

_log = logging.getLogger(__name__)


class MlflowTracker:
    """Tracks runs in MLflow, in the experiment "odits"."""

    def __init__(self, place: str = "") -> None:
        read_secrets()
        self._place = place
        self.name = f"mlflow:{redact(resolve_uri(place))}"

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> Run:
        """A new run, or the one with that id gone on with: what it has at a step already is not logged twice."""
        try:
            mlflow = open_mlflow(self._place)
            with mlflow.speaking():
                run = self._resume(mlflow, resume) if resume else self._create(mlflow, name)
                has = set(mlflow.client.get_run(run).data.params) if resume else set()
                fresh = {label: value for label, value in parameters.items() if key(label) not in has}
                log_texts(mlflow, run, fresh, {**tags, "odits.name": name})
        except StoreError as error:
            raise TrackingError(str(error)) from None
        return MlflowRun(mlflow, run, resumed=resume is not None)

    def _create(self, mlflow: Mlflow, name: str) -> str:
        return mlflow.client.create_run(experiment_id(mlflow), run_name=name).info.run_id

    def _resume(self, mlflow: Mlflow, run: str) -> str:
        found = mlflow.client.get_run(run)
        if found.info.lifecycle_stage != "active":
            raise StoreError(f"Run {run} has been deleted.")
        mlflow.client.update_run(run, status="RUNNING")
        return run


def log_texts(mlflow: Mlflow, run: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """Logs parameters and tags in batches of the size that MLflow takes."""
    from mlflow.entities import Param, RunTag

    params = (Param(key(name), str(value)) for name, value in parameters.items())
    while batch := list(itertools.islice(params, _BATCH)):
        mlflow.client.log_batch(run, params=batch)
    kept = (RunTag(key(name), str(value)) for name, value in tags.items())
    while marks := list(itertools.islice(kept, _BATCH)):
        mlflow.client.log_batch(run, tags=marks)


class MlflowRun:
    """One run in MLflow; safe to use from several threads."""

    def __init__(self, mlflow: Mlflow, run: str, resumed: bool) -> None:
        self.id = run
        self._mlflow, self._resumed = mlflow, resumed
        self._pending: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()
        self._refused: list[str] = []
        self._again_at = 0.0
        self._logged: dict[str, set[int]] = {}

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Logs the values; after a failure they wait for the next call."""
        now, kept = int(time.time() * 1000), {key(name): float(value) for name, value in values.items()}
        self._send(lambda: self._log_metrics(kept, step, now))

    def _log_metrics(self, values: Mapping[str, float], step: int, now: int) -> None:
        from mlflow.entities import Metric

        fresh = [(name, value) for name, value in values.items() if not self._has(name, step)]
        self._mlflow.client.log_batch(self.id, metrics=[Metric(name, value, now, step) for name, value in fresh])

    def _has(self, name: str, step: int) -> bool:
        """Whether an earlier life of this run logged the metric at the step."""
        if not self._resumed:
            return False
        if name not in self._logged:
            self._logged[name] = {point.step for point in self._mlflow.client.get_metric_history(self.id, name)}
        return step in self._logged[name]

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        """Keeps the file as an artifact under checkpoints/, with its digest and metadata in a tag of the run."""
        kept = dict(metadata)
        self._send(lambda: self._log_checkpoint(path, name, kept))

    def _log_checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        if path.is_file():
            log_checkpoint(self._mlflow, self.id, path, name, metadata)
        else:  # gone while it waited for the store: nothing that could be sent again
            self._refused.append(f"{path.name} is no longer there")

    def finish(self, status: Status) -> None:
        """Closes the run; says what did not reach the store."""
        with self._lock:
            self._pending.append(lambda: self._mlflow.client.set_terminated(self.id, status.upper()))
            self._again_at = 0.0
            error = self._drain()
            lost = [*self._refused, *([reason(error)] if error is not None else [])]
            if lost:
                raise TrackingError(
                    f"{self._mlflow.title} lacks {len(self._refused) + len(self._pending)} entries of run {self.id}: "
                    + "; ".join(lost[:3])
                )

    def _send(self, action: Callable[[], None]) -> None:
        with self._lock:
            self._pending.append(action)
            if time.monotonic() < self._again_at:
                return
            error = self._drain()
            if error is not None:
                self._again_at = time.monotonic() + _AGAIN_AFTER_S
                _log.warning("%s does not answer; what is logged waits for it: %s", self._mlflow.title, reason(error))

    def _drain(self) -> Exception | None:
        """Sends what is waiting, in order; returns what stopped it."""
        while self._pending:
            try:
                self._pending[0]()
            except Exception as error:
                if not _is_refusal(error):
                    return error
                self._refused.append(reason(error))
            self._pending.popleft()
        return None


def _is_refusal(error: Exception) -> bool:
    """Whether the store answered and will never take this entry, so that it must not hold up the others."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.get_http_status_code() in (400, 404, 409, 413, 422)
