"""Neptune, through the `neptune` package: a store and a tracker, with time limits and nothing on stdout.

It reaches self-hosted servers; offline mode writes files that `neptune sync` sends later. The client keeps its own
files under ODITS_HOME.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from odits.core.errors import StoreError
from odits.core.files import cache_home, file_digest, link_or_copy, safe_name, watched
from odits.core.progress import Progress
from odits.tracking.connections import (
    ANSWER_S,
    answer_within,
    client_errors,
    read_secrets,
    redact,
    require_reachable,
)
from odits.tracking.model_card import describe_weights, model_card
from odits.tracking.store import (
    Listing,
    Point,
    Run,
    Status,
    StoredCheckpoint,
    StoredRun,
    TrackingError,
    aware,
    is_weights,
    select_checkpoint,
)

TITLE = "Neptune"
MODES = ("async", "sync", "offline", "debug")
LOCAL_MODES = ("offline", "debug")
RECORDS = "checkpoint_records"
"""Namespace of a run that says, for each checkpoint, its digest, size and metadata as JSON."""

_RUNS = 1000
_SCALARS = ("float", "int", "string", "bool", "datetime")
_FINISH_S = 300
_QUIET: dict[str, Any] = {
    "capture_stdout": False,
    "capture_stderr": False,
    "capture_hardware_metrics": False,
    "source_files": [],
    "git_ref": False,
}

Opened = TypeVar("Opened")


def logging_mode() -> str:
    """Return how runs are logged: $NEPTUNE_MODE, else "async".

    Raises:
        StoreError: there is no such mode.
    """
    read_secrets()
    found = os.environ.get("NEPTUNE_MODE", "").strip() or "async"
    if found not in MODES:
        raise StoreError(f"NEPTUNE_MODE is '{found}': use {', '.join(MODES)}.")
    return found


def project_name(place: str) -> str:
    """Return the project, as WORKSPACE/NAME.

    Raises:
        StoreError: none is named.
    """
    read_secrets()
    found = place or os.environ.get("NEPTUNE_PROJECT", "").strip()
    if not found:
        raise StoreError("Name the Neptune project: neptune:WORKSPACE/NAME, or set NEPTUNE_PROJECT.")
    return found


def server_address() -> str:
    """Return the server that the token is for.

    Raises:
        StoreError: there is no token, or it is none.
    """
    read_secrets()
    token = os.environ.get("NEPTUNE_API_TOKEN", "").strip()
    if not token:
        raise StoreError(
            "Neptune needs NEPTUNE_API_TOKEN in the environment or in .streamlit/secrets.toml "
            "(or NEPTUNE_MODE=offline to log without a server)."
        )
    try:
        read = json.loads(base64.b64decode(token.encode()).decode("utf-8"))
        return str(read.get("api_url") or read["api_address"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StoreError("NEPTUNE_API_TOKEN is no token of Neptune's.") from None


def prepare() -> None:
    """Send what Neptune writes to the disk under ODITS_HOME, and what it prints to stderr."""
    os.environ.setdefault("NEPTUNE_DATA_DIRECTORY", str(cache_home() / "neptune"))
    os.environ.setdefault("NEPTUNE_RETRIES_TIMEOUT", "5")  # its own is a minute, at every question
    import neptune  # noqa: F401  (sets up its loggers, which write to stdout)

    for name in ("neptune", "neptune_no_prefix", "neptune-client"):
        logger = logging.getLogger(name)
        if any(type(handler).__name__ == "GrabbableStdoutHandler" for handler in logger.handlers):
            logger.handlers = [logging.StreamHandler(sys.stderr)]
            logger.setLevel(logging.WARNING)


def open_neptune(opener: Callable[[], Opened]) -> Opened:
    """Return what `opener` opens on the server, once that is known to be there.

    Raises:
        StoreError: the server does not answer within 10 s, or refuses.
    """
    address = server_address()
    title = f"The Neptune server {redact(address)}"
    require_reachable(address, title)
    prepare()
    return answer_within(ANSWER_S, opener, f"{title} does not answer as it should.")


class NeptuneStore:
    """A `CheckpointStore` over one Neptune project."""

    def __init__(self, place: str = "") -> None:
        self._place = place
        self.source = f"neptune:{place}" if place else "neptune"

    @contextmanager
    def _opened(self, kind: str, **options: Any) -> Iterator[Any]:
        """Open a run or project of the client, and close it again."""
        project = project_name(self._place)

        def opener() -> Any:
            import neptune

            return getattr(neptune, kind)(project=project, **options)

        found = open_neptune(opener)
        try:
            with client_errors(TITLE):
                yield found
        finally:
            found.stop(seconds=5)

    def list(self) -> Listing:
        """List the newest thousand runs of the project."""
        with self._opened("init_project", mode="read-only") as project:
            rows = project.fetch_runs_table(limit=_RUNS, progress_bar=False).to_rows()
            found = tuple(describe_row(self.source, row) for row in rows)
        cut = (f"Only the newest {_RUNS} runs are listed.",) if len(found) == _RUNS else ()
        return Listing(found, cut)

    def run(self, run: str) -> StoredRun:
        """Return one run, by Neptune's id such as SIGNS-12, or by its custom id."""
        with self._opened("init_project", mode="read-only") as project:
            query = f'(`sys/id`:string = "{_unquoted(run)}") OR (`sys/custom_run_id`:string = "{_unquoted(run)}")'
            rows = project.fetch_runs_table(query=query, progress_bar=False).to_rows()
            if not rows:
                raise StoreError(f"There is no run '{run}' in {self.source}.")
            return describe_row(self.source, rows[0])

    def curves(self, run: str) -> dict[str, tuple[Point, ...]]:
        """Return every series of numbers of the run."""
        found: dict[str, tuple[Point, ...]] = {}
        with self._opened("init_run", with_id=self.run(run).id, mode="read-only") as opened:
            for path, kind in _attributes(opened.get_structure()):
                if kind == "FloatSeries":
                    table = opened[path].fetch_values(progress_bar=False)
                    times = table["timestamp"] if "timestamp" in table else [None] * len(table)
                    values = zip(table["step"], table["value"], times, strict=True)
                    found[path] = tuple(Point(float(step), float(value), time) for step, value, time in values)
        return found

    def find(self, reference: str) -> StoredCheckpoint:
        """Find the checkpoint of "RUN/NAME", or of "RUN" where it has only one."""
        run, _, name = reference.partition("/")
        return select_checkpoint(self.run(run), name)

    def fetch(self, checkpoint: StoredCheckpoint, folder: Path, progress: Progress) -> Path:
        """Download the file into the folder."""
        name = PurePosixPath(checkpoint.name)
        attribute = checkpoint.metadata.get("attribute", checkpoint.name)
        target = folder / (safe_name(name.stem) + (name.suffix or ".safetensors"))
        with (
            self._opened("init_run", with_id=checkpoint.run, mode="read-only") as opened,
            watched(folder, checkpoint.size or 0, progress),
        ):
            opened[attribute].download(str(target), progress_bar=False)
        return target

    def push(
        self, path: Path, name: str, run: str | None = None, metrics: Mapping[str, float] | None = None
    ) -> StoredCheckpoint:
        """Store the safetensors file as a checkpoint, with its model card as checkpoints/NAME_card."""
        from neptune.types import File

        metadata = describe_weights(path, metrics or {})
        stem = safe_name(name.removesuffix(".safetensors"))
        digest, size = file_digest(path), path.stat().st_size
        options: dict[str, Any] = {"with_id": self.run(run).id} if run else {"name": name}
        with self._opened("init_run", mode="sync", **_QUIET, **options) as opened:
            opened[f"checkpoints/{stem}"].upload(str(path), wait=True)
            opened[f"{RECORDS}/{stem}"] = json.dumps({"sha256": digest, "size": size, "metadata": metadata})
            owner = str(opened["sys/id"].fetch())
            stored = StoredCheckpoint(self.source, owner, f"checkpoints/{stem}.safetensors", size, digest, metadata)
            card = model_card(name, [stored], {})
            opened[f"checkpoints/{stem}_card"].upload(File.from_content(card, extension="md"), wait=True)
        return stored


