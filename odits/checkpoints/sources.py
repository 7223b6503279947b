"""Stores from the references that `--source` and the pages take."""

from __future__ import annotations

from odits.checkpoints.export_store import ExportStore
from odits.checkpoints.mlflow_store import MlflowStore
from odits.checkpoints.neptune_store import NeptuneStore
from odits.checkpoints.store import CheckpointStore, StoreError

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
