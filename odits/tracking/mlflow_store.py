"""Runs and checkpoints in MLflow: stored ones, and those that are tracked while they go on."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from odits.core.errors import StoreError
from odits.core.files import file_digest, temporary_folder
from odits.core.progress import Progress
from odits.tracking.connections import read_secrets, reason, redact
from odits.tracking.mlflow_artifacts import Answer, ArtifactFile, fetch_file, list_roots, store_of
from odits.tracking.mlflow_client import (
    CHECKPOINT_FOLDER,
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
from odits.tracking.mlflow_models import (
    MODEL_ID,
    MODELS,
    Root,
    locate,
    logged_models,
    model_roots,
    moment,
    owner_root,
    pages,
)
from odits.tracking.model_card import CARD, companions, describe_weights, model_card
from odits.tracking.store import (
    Listing,
    Point,
    Run,
    Status,
    StoredCheckpoint,
    StoredRun,
    TrackingError,
    is_weights,
    newest_first,
    select_checkpoint,
)

_PAGE = 1000  # runs in an answer of a server
_FILE_PAGE = 10_000  # of a SQLite file, which counts from the first run for every page
_CHUNK = 100  # experiments that are asked for at a time
_NAMED = 3  # runs in a warning
_ONE_EXPERIMENT = (400, 403, 404)  # answers that may be about one experiment of many
_RESTORE = (
    "Deleted runs are listed too: `mlflow runs restore --run-id RUN` brings one back, after `mlflow experiments "
    "restore --experiment-id ID` where its experiment was deleted (with MLFLOW_TRACKING_URI set to this store)."
)
_RETRY_S = 30.0

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

    def list(self, deleted: bool = False) -> Listing:
        """List all runs of all experiments, newest first; those whose files can't be listed say why.

        Args:
            deleted: whether runs that wait in MLflow's bin are listed too.
        """
        if self._is_empty():
            return Listing(())
        mlflow = self._mlflow
        warnings: list[str] = []
        runs, models = _search(mlflow, deleted, warnings)
        roots = model_roots(models)
        answers = list_roots(mlflow, [*_roots_to_ask(runs), *(root.uri for root in roots)])
        for root, answer in list(answers.items()):
            if isinstance(answer, str):  # counts for the runs of the same place that were not asked
                answers.setdefault(store_of(root), answer)
        owned: dict[str, list[Root]] = {}
        for model_root in roots:
            owned.setdefault(model_root.owner, []).append(model_root)
        found = [_describe(self.source, run, owned.get(run.info.run_id, []), answers) for run in runs]
        alone = ((model, owned.get(f"{MODELS}{model.model_id}")) for model in models)
        found += [_describe_model(self.source, model, own[0], answers) for model, own in alone if own]
        warnings += _summaries(found)
        if any(run.deleted for run in found):
            warnings.append(_RESTORE)
        return Listing(newest_first(found), tuple(warnings))

    def run(self, run: str) -> StoredRun:
        """Return one run with every file of weights among its artifacts and those of its logged models.

        A logged model, "models:/m-ID", counts as a run; what it has that belongs to a run is listed there.
        """
        if run.startswith(MODELS):
            return self._model(run)
        raw, mlflow = self._raw(run), self._mlflow
        with mlflow.errors():
            models = logged_models(mlflow, [raw.info.experiment_id])
        roots = [root for root in model_roots(models) if root.owner == run]
        answers = list_roots(mlflow, [raw.info.artifact_uri, *(root.uri for root in roots)], patient=True)
        return _describe(self.source, raw, roots, answers)

    def _raw(self, run: str) -> Any:
        if self._is_empty():
            raise StoreError(f"There is no run '{run}' here.")
        if not re.fullmatch(r"[\w-]+", run):
            raise StoreError(f"'{run}' is no id of an MLflow run.")
        mlflow = self._mlflow
        with mlflow.errors():
            return mlflow.client.get_run(run)

    def _model(self, owner: str) -> StoredRun:
        """Describe a logged model, or a version of a registered one that belongs to no run, as a run."""
        mlflow, name = self._mlflow, owner.removeprefix(MODELS)
        with mlflow.errors():
            uri = owner_root(mlflow, owner)
            answers = list_roots(mlflow, [uri], patient=True)
            root = Root(uri, owner, "", "" if "/" in name else name)
            if root.model:
                return _describe_model(self.source, mlflow.client.get_logged_model(name), root, answers)
        checkpoints, problems = _below(self.source, root, answers)
        return StoredRun(self.source, owner, name, "ready", checkpoints=checkpoints, problem=" ".join(problems))

    def curves(self, run: str) -> dict[str, tuple[Point, ...]]:
        """Return every metric's history, in order of steps."""
        if run.startswith(MODELS):
            return {}
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
        """Find "RUN[/PATH]", "runs:/RUN/PATH", or one of `MODEL_FORMS`."""
        owner, _, name = reference.removeprefix("runs:/").partition("/")
        if reference.startswith(MODELS):
            if self._is_empty():
                raise StoreError(f"There is no model '{reference.removeprefix(MODELS)}' here.")
            owner, name = locate(self._mlflow, reference)
        found = self.run(owner)
        below = [item for item in found.checkpoints if name and item.name.startswith(f"{name}/")]
        if len(below) == 1:
            return below[0]
        if below:
            names = ", ".join(item.reference for item in below)
            raise StoreError(f"'{reference}' holds several checkpoints: name one of {names}.")
        if found.problem and not any(name in item.name for item in found.checkpoints):
            raise StoreError(f"'{reference}' is out of reach: {found.problem}")
        return select_checkpoint(found, name)

    def fetch(self, checkpoint: StoredCheckpoint, folder: Path, progress: Progress) -> Path:
        """Copy or download the artifact into the folder."""
        mlflow, path = self._mlflow, checkpoint.name
        model = checkpoint.metadata.get(MODEL_ID, "")
        with mlflow.errors():
            root = owner_root(mlflow, f"{MODELS}{model}" if model else checkpoint.run)
        if model and not checkpoint.run.startswith(MODELS):
            path = path.partition("/")[2]
        return fetch_file(mlflow, root, ArtifactFile(path, checkpoint.size), folder, progress)

    def push(
        self, path: Path, name: str, run: str | None = None, metrics: Mapping[str, float] | None = None
    ) -> StoredCheckpoint:
        """Store the safetensors file as a checkpoint, with the run's model card and what open_clip needs beside it."""
        metadata = describe_weights(path, metrics or {})
        mlflow = open_mlflow(self._place)
        with mlflow.errors():
            owner = run or mlflow.client.create_run(experiment_id(mlflow), run_name=name).info.run_id
            artifact = log_checkpoint(mlflow, owner, path, name, metadata)
            _log_card(mlflow, self.source, owner, companions(metadata))
            if run is None:
                mlflow.client.set_terminated(owner)
        return StoredCheckpoint(self.source, owner, artifact, path.stat().st_size, file_digest(path), metadata)