def describe_row(source: str, row: Any) -> StoredRun:
    """Make the run of a row of Neptune's runs table."""
    kinds = {attribute.path: attribute.type.value for attribute in row._attributes}
    values = {path: row.get_attribute_value(path) for path, kind in kinds.items() if kind in _SCALARS}
    last = {path: row.get_attribute_value(path) for path, kind in kinds.items() if kind == "floatSeries"}
    files = {one.path: one.properties or {} for one in row._attributes if one.type.value == "file"}
    run = str(values.get("sys/id", ""))
    plain = {path: value for path, value in values.items() if not path.startswith(("sys/", f"{RECORDS}/"))}
    numbers = {path: value for path, value in plain.items() if isinstance(value, float)}
    return StoredRun(
        source=source,
        id=run,
        name=str(values.get("odits/name") or values.get("sys/name") or run),
        status="failed" if values.get("sys/failed") is True else str(values.get("odits/status", "finished")),
        started=_moment(values.get("sys/creation_time")),
        parameters={path.removeprefix("parameters/"): str(value) for path, value in plain.items()},
        metrics={**_finite(numbers), **_finite(last)},
        tags={path: str(value) for path, value in values.items() if path.startswith("sys/")},
        checkpoints=tuple(
            _checkpoint(source, run, path, values, properties)
            for path, properties in sorted(files.items())
            if _may_be_weights(path, properties)
        ),
    )


