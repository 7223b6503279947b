"""`odits.core.pool`'s tasks on a Ray cluster; optional (requirements-ray.txt).

Plain actors, each with its function built once, and at most `_AHEAD` batches waiting at each: the images of no more
batches than that lie in the cluster's memory. A batch whose actor is gone, with its machine or alone, is done again
by another. Machines of the cluster need the libraries and nothing else of ours: code, embedded weights, images and
weights files travel.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from odits.core.device import cores
from odits.core.errors import ItemError, OditsError
from odits.core.files import app_folder, file_digest
from odits.core.model_folders import part_names
from odits.core.store import Entries
from odits.core.tasks import Batches, Item, Task, Worker, batch_places, crash_message, values_of

LOCAL = "local"
_AHEAD = 2  # batches at an actor: one is worked on, one is on its way
_TRIES = 3  # actors that may die at a batch before it is to blame
_SHARED_MEMORY = 512 * 2**20
_PIECE = 64 * 2**20  # of a weights file
_CONNECT_TIMEOUT_S = 10  # for a cluster's first answer
_NO_WORKER_S = 600  # without any actor, before the cluster is given up
_FETCHING_S = 3600  # while another actor of the same machine fetches a weights file
_NOT_SHIPPED = ("__pycache__", "_app", "demo", "*.pyc")


def run_on_ray(task: Task, items: Sequence[Item], address: str, processes: int | None) -> Batches:
    """Yield (places of the items of a batch, their values or `ItemError`s), as they come.

    Args:
        task: what is done.
        items: the images.
        address: of the cluster ("host:port", "ray://host:port" or "auto"), or "local": one is started here and ended.
        processes: how many actors; the cluster's cores by default.

    Raises:
        OditsError: Ray is not installed, no such cluster answers, or nothing can be done there.
    """
    ray = _import_ray()
    with _connected(ray, address):
        yield from _Scheduler(ray, task, items, processes, address == LOCAL).run()


class _Scheduler:
    """Hands batches to actors and takes back what comes."""

    def __init__(self, ray: Any, task: Task, items: Sequence[Item], processes: int | None, local: bool) -> None:
        self._ray, self._items = ray, items
        self._todo = deque(batch_places(task, items))
        self._left = len(items)
        self._deaths: dict[int, int] = {}
        self._running: dict[Any, tuple[Any, Sequence[int]]] = {}  # answer to come -> actor and batch
        self._starting: dict[Any, Any] = {}  # sign of life to come -> actor
        self._files = {} if local else {name: _put_file(ray, Path(task.settings[name])) for name in task.files}
        settings = {name: value for name, value in task.settings.items() if name not in self._files}
        self._settings = ray.put(settings)
        self._builder = task.builder
        options = {"num_cpus": 1, "scheduling_strategy": "SPREAD", "max_restarts": 0, "max_task_retries": 0}
        self._actor = ray.remote(**options)(_Actor)
        wanted = processes or int(ray.cluster_resources().get("CPU", 1))
        self._count = max(1, min(wanted, len(self._todo)))
        self._alive: dict[Any, int] = {}  # actor -> batches at it
        self._failed_starts = 0

    def run(self) -> Batches:
        """Yield what comes until every item has its value or its problem."""
        for _ in range(self._count):
            self._start()
        since = time.monotonic()
        while self._left:
            self._submit()
            waited_for = [*self._running, *self._starting]
            ready, _ = self._ray.wait(waited_for, num_returns=1, timeout=5)
            if self._alive:
                since = time.monotonic()
            elif time.monotonic() - since > _NO_WORKER_S:
                raise OditsError(f"The Ray cluster has had no free core for {_NO_WORKER_S // 60} minutes.")
            for reference in ready:
                if reference in self._starting:
                    self._started(reference)
                elif reference in self._running:  # else its actor was found dead by another answer
                    yield from self._finished(reference)

    def _start(self) -> None:
        actor = self._actor.remote(self._builder, self._settings, self._files)
        self._starting[actor.alive.remote()] = actor

    def _started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise OditsError(f"The Ray cluster gave up: {last_line(error)}") from error
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts > 2 * self._count + _TRIES:
                raise OditsError(f"The Ray cluster gave up: {last_line(error)}") from error
            self._start()
        else:
            self._alive[actor] = self._failed_starts = 0

    def _submit(self) -> None:
        """Give every actor what it may have; the images are read now, not before."""
        for actor in self._alive:
            while self._todo and self._alive[actor] < _AHEAD:
                places = self._todo.popleft()
                batch = [_serialisable(self._items[place]) for place in places]
                self._running[actor.run.remote(batch)] = actor, places
                self._alive[actor] += 1

    def _finished(self, reference: Any) -> Batches:
        actor, places = self._running.pop(reference)
        try:
            values = values_of(self._ray.get(reference))
        except self._ray.exceptions.RayTaskError as error:
            raise OditsError(f"The Ray cluster gave up: {last_line(error)}") from error
        except self._ray.exceptions.RayError:
            yield from self._lost(actor, places)
        else:
            self._alive[actor] -= 1
            self._left -= len(places)
            yield places, values

    def _lost(self, actor: Any, places: Sequence[int]) -> Batches:
        """Put back what an actor had that is gone, and start another; the batch that it was at may be to blame."""
        others = [reference for reference, (owner, _) in self._running.items() if owner is actor]
        waiting = [self._running.pop(reference)[1] for reference in others]
        if self._alive.pop(actor, None) is not None:
            self._ray.kill(actor)
            self._start()
        for again in reversed(waiting):
            self._todo.appendleft(again)
        self._deaths[places[0]] = self._deaths.get(places[0], 0) + 1
        if self._deaths[places[0]] < _TRIES:
            self._todo.appendleft(places)
        elif len(places) > 1:
            self._todo.extend([place] for place in places)
        else:
            self._left -= 1
            yield places, [ItemError(crash_message(self._items[places[0]].name))]


class _Actor:
    """A worker on a machine of the cluster."""

    def __init__(self, builder: str, settings: dict[str, Any], files: dict[str, tuple[str, str, list[Any]]]) -> None:
        here = {name: str(_get_file(*described)) for name, described in files.items()}
        self._worker = Worker(builder, settings | here, threads=1)

    def alive(self) -> bool:
        """Tell that the actor has been made."""
        return True

    def run(self, items: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, str | None]], str]:
        """Work on a batch; an item without a source could not be read where it lies."""
        readable = [item for item in items if not isinstance(item[1], str)]
        found, fatal = self._worker.run(readable) if readable else ([], "")
        if fatal or len(readable) == len(items):
            return found, fatal
        answers = iter(found)
        return [(None, item[1]) if isinstance(item[1], str) else next(answers) for item in items], ""


def _serialisable(item: Item) -> tuple[Any, ...]:
    """Return the item with what its file holds; with a sentence in its place where that can't be read."""
    if isinstance(item.source, bytes):
        return tuple(item)
    try:
        return item.name, item.source.read_bytes(), item.about
    except OSError as error:
        return item.name, f"{item.name} can't be read: {error.strerror or error}.", item.about


