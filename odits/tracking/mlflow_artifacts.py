"""The files behind MLflow's artifact addresses, listed side by side and within time limits.

Experiments keep their artifacts wherever they like: on a disk, in a bucket, behind a server. One that is gone costs the
files of its own runs only.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from odits.core.errors import StoreError
from odits.core.files import copy_with_progress, watched
from odits.core.progress import Progress
from odits.tracking.connections import reason, redact
from odits.tracking.mlflow_client import Mlflow, refused_login, sqlite_file
from odits.tracking.store import require_inside

SILENT_S = 5.0
"""Seconds after which an artifact store that says nothing is given up, where many are listed."""
PATIENT_S = 30.0
"""The same where one run is asked for: a store may be slow and healthy."""
LISTING_S = 30.0
"""Seconds after which runs that were not asked for their files are listed without them."""

_DEPTH = 4  # folders of artifacts that are searched
_AT_ONCE = 32  # artifact stores
_THREADS = 4  # for each of them
_REFUSALS = 3  # equal ones in a row, after which the others of the same artifact store are not asked

_PACKAGES = {
    "gs": "google-cloud-storage",
    "s3": "boto3",
    "r2": "boto3",
    "b2": "boto3",
    "wasbs": "azure-storage-blob",
    "abfss": "azure-storage-file-datalake",
    "hdfs": "pyarrow",
    "sftp": "pysftp",
}
"""The package that MLflow opens a kind of address with."""


class ArtifactFile(NamedTuple):
    """A file among artifacts: its path below their root, and its bytes where they are known."""

    path: str
    size: int | None


Answer = tuple[ArtifactFile, ...] | str
"""The files below a root, or the sentence why they can't be listed."""


def list_roots(mlflow: Mlflow, roots: Collection[str], patient: bool = False) -> dict[str, Answer]:
    """List the files below many roots; artifact stores side by side, so that a silent one delays no other.

    Args:
        mlflow: the server that answers for `mlflow-artifacts:` addresses.
        roots: the addresses, the most important first.
        patient: whether to wait `PATIENT_S` for a silent store, in place of `SILENT_S`.

    Returns:
        For each root its files, or why they can't be listed.
    """
    _prepare()
    grouped: dict[str, list[str]] = {}
    for root in dict.fromkeys(roots):
        grouped.setdefault(store_of(root), []).append(root)
    silence = PATIENT_S if patient else SILENT_S
    stores = [_ArtifactStore(lambda root: _answer(mlflow, root), group, silence) for group in grouped.values()]
    end = time.monotonic() + max(LISTING_S, 2 * silence)
    queue, running = deque(stores), list[_ArtifactStore]()
    while (queue or running) and time.monotonic() < end:
        while queue and len(running) < _AT_ONCE:
            running.append(queue.popleft())
            running[-1].start()
        time.sleep(0.01)
        running = [store for store in running if not store.has_ended()]
    return {root: answer for store in stores for root, answer in store.answers()}


def list_root(mlflow: Mlflow, root: str) -> tuple[ArtifactFile, ...]:
    """List the files below one root.

    Raises:
        StoreError: they can't be listed, or not within `PATIENT_S` seconds.
    """
    found = list_roots(mlflow, [root], patient=True)[root]
    if isinstance(found, str):
        raise StoreError(f"The files can't be listed: {found}.")
    return found


def fetch_file(mlflow: Mlflow, root: str, file: ArtifactFile, folder: Path, progress: Progress) -> Path:
    """Copy or download a file below a root into a folder.

    Raises:
        StoreError: the root is out of reach, or the file leaves it.
    """
    local = local_folder(mlflow, root)
    if local is not None:
        target = folder / Path(file.path).name
        found = require_inside(local, file.path)
        if not found.is_file():
            raise StoreError(f"{file.path} is not in {local}: it was moved or removed.")
        copy_with_progress(found, target, progress)
        return target
    list_root(mlflow, root)  # clients retry for minutes where nobody answers
    with mlflow.errors(), watched(folder, file.size or 0, progress):
        downloaded = _repository(mlflow, root).download_artifacts(file.path, str(folder))
    return require_inside(folder, str(Path(downloaded).resolve().relative_to(folder.resolve())))


def store_of(root: str) -> str:
    """Return where an experiment keeps its artifacts, from the root of one of its runs or logged models.

    Examples:
        >>> store_of("s3://bucket/signs/4f1a/artifacts")
        's3://bucket/signs'
        >>> store_of("file:///home/me/mlruns/1/models/m-4f1a/artifacts")
        'file:///home/me/mlruns/1'
    """
    return re.sub(r"(/models)?/[^/]+/artifacts/?$", "", root)


def local_folder(mlflow: Mlflow, root: str) -> Path | None:
    """Return the folder of a `file:` address or a plain path; None for every other kind.

    Where a SQLite file was moved together with its artifacts, the addresses in it are those of the former place: the
    same folder beside the file is taken.
    """
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    if not is_local_uri(root):
        return None
    folder = Path(local_file_uri_to_path(root))
    database = sqlite_file(mlflow.uri)
    if database is None or folder.is_dir():
        return folder
    parts = folder.parts[1:]
    beside = (database.absolute().parent.joinpath(*parts[start:]) for start in range(len(parts) - 2))
    return next((place for place in beside if place.is_dir()), folder)


