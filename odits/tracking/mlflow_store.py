"""Runs and checkpoints in MLflow: stored ones, and those that are tracked while they go on."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from odits.core.errors import StoreError
from odits.core.files import copy_with_progress, file_digest, watched
from odits.core.progress import Progress
from odits.models.reference import read_metadata
from odits.tracking.connections import read_secrets, reason, redact
from odits.tracking.mlflow_client import (
    CHECKPOINT_TAG,
    Mlflow,
    experiment_id,
    key,
    log_checkpoint,
    log_texts,
    open_mlflow,
    resolve_uri,
    sqlite_file,
)
from odits.tracking.store import (
    Listing,
    Point,
    Run,
    Status,
    StoredCheckpoint,
    StoredRun,
    TrackingError,
    is_weights,
    require_inside,
    select_checkpoint,
)

_DEPTH = 4  # folders of artifacts that are searched
_PAGE = 1000
_RETRY_S = 30.0
_EPOCH = datetime.fromtimestamp(0, UTC)

_log = logging.getLogger(__name__)


class MlflowStore:
    """A `CheckpointStore` over MLflow; opened at the first question, so that making one never waits."""

    def __init__(self, place: str = "") -> None:
        self._place = place
        self.source = f"mlflow:{redact(place)}" if place else "mlflow"

    @cached_property
    def _mlflow(self) -> Mlflow:
        return open_mlflow(self._place, create=False)

    def _is_empty(self) -> bool:
        """Whether this is the local store before its first run: no file yet, which is no mistake."""
        file = sqlite_file(resolve_uri(self._place))
        return not self._place and file is not None and not file.is_file()

    def list(self) -> Listing:
        """List all runs of all experiments, newest first; runs whose artifacts can't be listed are named."""
        if self._is_empty():
            return Listing(())
        mlflow = self._mlflow
        with mlflow.errors():
            experiments = [item.experiment_id for item in _pages(mlflow.client.search_experiments)]
            runs = [run for ids in _chunks(experiments) for run in _pages(mlflow.client.search_runs, ids)]
        warnings: deque[str] = deque()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda run: self._listed(run, warnings), runs))
        return Listing(tuple(sorted(found, key=lambda run: run.started or _EPOCH, reverse=True)), tuple(warnings))

    def _listed(self, run: Any, warnings: deque[str]) -> StoredRun:
        """Describe a run; one whose artifacts can't be listed has only the checkpoints that its tags name."""
        try:
            return self._describe(run)
        except StoreError as error:
            warnings.append(f"The artifacts of run {run.info.run_id} are left out: {error}")
            return self._describe(run, ask_artifacts=False)

    def run(self, run: str) -> StoredRun:
        """Return one run with every file of weights among its artifacts."""
        return self._describe(self._raw(run), all_artifacts=True)

    def _raw(self, run: str) -> Any:
        if self._is_empty():
            raise StoreError(f"There is no run '{run}' here.")
        if not re.fullmatch(r"[\w-]+", run):
            raise StoreError(f"'{run}' is no id of an MLflow run.")
        mlflow = self._mlflow
        with mlflow.errors():
            return mlflow.client.get_run(run)

    def _describe(self, run: Any, all_artifacts: bool = False, ask_artifacts: bool = True) -> StoredRun:
        tags = dict(run.data.tags)
        tagged = tuple(_from_tags(self.source, run.info.run_id, tags))
        names = {item.name for item in tagged}
        others: tuple[StoredCheckpoint, ...] = ()
        if ask_artifacts and (all_artifacts or not tagged):  # a run of somebody else's: its artifacts have to be asked
            with self._mlflow.errors():
                others = tuple(
                    StoredCheckpoint(self.source, run.info.run_id, file.path, file.file_size)
                    for file in _files(self._mlflow, run.info.run_id)
                    if is_weights(file.path) and file.path not in names
                )
        return StoredRun(
            source=self.source,
            id=run.info.run_id,
            name=run.info.run_name or run.info.run_id,
            status=run.info.status.lower(),
            started=datetime.fromtimestamp(run.info.start_time / 1000, UTC) if run.info.start_time else None,
            parameters=dict(run.data.params),
            metrics=dict(run.data.metrics),
            tags={name: value for name, value in tags.items() if not name.startswith(CHECKPOINT_TAG)},
            checkpoints=tagged + others,
        )

    def curves(self, run: str) -> dict[str, tuple[Point, ...]]:
        """Return every metric's history, in order of steps."""
        metrics = self._raw(run).data.metrics
        with self._mlflow.errors():
            histories = {name: self._mlflow.client.get_metric_history(run, name) for name in sorted(metrics)}
        return {
            name: tuple(
                Point(item.step, item.value, datetime.fromtimestamp(item.timestamp / 1000, UTC))
                for item in sorted(history, key=lambda item: (item.step, item.timestamp))
            )
            for name, history in histories.items()
        }

    def find(self, reference: str) -> StoredCheckpoint:
        """Find "RUN[/PATH]", "runs:/RUN/PATH", "models:/NAME/VERSION" or "models:/NAME@ALIAS"."""
        if reference.startswith("models:/"):
            reference = self._registered(reference)
        run, _, name = reference.removeprefix("runs:/").partition("/")
        found = self.run(run)
        below = [item for item in found.checkpoints if name and item.name.startswith(f"{name}/")]
        return below[0] if len(below) == 1 else select_checkpoint(found, name)

    def _registered(self, reference: str) -> str:
        """Return "runs:/RUN/PATH" of a registered model."""
        match = re.fullmatch(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))", reference)
        if match is None:
            raise StoreError(f"'{reference}' is no registered model: write models:/NAME/VERSION or models:/NAME@ALIAS.")
        name, version, alias = match.groups()
        if self._is_empty():
            raise StoreError(f"There is no registered model '{name}' here.")
        client = self._mlflow.client
        with self._mlflow.errors():
            found = (
                client.get_model_version(name, version) if version else client.get_model_version_by_alias(name, alias)
            )
        source, run = str(found.source or ""), str(found.run_id or "")
        if source.startswith("runs:/"):
            return source
        place = source.partition(f"/{run}/artifacts/")[2] if run else ""
        if not run:
            raise StoreError(f"{reference} belongs to no run, so its files are not at hand.")
        return f"runs:/{run}/{place}".rstrip("/")

    def fetch(self, checkpoint: StoredCheckpoint, folder: Path, progress: Progress) -> Path:
        """Copy or download the artifact into the folder."""
        mlflow, target = self._mlflow, folder / Path(checkpoint.name).name
        with mlflow.errors():
            root = mlflow.client.get_run(checkpoint.run).info.artifact_uri
            if local := _local_folder(root):
                copy_with_progress(require_inside(local, checkpoint.name), target, progress)
                return target
            with watched(folder, checkpoint.size or 0, progress):
                found = mlflow.client.download_artifacts(checkpoint.run, checkpoint.name, str(folder))
        return require_inside(folder, str(Path(found).resolve().relative_to(folder.resolve())))

    def push(self, path: Path, name: str, run: str | None = None) -> StoredCheckpoint:
        """Store the safetensors file as a checkpoint."""
        metadata = read_metadata(path)
        mlflow = open_mlflow(self._place)
        with mlflow.errors():
            owner = run or mlflow.client.create_run(experiment_id(mlflow), run_name=name).info.run_id
            artifact = log_checkpoint(mlflow, owner, path, name, metadata)
            if run is None:
                mlflow.client.set_terminated(owner)
        return StoredCheckpoint(self.source, owner, artifact, path.stat().st_size, file_digest(path), metadata)


