"""Stores from the references that `--source` and the pages take."""

from __future__ import annotations

from odits.core.errors import StoreError
from odits.tracking.mlflow_store import MlflowStore
from odits.tracking.neptune_export import ExportStore
from odits.tracking.neptune_store import NeptuneStore
from odits.tracking.store import CheckpointStore

FORMS = "mlflow[:URI], neptune[:PROJECT] or neptune-export:FOLDER"


def open_store(source: str = "mlflow") -> CheckpointStore:
    """The store of "mlflow[:URI]", "neptune[:PROJECT]" or "neptune-export:FOLDER"; nothing is asked of it yet.

    Raises:
        StoreError: no such kind of store, or an export without a folder.
    """
    kind, _, place = source.strip().partition(":")
    if kind == "mlflow":
        return MlflowStore(place)
    if kind == "neptune":
        return NeptuneStore(place)
    if kind == "neptune-export":
        return ExportStore(place)
    raise StoreError(f"There is no kind of store '{kind}': use {FORMS}.")
