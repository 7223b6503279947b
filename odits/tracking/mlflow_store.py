"""Runs and checkpoints in MLflow: a SQLite file on this machine, or a server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from odits.core.errors import StoreError
from odits.core.files import copy_with_progress, file_digest, watched
from odits.core.progress import Progress
from odits.models.registry import read_metadata
from odits.tracking.connections import redact
from odits.tracking.mlflow_client import (
    CHECKPOINT_TAG,
    Mlflow,
    experiment_id,
    log_checkpoint,
    open_mlflow,
    resolve_uri,
    sqlite_file,
)
from odits.tracking.store import Listing, Point, StoredCheckpoint, StoredRun, is_weights, pick, require_inside

_DEPTH = 4
_PAGE = 1000


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
        """All runs of all experiments, newest first."""
        if self._is_empty():
            return Listing(())
        mlflow = self._mlflow
        with mlflow.speaking():
            experiments = [item.experiment_id for item in _pages(mlflow.client.search_experiments)]
            runs = [run for some in _chunks(experiments) for run in _pages(mlflow.client.search_runs, some)]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(self._describe, runs))
        return Listing(tuple(sorted(found, key=lambda run: run.started or _EPOCH, reverse=True)))

    def run(self, run: str) -> StoredRun:
        """One run with every file of weights among its artifacts."""
        return self._describe(self._raw(run), thorough=True)

    def _raw(self, run: str) -> Any:
        if self._is_empty():
            raise StoreError(f"There is no run '{run}' here.")
        if not re.fullmatch(r"[\w-]+", run):
            raise StoreError(f"'{run}' is no id of an MLflow run.")
        mlflow = self._mlflow
        with mlflow.speaking():
            return mlflow.client.get_run(run)

    def _describe(self, run: Any, thorough: bool = False) -> StoredRun:
        tags = dict(run.data.tags)
        written = tuple(_from_tags(self.source, run.info.run_id, tags))
        names = {item.name for item in written}
        others: tuple[StoredCheckpoint, ...] = ()
        if thorough or not written:  # a run of somebody else's: its artifacts have to be asked
            with self._mlflow.speaking():
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
            checkpoints=written + others,
        )

    def curves(self, run: str) -> dict[str, tuple[Point, ...]]:
        """Every metric's history, in order of steps."""
        metrics = self._raw(run).data.metrics
        with self._mlflow.speaking():
            histories = {name: self._mlflow.client.get_metric_history(run, name) for name in sorted(metrics)}
        return {
            name: tuple(
                Point(item.step, item.value, datetime.fromtimestamp(item.timestamp / 1000, UTC))
                for item in sorted(history, key=lambda item: (item.step, item.timestamp))
            )
            for name, history in histories.items()
        }

    def find(self, reference: str) -> StoredCheckpoint:
        """The checkpoint of "RUN[/PATH]", "runs:/RUN/PATH", "models:/NAME/VERSION" or "models:/NAME@ALIAS"."""
        if reference.startswith("models:/"):
            reference = self._registered(reference)
        run, _, name = reference.removeprefix("runs:/").partition("/")
        found = self.run(run)
        below = [item for item in found.checkpoints if name and item.name.startswith(f"{name}/")]
        return below[0] if len(below) == 1 else pick(found, name)

    def _registered(self, reference: str) -> str:
        """ "runs:/RUN/PATH" of a registered model."""
        match = re.fullmatch(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))", reference)
        if match is None:
            raise StoreError(f"'{reference}' is no registered model: write models:/NAME/VERSION or models:/NAME@ALIAS.")
        name, version, alias = match.groups()
        if self._is_empty():
            raise StoreError(f"There is no registered model '{name}' here.")
        client = self._mlflow.client
        with self._mlflow.speaking():
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
        """The artifact, copied or downloaded into the folder."""
        mlflow, target = self._mlflow, folder / Path(checkpoint.name).name
        with mlflow.speaking():
            root = mlflow.client.get_run(checkpoint.run).info.artifact_uri
            if local := _local_folder(root):
                copy_with_progress(require_inside(local, checkpoint.name), target, progress)
                return target
            with watched(folder, checkpoint.size or 0, progress):
                found = mlflow.client.download_artifacts(checkpoint.run, checkpoint.name, str(folder))
        return require_inside(folder, str(Path(found).resolve().relative_to(folder.resolve())))

    def push(self, path: Path, name: str, run: str | None = None) -> StoredCheckpoint:
        """The checkpoint that the safetensors file has become."""
        metadata = read_metadata(path)
        mlflow = open_mlflow(self._place)
        with mlflow.speaking():
            owner = run or mlflow.client.create_run(experiment_id(mlflow), run_name=name).info.run_id
            artifact = log_checkpoint(mlflow, owner, path, name, metadata)
            if run is None:
                mlflow.client.set_terminated(owner)
        return StoredCheckpoint(self.source, owner, artifact, path.stat().st_size, file_digest(path), metadata)


_EPOCH = datetime.fromtimestamp(0, UTC)


def _from_tags(source: str, run: str, tags: dict[str, str]) -> Iterator[StoredCheckpoint]:
    """The checkpoints whose digests the run's tags hold, in order of name; a tag that makes no sense is passed over."""
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
    """Every artifact file of a run, a few folders deep."""
    for item in mlflow.client.list_artifacts(run, folder):
        if not item.is_dir:
            yield item
        elif depth < _DEPTH:
            yield from _files(mlflow, run, item.path, depth + 1)


def _pages(ask: Any, *arguments: Any) -> Iterator[Any]:
    """Everything that a paged question answers."""
    token = None
    while True:
        page = ask(*arguments, max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _chunks(items: list[str], size: int = 100) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _local_folder(uri: str) -> Path | None:
    """The folder of a file: address or a plain path; None for every other kind."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    return Path(local_file_uri_to_path(uri)) if is_local_uri(uri) else None