def _ending(properties: Mapping[str, Any]) -> str:
    """Return the ending that the uploaded file had, with its dot: Neptune's paths have none."""
    ending = str(properties.get("ext") or "").lstrip(".")
    return f".{ending}" if ending else ""


def _may_be_weights(path: str, properties: Mapping[str, Any]) -> bool:
    """Return whether a file is a checkpoint, by its ending; where the server knows none, by its place."""
    if ending := _ending(properties):
        return is_weights(f"file{ending}")
    return path.startswith("checkpoints/") or is_weights(path)


def _checkpoint(
    source: str, run: str, path: str, values: Mapping[str, Any], properties: Mapping[str, Any]
) -> StoredCheckpoint:
    """Make the checkpoint at a path; its record, where this program wrote one, says digest and size."""
    size: int | None = None
    with suppress(KeyError, ValueError, TypeError):
        size = int(properties["size"])
    try:
        record = json.loads(values[f"{RECORDS}/{path.removeprefix('checkpoints/')}"])
        size, digest = int(record["size"]), str(record["sha256"])
        metadata = {str(name): str(value) for name, value in record["metadata"].items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        digest, metadata = None, {}
    name = path if is_weights(path) else f"{path}{_ending(properties) or '.safetensors'}"
    return StoredCheckpoint(source, run, name, size, digest, {**metadata, "attribute": path})


def _finite(values: dict[str, Any]) -> dict[str, float]:
    return {path: float(value) for path, value in values.items() if value is not None}


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return aware(value)
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC) if value else None
    except ValueError:
        return None