def _log_card(mlflow: Mlflow, source: str, run: str, beside: Mapping[str, bytes]) -> None:
    """Write the model card of all the run's checkpoints, and the files beside them."""
    found = mlflow.client.get_run(run)
    checkpoints = list(_from_tags(source, run, dict(found.data.tags)))
    card = model_card(found.info.run_name or run, checkpoints, found.data.metrics)
    with temporary_folder("card") as work:
        for name, content in {**beside, CARD: card.encode()}.items():
            (work / name).write_bytes(content)
            mlflow.client.log_artifact(run, str(work / name), CHECKPOINT_FOLDER)


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


def _search(mlflow: Mlflow, deleted: bool, warnings: list[str]) -> tuple[list[Any], list[Any]]:
    """Return all runs and logged models; an experiment that can't be read is named and hides no other."""
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    size = _PAGE if sqlite_file(mlflow.uri) is None else _FILE_PAGE
    runs: list[Any] = []
    models: list[Any] = []

    def add(experiments: Sequence[str]) -> None:
        runs.extend(pages(mlflow.client.search_runs, experiments, "", view, size=size))
        models.extend(logged_models(mlflow, experiments))

    with mlflow.errors():
        names = {item.experiment_id: item.name for item in pages(mlflow.client.search_experiments, view, size=_PAGE)}
        for chunk in _chunks(list(names)):
            before = len(runs)
            try:
                add(chunk)
            except MlflowException as error:
                if error.get_http_status_code() not in _ONE_EXPERIMENT:
                    raise
                del runs[before:]
                for experiment in chunk:
                    try:
                        add([experiment])
                    except MlflowException as refused:
                        warnings.append(f"The runs of experiment '{names[experiment]}' are left out: {reason(refused)}")
    return runs, models


