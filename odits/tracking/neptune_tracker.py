"""Runs tracked by Neptune's client: async to a server, or offline into files that `neptune sync` sends later."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from odits.core.errors import StoreError
from odits.core.files import cache_home, file_digest, link_or_copy
from odits.tracking.neptune_client import LOCAL_MODES, mode, open_neptune, prepare, project_name, speaking
from odits.tracking.store import safe_name
from odits.tracking.trackers import Run, Status, TrackingError

RECORDS = "checkpoint_records"
"""Namespace of a run that says, for each checkpoint, its digest, size and metadata as JSON."""

_FINISH_S = 300


class NeptuneTracker:
    """Tracks runs in a Neptune project; $NEPTUNE_MODE says how (async, sync, offline, debug)."""

    def __init__(self, place: str = "") -> None:
        self._place = place
        self.name = f"neptune:{place}" if place else "neptune"

    def start(
        self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str], resume: str | None = None
    ) -> Run:
        """A new run, or the one with that id gone on with.

        The id is Neptune's custom run id, so that a run can be resumed with no server at hand: `neptune sync` puts
        together what carries the same id. Neptune's own ids ("SIGNS-12") are taken for `resume` too.
        """
        try:
            way = mode()
            run, identity = self._open(way, name, resume)
            with speaking():
                run["odits/name"] = name
                if not resume:
                    for key, value in parameters.items():
                        run[f"parameters/{key}"] = value if isinstance(value, bool | int | float | str) else str(value)
                for key, value in tags.items():
                    run[f"tags/{key}"] = str(value)
        except StoreError as error:
            raise TrackingError(str(error)) from None
        return NeptuneRun(run, identity, way)

    def _open(self, way: str, name: str, resume: str | None) -> tuple[Any, str]:
        identity = resume or uuid.uuid4().hex
        own = bool(re.fullmatch(r"[A-Z][A-Z0-9]*-\d+", identity))
        if own and way in LOCAL_MODES:
            raise StoreError(f"Run {identity} can only be gone on with while its server is reached, not {way}.")
        options: dict[str, Any] = {
            "mode": way,
            "name": name,
            "with_id" if own else "custom_run_id": identity,
            "capture_stdout": False,
            "capture_stderr": False,
            "capture_hardware_metrics": False,
            "capture_traceback": False,
            "source_files": [],
            "git_ref": False,
        }

        def opener() -> Any:
            import neptune

            return neptune.init_run(**options)

        if way in LOCAL_MODES:
            prepare()
            with speaking():
                return opener(), identity
        options["project"] = project_name(self._place)
        return open_neptune(opener), identity


class NeptuneRun:
    """One run in Neptune; its client sends in a thread of its own and is safe to use from several."""

    def __init__(self, run: Any, identity: str, way: str) -> None:
        self.id = identity
        self._run, self._way = run, way
        self._staged = cache_home() / "neptune" / "uploads" / safe_name(identity)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Appends the values to their series."""
        with _tracking():
            for name, value in values.items():
                self._run[name].append(float(value), step=step)

    def checkpoint(self, path: Path, name: str, metadata: Mapping[str, str]) -> None:
        """Uploads the file as checkpoints/NAME, with its digest and metadata beside it.

        Neptune reads the file when it sends it, which may be long after; so it gets a second name that nobody changes.
        """
        stem = safe_name(name.removesuffix(".safetensors"))
        digest = file_digest(path)
        with _tracking():
            if self._way != "debug":
                self._staged.mkdir(parents=True, exist_ok=True)
                staged = self._staged / f"{stem}-{digest[:12]}.safetensors"
                if not staged.exists():
                    link_or_copy(path, staged)
                self._run[f"checkpoints/{stem}"].upload(str(staged))
            record = {"sha256": digest, "size": path.stat().st_size, "metadata": dict(metadata)}
            self._run[f"{RECORDS}/{stem}"] = json.dumps(record)

    def finish(self, status: Status) -> None:
        """Closes the run; waits up to five minutes for what is still being sent."""
        with _tracking():
            self._run["odits/status"] = status
            if status != "finished":
                self._run["sys/failed"] = True
            self._run.stop(seconds=None if self._way in LOCAL_MODES else _FINISH_S)
        if self._way not in LOCAL_MODES and not self._unsent():
            shutil.rmtree(self._staged, ignore_errors=True)

    def _unsent(self) -> bool:
        """Whether Neptune left something on the disk for `neptune sync`: it removes its folder once all is sent."""
        kept = Path(os.environ["NEPTUNE_DATA_DIRECTORY"]) / "async"
        return any(kept.glob(f"*{getattr(self._run, '_id', '')}*"))


@contextmanager
def _tracking() -> Iterator[None]:
    """Failures as a TrackingError."""
    try:
        with speaking():
            yield
    except StoreError as error:
        raise TrackingError(str(error)) from None