def _attributes(structure: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, kind) of everything in the structure that the client gives."""
    for name, value in structure.items():
        if isinstance(value, dict):
            yield from _attributes(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", type(value).__name__


def _unquoted(text: str) -> str:
    """Take out of a text what could end a string of a query."""
    return text.replace("\\", "").replace('"', "")


class NeptuneTracker:
    """Tracks runs in a Neptune project; $NEPTUNE_MODE says how (async, sync, offline, debug)."""

    def __init__(self, place: str = "") -> None:
        self._place = place
        self.name = f"neptune:{place}" if place else "neptune"

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> Run:
        """Start a run, or resume the one with that id.

        The id is Neptune's custom run id, so that a run can be resumed with no server at hand: `neptune sync` puts
        together what carries the same id. Neptune's own ids ("SIGNS-12") are taken for `resume` too.
        """
        try:
            mode = logging_mode()
            run, identity = self._open(mode, name, resume)
            with client_errors(TITLE):
                run["odits/name"] = name
                if not resume:
                    for key, value in parameters.items():
                        run[f"parameters/{key}"] = value if isinstance(value, bool | int | float | str) else str(value)
                for key, value in tags.items():
                    run[f"tags/{key}"] = str(value)
        except StoreError as error:
            raise TrackingError(str(error)) from None
        return NeptuneRun(run, identity, mode)

    def _open(self, mode: str, name: str, resume: str | None) -> tuple[Any, str]:
        identity = resume or uuid.uuid4().hex
        own = bool(re.fullmatch(r"[A-Z][A-Z0-9]*-\d+", identity))
        if own and mode in LOCAL_MODES:
            raise StoreError(f"Run {identity} can only be resumed while its server is reached, not {mode}.")
        options: dict[str, Any] = {
            "mode": mode,
            "name": name,
            "with_id" if own else "custom_run_id": identity,
            "capture_traceback": False,
            **_QUIET,
        }

        def opener() -> Any:
            import neptune

            return neptune.init_run(**options)

        if mode in LOCAL_MODES:
            prepare()
            with client_errors(TITLE):
                return opener(), identity
        options["project"] = project_name(self._place)
        return open_neptune(opener), identity


class NeptuneRun:
    """One run in Neptune; its client sends in a thread of its own and is safe to use from several."""

    def __init__(self, run: Any, identity: str, mode: str) -> None:
        self.id = identity
        self._run, self._mode = run, mode
        self._staged = cache_home() / "neptune" / "uploads" / safe_name(identity)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Append the values to their series."""
        with _tracking():
            for name, value in values.items():
                self._run[name].append(float(value), step=step)

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        """Upload the file as checkpoints/NAME, with its digest and metadata beside it.

        Neptune reads the file when it sends it, which may be long after; so it gets a second name that nobody changes.
        """
        stem = safe_name(name.removesuffix(".safetensors"))
        digest = file_digest(path)
        with _tracking():
            if self._mode != "debug":
                self._staged.mkdir(parents=True, exist_ok=True)
                staged = self._staged / f"{stem}-{digest[:12]}.safetensors"
                if not staged.exists():
                    link_or_copy(path, staged)
                self._run[f"checkpoints/{stem}"].upload(str(staged))
            record = {"sha256": digest, "size": path.stat().st_size, "metadata": dict(metadata)}
            self._run[f"{RECORDS}/{stem}"] = json.dumps(record)

    def finish(self, status: Status) -> None:
        """Close the run; wait up to five minutes for what is still being sent."""
        with _tracking():
            self._run["odits/status"] = status
            if status != "finished":
                self._run["sys/failed"] = True
            self._run.stop(seconds=None if self._mode in LOCAL_MODES else _FINISH_S)
        if self._mode not in LOCAL_MODES and not self._unsent():
            shutil.rmtree(self._staged, ignore_errors=True)

    def _unsent(self) -> bool:
        """Return whether Neptune left something for `neptune sync`: it removes its folder once all is sent."""
        unsent = Path(os.environ["NEPTUNE_DATA_DIRECTORY"]) / "async"
        return any(unsent.glob(f"*{getattr(self._run, '_id', '')}*"))


@contextmanager
def _tracking() -> Iterator[None]:
    """Turn failures inside the block into a TrackingError."""
    try:
        with client_errors(TITLE):
            yield
    except StoreError as error:
        raise TrackingError(str(error)) from None
