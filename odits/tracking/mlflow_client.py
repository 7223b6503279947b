"""MLflow, opened: the local SQLite file or a server, with time limits, and how a checkpoint is logged there."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from odits.core.errors import StoreError
from odits.core.files import cache_home, expand_home, file_digest, link_or_copy, safe_name, temporary_folder
from odits.tracking.connections import (
    ANSWER_S,
    answer_within,
    client_errors,
    read_secrets,
    redact,
    require_reachable,
)

EXPERIMENT = "odits"
CHECKPOINT_FOLDER = "checkpoints"
CHECKPOINT_TAG = "odits.checkpoint/"
"""Tag of a run per checkpoint: "odits.checkpoint/PATH" = JSON with its digest, size and metadata."""

_BATCH = 100  # parameters and tags at a time
_TAG_ROOM = 6000
_CLIENT_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class Mlflow:
    """An open MLflow: its client, its reference without credentials, and its name in sentences."""

    client: Any
    uri: str
    source: str
    title: str

    def errors(self) -> AbstractContextManager[None]:
        """Turn every failure inside the block into one sentence without credentials."""
        return client_errors(self.title)


def local_database() -> Path:
    """Return the SQLite file of the default store; `mlflow ui --backend-store-uri sqlite:///FILE` shows it."""
    return cache_home() / "mlflow" / "mlflow.db"


def resolve_uri(place: str) -> str:
    """Return the tracking URI: the place itself, else $MLFLOW_TRACKING_URI, else the local SQLite file."""
    uri = place or os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        return f"sqlite:///{local_database()}"
    if "://" not in uri and uri.endswith((".db", ".sqlite")):
        return f"sqlite:///{expand_home(uri).absolute()}"
    return uri


def sqlite_file(uri: str) -> Path | None:
    """Return the file behind a SQLite URI; None for every other kind."""
    return Path(unquote(uri.removeprefix("sqlite:///"))) if uri.startswith("sqlite:///") else None


def open_mlflow(place: str = "", create: bool = True) -> Mlflow:
    """Open MLflow at a place and check that it answers.

    Args:
        place: as for `resolve_uri`.
        create: whether a SQLite file that is not there is made.

    Raises:
        StoreError: nothing answers there within 10 s, or there is no such file.
    """
    read_secrets()
    uri = resolve_uri(place)
    shown = redact(uri)
    file = sqlite_file(uri)
    title = f"The MLflow store {file}" if file else f"The MLflow server {shown}"
    require_reachable(uri, title)
    if file:
        _prepare(file, create)
    for name, value in _CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)

    def connect() -> Any:
        client = MlflowClient(uri, registry_uri=uri)
        client.search_experiments(max_results=1)
        return client

    if file:
        with client_errors(title):
            client = connect()
    else:
        client = answer_within(ANSWER_S, connect, f"{title} does not answer as it should.")
    return Mlflow(client, uri, "mlflow" if uri == resolve_uri("") else f"mlflow:{shown}", title)


def _prepare(file: Path, create: bool) -> None:
    """Make the file where it is missing, in WAL mode: pages read while a training writes."""
    if not create and not file.is_file():
        raise StoreError(f"There is no MLflow store {file}.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=20)) as database:
            database.execute("PRAGMA busy_timeout = 20000")
            database.execute("PRAGMA journal_mode = WAL")
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The MLflow store {file} can't be opened: {error}.") from error


def experiment_id(mlflow: Mlflow, name: str = EXPERIMENT) -> str:
    """Return the id of the experiment, made where it is missing; artifacts of a SQLite store lie beside its file."""
    found = mlflow.client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "active":
        return found.experiment_id
    if found is not None:
        mlflow.client.restore_experiment(found.experiment_id)
        return found.experiment_id
    file = sqlite_file(mlflow.uri)
    location = (file.absolute().parent / "artifacts" / safe_name(name)).as_uri() if file else None
    return mlflow.client.create_experiment(name, artifact_location=location)


def key(name: str) -> str:
    """Return a name as MLflow takes it for parameters, metrics and tags: a plain relative path of at most 250."""
    parts = [part for part in re.sub(r"[^\w\-. :/]", "_", name).split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:250].rstrip("/") or "_"


def log_texts(mlflow: Mlflow, run: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """Log parameters and tags in batches of the size that MLflow takes."""
    from mlflow.entities import Param, RunTag

    params = (Param(key(name), str(value)) for name, value in parameters.items())
    while some := list(itertools.islice(params, _BATCH)):
        mlflow.client.log_batch(run, params=some)
    run_tags = (RunTag(key(name), str(value)) for name, value in tags.items())
    while batch := list(itertools.islice(run_tags, _BATCH)):
        mlflow.client.log_batch(run, tags=batch)


def log_file(mlflow: Mlflow, run: str, path: Path, artifact: str) -> None:
    """Log a file as the artifact of another name than its own."""
    folder, _, name = artifact.rpartition("/")
    with temporary_folder("upload") as work:
        link_or_copy(path, work / name)  # the artifact takes the local file's name
        mlflow.client.log_artifact(run, str(work / name), folder or None)


def log_checkpoint(mlflow: Mlflow, run: str, path: Path, name: str, metadata: Mapping[str, str]) -> str:
    """Log a file of weights with the run; its digest is written last, once the file is there.

    Returns:
        Its artifact path.
    """
    artifact = f"{CHECKPOINT_FOLDER}/{safe_name(name.removesuffix('.safetensors'))}.safetensors"
    digest, size = file_digest(path), path.stat().st_size
    log_file(mlflow, run, path, artifact)
    mlflow.client.set_tag(run, CHECKPOINT_TAG + artifact, checkpoint_record(digest, size, metadata))
    return artifact


def checkpoint_record(digest: str, size: int, metadata: Mapping[str, str]) -> str:
    """Write the JSON of a checkpoint's tag; metadata beyond the tag's room is left to the file's own header."""
    fitting: dict[str, str] = {}
    for name, value in metadata.items():
        if len(json.dumps({**fitting, name: value})) < _TAG_ROOM:
            fitting[name] = str(value)
    return json.dumps({"sha256": digest, "size": size, "metadata": fitting})