def _from_tags(source: str, run: str, tags: dict[str, str]) -> Iterator[StoredCheckpoint]:
    """Yield the checkpoints whose digests the run's tags hold, by name; a tag that makes no sense is passed over."""
    for tag in sorted(tags):
        if not tag.startswith(CHECKPOINT_TAG):
            continue
        try:
            record = json.loads(tags[tag])
            metadata = {str(name): str(value) for name, value in record["metadata"].items()}
            name = tag.removeprefix(CHECKPOINT_TAG)
            yield StoredCheckpoint(source, run, name, int(record["size"]), str(record["sha256"]), metadata)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _files(mlflow: Mlflow, run: str, folder: str | None = None, depth: int = 0) -> Iterator[Any]:
    """Yield every artifact file of a run, a few folders deep."""
    for item in mlflow.client.list_artifacts(run, folder):
        if not item.is_dir:
            yield item
        elif depth < _DEPTH:
            yield from _files(mlflow, run, item.path, depth + 1)


def _pages(search: Any, *arguments: Any) -> Iterator[Any]:
    """Yield everything that a paged search returns."""
    token = None
    while True:
        page = search(*arguments, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _chunks(items: list[str], size: int = 100) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _local_folder(uri: str) -> Path | None:
    """Return the folder of a file: address or a plain path; None for every other kind."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    return Path(local_file_uri_to_path(uri)) if is_local_uri(uri) else None


class MlflowTracker:
    """Tracks runs in MLflow, in the experiment "odits"."""

    def __init__(self, place: str = "") -> None:
        read_secrets()
        self._place = place
        self.name = f"mlflow:{redact(resolve_uri(place))}"

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> Run:
        """Start a run, or resume the one with that id: what it has at a step already is not logged twice."""
        try:
            mlflow = open_mlflow(self._place)
            with mlflow.errors():
                run = self._resume(mlflow, resume) if resume else self._create(mlflow, name)
                logged = set(mlflow.client.get_run(run).data.params) if resume else set()
                fresh = {label: value for label, value in parameters.items() if key(label) not in logged}
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


class MlflowRun:
    """One run in MLflow; safe to use from several threads."""

    def __init__(self, mlflow: Mlflow, run: str, resumed: bool) -> None:
        self.id = run
        self._mlflow, self._resumed = mlflow, resumed
        self._pending: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()
        self._rejected: list[str] = []
        self._retry_at = 0.0
        self._logged: dict[str, set[int]] = {}

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log the values; after a failure they wait for the next call."""
        now, logged = int(time.time() * 1000), {key(name): float(value) for name, value in values.items()}
        self._send(lambda: self._log_metrics(logged, step, now))

    def _log_metrics(self, values: Mapping[str, float], step: int, now: int) -> None:
        from mlflow.entities import Metric

        fresh = [(name, value) for name, value in values.items() if not self._has(name, step)]
        self._mlflow.client.log_batch(self.id, metrics=[Metric(name, value, now, step) for name, value in fresh])

    def _has(self, name: str, step: int) -> bool:
        """Return whether this run logged the metric at the step before it was resumed."""
        if not self._resumed:
            return False
        if name not in self._logged:
            self._logged[name] = {point.step for point in self._mlflow.client.get_metric_history(self.id, name)}
        return step in self._logged[name]

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        """Log the file as an artifact under checkpoints/, with its digest and metadata in a tag of the run."""
        copied = dict(metadata)
        self._send(lambda: self._log_checkpoint(path, name, copied))

    def _log_checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        if path.is_file():
            log_checkpoint(self._mlflow, self.id, path, name, metadata)
        else:  # gone while it waited for the store: nothing that could be sent again
            self._rejected.append(f"{path.name} is no longer there")

    def finish(self, status: Status) -> None:
        """Close the run; say what did not reach the store."""
        with self._lock:
            self._pending.append(lambda: self._mlflow.client.set_terminated(self.id, status.upper()))
            self._retry_at = 0.0
            error = self._drain()
            lost = [*self._rejected, *([reason(error)] if error is not None else [])]
            if lost:
                raise TrackingError(
                    f"{self._mlflow.title} lacks {len(self._rejected) + len(self._pending)} entries of run {self.id}: "
                    + "; ".join(lost[:3])
                )

    def _send(self, entry: Callable[[], None]) -> None:
        with self._lock:
            self._pending.append(entry)
            if time.monotonic() < self._retry_at:
                return
            error = self._drain()
            if error is not None:
                self._retry_at = time.monotonic() + _RETRY_S
                _log.warning("%s does not answer; what is logged waits for it: %s", self._mlflow.title, reason(error))

    def _drain(self) -> Exception | None:
        """Send what is waiting, in order; return what stopped it."""
        while self._pending:
            try:
                self._pending[0]()
            except Exception as error:
                if not _is_rejection(error):
                    return error
                self._rejected.append(reason(error))
            self._pending.popleft()
        return None


def _is_rejection(error: Exception) -> bool:
    """Return whether the store answered and will never take this entry, so that it must not hold up the others."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.get_http_status_code() in (400, 404, 409, 413, 422)