class _ArtifactStore:
    """The roots of one experiment, asked by a few threads that are left behind once the place is silent."""

    def __init__(self, ask: Callable[[str], Answer], roots: Sequence[str], silence: float) -> None:
        self._ask = ask
        self._silence = silence
        self._roots = tuple(roots)
        self._waiting = deque(roots)
        self._answers: dict[str, Answer] = {}
        self._refusals: deque[Answer] = deque(maxlen=_REFUSALS)
        self._given_up = f"they were not asked for within {LISTING_S:.0f} s; `odits checkpoints show RUN` lists them"
        self._asked = 0
        self._last = 0.0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to ask."""
        self._last = time.monotonic()
        for _ in range(min(_THREADS, len(self._roots))):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                root = self._waiting.popleft()
                self._asked += 1
            answer = self._ask(root)
            with self._lock:
                self._answers[root] = answer
                self._last = time.monotonic()
                self._refusals.append(answer)
                if isinstance(answer, str) and list(self._refusals) == [answer] * _REFUSALS:
                    self._give_up(answer)

    def _give_up(self, why: str) -> None:
        self._given_up = why
        self._waiting.clear()

    def has_ended(self) -> bool:
        """Return whether every root that was asked for has its answer, or the place is silent and given up."""
        with self._lock:
            if not self._waiting and len(self._answers) == self._asked:
                return True
            if time.monotonic() - self._last > self._silence:
                longer = "; `odits checkpoints show RUN` waits longer" if self._silence < PATIENT_S else ""
                place = redact(store_of(self._roots[0]))
                self._give_up(f"{place} does not answer within {self._silence:.0f} s{longer}")
                return True
            return False

    def answers(self) -> list[tuple[str, Answer]]:
        """Return each root with its answer so far, or why it has none."""
        with self._lock:
            self._waiting.clear()
            return [(root, self._answers.get(root, self._given_up)) for root in self._roots]


def _prepare() -> None:
    """Import what opens addresses: that is not to count as an artifact store's silence."""
    import mlflow.store.artifact.artifact_repository_registry  # noqa: F401


def _repository(mlflow: Mlflow, root: str) -> Any:
    """Open an artifact address. (MLflow's calls for `runs:` and `models:` make a mlflow.db in the working folder.)"""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(root, tracking_uri=mlflow.uri)


def _answer(mlflow: Mlflow, root: str) -> Answer:
    try:
        local = local_folder(mlflow, root)
        if local is not None:
            return _local_answer(mlflow, root, local)
        repository = _repository(mlflow, root)
        return tuple(_walk(lambda folder: repository.list_artifacts(folder or None)))
    except Exception as error:
        return _why(root, error, mlflow.uri)


def _local_answer(mlflow: Mlflow, root: str, folder: Path) -> Answer:
    if folder.is_dir():
        return tuple(_walk(lambda inner: _scan(folder, inner)))
    store, database = local_folder(mlflow, store_of(root)), sqlite_file(mlflow.uri)
    if store is None or store.is_dir() or (database is not None and database.absolute().parent in store.parents):
        return ()  # MLflow makes a run's folder with its first artifact
    return f"the folder {store} is not there: it was moved, never filled, or is on another machine"


class _Entry(NamedTuple):
    path: str
    is_dir: bool
    file_size: int | None


def _scan(root: Path, inner: str) -> Iterator[_Entry]:
    with os.scandir(root / inner) as found:
        for item in sorted(found, key=lambda item: item.name):
            is_folder = item.is_dir(follow_symlinks=False)
            if is_folder or item.is_file():
                path = f"{inner}/{item.name}" if inner else item.name
                yield _Entry(path, is_folder, None if is_folder else item.stat().st_size)


def _walk(entries: Callable[[str], Iterable[Any]], folder: str = "", depth: int = 0) -> Iterator[ArtifactFile]:
    """Yield every file, a few folders deep."""
    for item in entries(folder):
        if not item.is_dir:
            yield ArtifactFile(item.path, item.file_size)
        elif depth < _DEPTH:
            yield from _walk(entries, item.path, depth + 1)


def _why(root: str, error: Exception, server: str) -> str:
    """Say in part of a sentence why a root can't be listed."""
    shown, scheme = redact(store_of(root)), root.partition(":")[0]
    if isinstance(error, ImportError):
        needed = _PACKAGES.get(scheme, error.name or "one that is missing")
        return f"{shown} needs the Python package {needed}, which is not installed"
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):  # botocore's
        return f"{shown} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile: there are no credentials here"
    if scheme == "mlflow-artifacts" and "tracking URI must be a valid" in str(error):
        return f"{shown} is behind an MLflow server: name that as the store (mlflow:http://HOST:PORT)"
    if "Could not find a registered artifact repository" in str(error):
        return f"{shown} is an address that MLflow knows no way to open"
    refused = refused_login(error, shown, server)
    return refused or f"{shown} does not open ({reason(error)})"
