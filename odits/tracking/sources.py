"""Stores and trackers from the references that `--source`, `--track` and the pages take.

A client is imported with the first reference to it: MLflow, Neptune and pyarrow take a second or more.
"""

from __future__ import annotations

from odits.core.errors import StoreError
from odits.tracking.store import CheckpointStore, NoTracker, Tracker, TrackingError

EXPORT = "neptune-export"
STORE_FORMS = f"mlflow[:URI], neptune[:PROJECT] or {EXPORT}:FOLDER"
TRACKER_FORMS = "mlflow[:URI], neptune[:PROJECT] or none"


def open_store(source: str = "mlflow", files: str = "") -> CheckpointStore:
    """Make the store of a reference; nothing is asked of it yet.

    Args:
        source: "mlflow[:URI]", "neptune[:PROJECT]" or "neptune-export:FOLDER".
        files: the folder of an export's files, where it lies apart from the data.

    Raises:
        StoreError: no such kind of store, an export without a folder, or files of something else.
    """
    kind, _, place = source.strip().partition(":")
    if files and kind != EXPORT:
        raise StoreError(f"Only an export has a folder of files: --files goes with --source {EXPORT}:FOLDER.")
    if kind == "mlflow":
        from odits.tracking.mlflow_store import MlflowStore

        return MlflowStore(place)
    if kind == "neptune":
        from odits.tracking.neptune_store import NeptuneStore

        return NeptuneStore(place)
    if kind == EXPORT:
        from odits.tracking.neptune_export import ExportStore

        return ExportStore(place, files)
    raise StoreError(f"There is no kind of store '{kind}': use {STORE_FORMS}.")


def make_tracker(reference: str = "mlflow") -> Tracker:
    """Make the tracker of a reference; nothing is opened before a run starts.

    Args:
        reference: "mlflow[:URI]" (URI: $MLFLOW_TRACKING_URI, else a local SQLite file under ODITS_HOME),
            "neptune[:PROJECT]" (PROJECT: $NEPTUNE_PROJECT; $NEPTUNE_MODE is async, offline, sync or debug), or "none".

    Raises:
        TrackingError: no such tracker.
    """
    kind, _, place = reference.partition(":")
    if kind == "mlflow":
        from odits.tracking.mlflow_store import MlflowTracker

        return MlflowTracker(place)
    if kind == "neptune":
        from odits.tracking.neptune_store import NeptuneTracker

        return NeptuneTracker(place)
    if reference == "none":
        return NoTracker()
    raise TrackingError(f"There is no tracker '{kind}': use {TRACKER_FORMS}.")