def _roots_to_ask(runs: Sequence[Any]) -> list[str]:
    """Return the roots of runs whose checkpoints no tag names, and one of each place, to learn whether it is there."""
    roots, seen = [], set()
    for run in runs:
        root = run.info.artifact_uri
        tagged = any(tag.startswith(CHECKPOINT_TAG) for tag in run.data.tags)
        if not tagged or store_of(root) not in seen:
            roots.append(root)
            seen.add(store_of(root))
    return roots


def _describe(source: str, run: Any, roots: Sequence[Root], answers: Mapping[str, Answer]) -> StoredRun:
    tags, owner, uri = dict(run.data.tags), run.info.run_id, run.info.artifact_uri
    checkpoints = {item.name: item for item in _from_tags(source, owner, tags)}
    problems: list[str] = []
    for root in (Root(uri, owner, "", ""), *roots):
        found, why = _below(source, root, answers)
        checkpoints = {item.name: item for item in found} | checkpoints
        problems += why
    return StoredRun(
        source=source,
        id=owner,
        name=run.info.run_name or owner,
        status=run.info.status.lower(),
        started=moment(run.info.start_time),
        parameters=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags={name: value for name, value in tags.items() if not name.startswith(CHECKPOINT_TAG)},
        checkpoints=tuple(checkpoints[name] for name in sorted(checkpoints)),
        problem=" ".join(dict.fromkeys(problems)),
        deleted=run.info.lifecycle_stage != "active",
    )


def _describe_model(source: str, model: Any, root: Root, answers: Mapping[str, Answer]) -> StoredRun:
    """Describe a logged model that belongs to no run, or goes by its id there, as a run of its own."""
    checkpoints, problems = _below(source, root, answers)
    return StoredRun(
        source=source,
        id=f"{MODELS}{model.model_id}",
        name=model.name or model.model_id,
        status=str(model.status.value if hasattr(model.status, "value") else model.status).lower(),
        started=moment(model.creation_timestamp),
        parameters=dict(model.params or {}),
        metrics={item.key: item.value for item in model.metrics or ()},
        tags=dict(model.tags or {}),
        checkpoints=checkpoints,
        problem=" ".join(problems),
    )


def _below(source: str, root: Root, answers: Mapping[str, Answer]) -> tuple[tuple[StoredCheckpoint, ...], list[str]]:
    """Return the checkpoints among the files below a root, and why they can't be listed, where that is so."""
    answer = answers.get(root.uri, answers.get(store_of(root.uri), ()))
    if isinstance(answer, str):
        return (), [f"Its files can't be listed: {answer}."]
    metadata = {MODEL_ID: root.model} if root.model else {}
    found = (
        StoredCheckpoint(source, root.owner, root.name(file.path), file.size, metadata=metadata)
        for file in answer
        if is_weights(file.path)
    )
    return tuple(found), []


def _summaries(runs: Sequence[StoredRun]) -> list[str]:
    """Say each problem once, with the runs that have it."""
    grouped: dict[str, list[str]] = {}
    for run in runs:
        if run.problem:
            grouped.setdefault(run.problem, []).append(run.id)
    lines = []
    for problem, ids in grouped.items():
        more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
        lines.append(f"Run{'s' if len(ids) > 1 else ''} {', '.join(ids[:_NAMED])}{more}: {problem}")
    return lines


def _chunks(items: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


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