def _put_file(ray: Any, path: Path) -> tuple[str, str, list[Any]]:
    """Return the name of a file, its digest, and references to what it holds, in pieces."""
    if part_names(path):
        raise OditsError(f"The weights beside {path} lie in several files: save them as one for a cluster.")
    try:
        with path.open("rb") as file:
            return path.name, file_digest(path), [ray.put(piece) for piece in iter(lambda: file.read(_PIECE), b"")]
    except OSError as error:
        raise OditsError(f"{path} can't be read: {error.strerror or error}.") from error


def _get_file(name: str, digest: str, pieces: list[Any]) -> Path:
    """Return the file on this machine, fetched by the first actor that needs it while the others wait."""
    import ray

    def write(path: Path) -> None:
        with path.open("wb") as file:
            for piece in pieces:
                file.write(ray.get(piece))

    return Entries("cluster-files", Path(name).suffix).get_or_write(digest[:64], write, wait_s=_FETCHING_S)


def _import_ray() -> Any:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise OditsError("Ray is not installed: pip install -r requirements-ray.txt.") from error
    return ray


@contextmanager
def _connected(ray: Any, address: str) -> Iterator[None]:
    """Connect to a cluster for the block, or start one for it; its machines get this package's code."""
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    with tempfile.TemporaryDirectory(prefix="odits-code-") as folder:
        try:
            if address == LOCAL:
                path = os.pathsep.join(filter(None, (str(_package().parent), os.environ.get("PYTHONPATH"))))
                ray.init(
                    LOCAL,
                    num_cpus=cores(),
                    include_dashboard=False,
                    object_store_memory=_SHARED_MEMORY,
                    runtime_env={"env_vars": {"PYTHONPATH": path}},
                    **quiet,
                )
            else:
                _check_port(address)
                ray.init(address, runtime_env={"working_dir": str(_stage_code(Path(folder)))}, **quiet)
        except (OSError, RuntimeError, ValueError, AssertionError, ray.exceptions.RayError) as error:
            where = "Ray can't be started here" if address == LOCAL else f"No Ray cluster can be used at {address}"
            raise OditsError(f"{where}: {last_line(error)}") from error
        try:
            yield
        except ray.exceptions.RayError as error:
            raise OditsError(f"The Ray cluster gave up: {last_line(error)}") from error
        finally:
            ray.shutdown()


def _package() -> Path:
    return Path(__file__).resolve().parents[1]


def _stage_code(folder: Path) -> Path:
    """Copy what machines need into an empty folder, laid out as a checkout: the package, and the embedded weights."""
    ignored = shutil.ignore_patterns(*_NOT_SHIPPED)
    shutil.copytree(_package(), folder / "odits", ignore=ignored)
    shutil.copytree(app_folder() / "assets", folder / "assets", ignore=ignored)
    return folder


def _check_port(address: str) -> None:
    """Find out whether anybody answers: Ray itself would try for many minutes. Raises OSError."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S).close()


def last_line(error: BaseException) -> str:
    """Return the last line of an exception's message: Ray puts tracebacks before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
