"""The model registry of a Neptune export as registered models of MLflow, on the runs that its entries became."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from odits.core.errors import StoreError
from odits.core.files import sha256_of
from odits.tracking.importing_names import ORIGIN_TAG, origin_of
from odits.tracking.mlflow_client import CHECKPOINT_TAG, Mlflow
from odits.tracking.neptune_export_index import IndexedRun

_NAME_LETTERS = 200
_UNNAMED_STAGES = ("", "none")


def import_registry(
    mlflow: Mlflow, runs: Sequence[IndexedRun], copies: Mapping[str, str], warnings: list[str]
) -> dict[str, str]:
    """Register each version of each model, in order of their numbers; what is registered already stays.

    A version's stage becomes an alias, so that "models:/NAME@production" is what it was.

    Args:
        mlflow: where.
        runs: those of the export that were copied.
        copies: the MLflow run of each.
        warnings: what could not be registered is named here.

    Returns:
        "models:/NAME/VERSION" of each version, by its id in the export.
    """
    versions = sorted((item for item in runs if item.run.kind == "model_versions"), key=_order)
    titles = {item.run.id: item for item in runs if item.run.kind == "models"}
    found: dict[str, str] = {}
    for item in versions:
        model = f"{item.run.project}/models/{_model_of(item)}"
        try:
            with mlflow.errors():
                name = _registered_model(mlflow, model, titles.get(model))
                found[item.run.id] = _registered_version(mlflow, name, item, copies[item.run.id])
        except StoreError as error:
            warnings.append(f"{item.run.id} is copied, and not registered: {error}")
    return found


def _order(item: IndexedRun) -> tuple[str, str, int, str]:
    number = re.search(r"(\d{1,9})$", item.run.run)
    return item.run.project, _model_of(item), int(number[1]) if number else 0, item.run.run


def _model_of(item: IndexedRun) -> str:
    """Return the id of the model that a version belongs to: Neptune's "KEY-MODEL-3" is version 3 of "KEY-MODEL"."""
    return str(item.summary.values.get("sys/model_id") or item.run.run.rpartition("-")[0] or item.run.run)


def _registered_model(mlflow: Mlflow, model: str, item: IndexedRun | None) -> str:
    """Return the name of the registered model, made where it is missing; one of somebody else's is left alone."""
    plain = re.sub(r"[^\w.\- ]", "_", model.rpartition("/")[2])[:_NAME_LETTERS].strip() or "model"
    for name in (plain, f"{plain}-{sha256_of(model)[:8]}"):
        present = _found(lambda name=name: mlflow.client.get_registered_model(name))
        if present is None:
            title = str(item.summary.values.get("sys/name") or "") if item else ""
            mlflow.client.create_registered_model(name, {ORIGIN_TAG: origin_of(model)}, title or None)
            return name
        if dict(present.tags).get(ORIGIN_TAG) == origin_of(model):
            return name
    raise StoreError(f"there is a registered model '{plain}' already.")


def _found(question: Any) -> Any:
    """Return what MLflow answers; None where it says that there is no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return question()
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _registered_version(mlflow: Mlflow, name: str, item: IndexedRun, run: str) -> str:
    """Return the reference of a version of the model, made where it is missing."""
    client, origin = mlflow.client, origin_of(item.run.id)
    quoted = name.replace("'", "")
    present = [one for one in client.search_model_versions(f"name='{quoted}'") if one.tags.get(ORIGIN_TAG) == origin]
    if present:
        return f"models:/{name}/{present[0].version}"
    copied = client.get_run(run)
    weights = [tag.removeprefix(CHECKPOINT_TAG) for tag in copied.data.tags if tag.startswith(CHECKPOINT_TAG)]
    source = f"runs:/{run}/{weights[0]}" if len(weights) == 1 else copied.info.artifact_uri
    stage = str(item.summary.values.get("sys/stage") or "")
    tags = {ORIGIN_TAG: origin, "neptune.id": item.run.run, "neptune.stage": stage}
    made = client.create_model_version(name, source, run, tags=tags, await_creation_for=0)
    alias = re.sub(r"[^\w-]", "_", stage.lower())
    if alias not in _UNNAMED_STAGES:
        client.set_registered_model_alias(name, alias, made.version)
    return f"models:/{name}/{made.version}"
