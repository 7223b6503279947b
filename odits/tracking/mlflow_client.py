"""MLflow, opened: the local SQLite file or a server, with time limits, and how a checkpoint is logged there."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from odits.core.errors import StoreError
from odits.core.files import cache_home, expand_home, file_digest, link_or_copy, safe_name, temporary_folder
from odits.tracking.connections import (
    ANSWER_S,
    LOGIN_FOR,
    answer_within,
    client_errors,
    has_login_for,
    read_secrets,
    redact,
    require_reachable,
)
from odits.tracking.mlflow_database import check_database, prepare_database

EXPERIMENT = "odits"
CHECKPOINT_FOLDER = "checkpoints"
CHECKPOINT_TAG = "odits.checkpoint/"
"""Tag of a run per checkpoint: "odits.checkpoint/PATH" = JSON with its digest, size and metadata."""

USERNAME, PASSWORD, TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
"""MLflow's own variables for a login."""

KEY_ROOM = 250
"""Letters of a parameter's, metric's or tag's name."""
_BATCH = 100  # parameters and tags at a time
_TAG_ROOM = 6000
_CLIENT_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class Mlflow:
    """An open MLflow: its client, its reference without credentials, and its name in sentences."""

    client: Any
    uri: str
    source: str
    title: str

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn every failure inside the block into one sentence without credentials."""
        with client_errors(self.title):
            try:
                yield
            except Exception as error:
                if refused := refused_login(error, self.title, self.uri):
                    raise StoreError(f"{refused}.") from None
                raise


def local_database() -> Path:
    """Return the SQLite file of the default store; `mlflow ui --backend-store-uri sqlite:///FILE` shows it."""
    return cache_home() / "mlflow" / "mlflow.db"


def resolve_uri(place: str) -> str:
    """Return the tracking URI: the place itself, else $MLFLOW_TRACKING_URI, else the local SQLite file."""
    uri = place or os.environ.get("MLFLOW_TRACKING_URI", "").strip()
    if not uri:
        return f"sqlite:///{local_database()}"
    if not _is_plain_path(uri):
        return uri
    path = expand_home(uri)
    if path.suffix in (".db", ".sqlite") or path.is_file():
        return f"sqlite:///{path.absolute()}"
    return str(path)


def _is_plain_path(uri: str) -> bool:
    return "://" not in uri and not uri.startswith(("file:", "databricks", "uc:"))


def sqlite_file(uri: str) -> Path | None:
    """Return the file behind a SQLite URI; None for every other kind.

    Examples:
        >>> sqlite_file("sqlite+pysqlite:////data/mlflow.db?timeout=20")
        PosixPath('/data/mlflow.db')
        >>> sqlite_file("http://localhost:5000") is None
        True
    """
    match = re.match(r"sqlite(?:\+\w+)?:///([^?]*)", uri)
    return Path(unquote(match[1])) if match else None


def refused_login(error: BaseException, title: str, uri: str) -> str:
    """Say in a sentence without its full stop that a server refuses the login; "" where something else failed."""
    from mlflow.exceptions import MlflowException

    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
    if status == HTTPStatus.FORBIDDEN:
        return f"{title} does not allow that to the user who asks ({USERNAME} or {TOKEN})"
    if status != HTTPStatus.UNAUTHORIZED:
        return ""
    from mlflow.utils.credentials import read_mlflow_creds

    login = read_mlflow_creds()
    if (os.environ.get(TOKEN) or login.username) and not has_login_for(uri):
        return f"{title} wants a login, and the one here is for another server: add its address to {LOGIN_FOR}"
    if os.environ.get(TOKEN):
        return f"{title} refuses the token in {TOKEN}"
    if login.username or login.password:
        return f"{title} refuses the login in {USERNAME} and {PASSWORD}"
    return f"{title} wants a login: set {USERNAME} and {PASSWORD}, or {TOKEN}"


def open_mlflow(place: str = "", create: bool = True) -> Mlflow:
    """Open MLflow at a place and check that it answers.

    Args:
        place: as for `resolve_uri`.
        create: whether a SQLite file that is not there is made.

    Raises:
        StoreError: nothing answers there within 10 s or the login is refused; or there is no such file or folder, or it
            is not MLflow's, or its schema is another one. A file is changed in none of these cases.
    """
    read_secrets()
    uri = resolve_uri(place)
    shown = redact(uri)
    file = sqlite_file(uri)
    title = f"The MLflow store {file or shown}" if file or "://" not in uri else f"The MLflow server {shown}"
    require_reachable(uri, title)
    if file:
        check_database(file, create)
        if create or file == local_database():
            prepare_database(file)
    elif uri.startswith("file:") or _is_plain_path(uri):
        _allow_folder(uri)
    for name, value in _CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    _keep_login()
    logging.getLogger("alembic").setLevel(logging.WARNING)

    client = MlflowClient(uri, registry_uri=uri)
    mlflow = Mlflow(client, uri, "mlflow" if uri == resolve_uri("") else f"mlflow:{shown}", title)

    def connect() -> None:
        try:
            client.search_experiments(max_results=1)
        except Exception as error:
            if refused := refused_login(error, title, uri):
                raise StoreError(f"{refused}.") from None
            raise

    if file:
        with mlflow.errors():
            connect()
    else:
        answer_within(ANSWER_S, connect, f"{title} does not answer as it should.")
    return mlflow


def _keep_login() -> None:
    """Make MLflow send its login to the servers that it is for: it knows one login, and sends it to every host.

    All of its calls, those for artifacts included, take the login from one function, which makes it here.
    """
    from mlflow.utils import credentials
    from mlflow.utils.rest_utils import MlflowHostCreds

    def login_of(host: str, **given: Any) -> MlflowHostCreds:
        if not has_login_for(host):
            given |= dict.fromkeys(("username", "password", "token", "auth", "client_cert_path"))
            given["aws_sigv4"] = False
        return MlflowHostCreds(host, **given)

    credentials.MlflowHostCreds = login_of


def _allow_folder(uri: str) -> None:
    """Allow MLflow to open a folder of the kind `mlruns`, where there is one: it would make any other.

    Raises:
        StoreError: it is no folder of MLflow's.
    """
    folder = Path(unquote(urlsplit(uri).path)) if uri.startswith("file:") else Path(uri)
    if not any(folder.glob("*/meta.yaml")):
        raise StoreError(f"{folder} is no folder of MLflow's, which holds a meta.yaml for each experiment.")
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")


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
    """Return a name as MLflow takes it for parameters, metrics and tags: a plain relative path that is short enough."""
    parts = [part for part in re.sub(r"[^\w\-. :/]", "_", name).split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:KEY_ROOM].rstrip("/") or "_"


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
