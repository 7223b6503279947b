"""MLflow's models: registered ones by their references, and the logged models of MLflow 3 with files of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from odits.core.errors import StoreError
from odits.tracking.mlflow_client import Mlflow

MODELS = "models:/"
MODEL_FORMS = "models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest or models:/m-ID (/PATH may follow)"
MODEL_ID = "mlflow.model_id"
"""Where a checkpoint's metadata name the logged model that its file belongs to."""

_REFERENCE = re.compile(
    r"models:/(?:(?P<id>m-[0-9a-f]{32})|(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[^/@]+)))(?:/(?P<path>.+))?"
)
_RUN_ID = re.compile(r"[0-9a-f]{32}")


class Located(NamedTuple):
    """Where the files of a model lie: in a run, or at a model that belongs to none; and the path below that."""

    owner: str
    path: str


class Root(NamedTuple):
    """A logged model's files as a store lists them.

    Attributes:
        uri: their address.
        owner: the run that made it, or the model's own reference.
        folder: what stands before their paths; "" where the model owns them.
        model: the logged model's id.
    """

    uri: str
    owner: str
    folder: str
    model: str

    def name(self, path: str) -> str:
        """Return the name of a file below the root, as its owner has it."""
        return f"{self.folder}/{path}" if self.folder else path


def pages(search: Any, *arguments: Any, size: int | None = None) -> Iterator[Any]:
    """Yield everything that a paged search returns."""
    options = {"max_results": size} if size else {}
    token = None
    while True:
        page = search(*arguments, page_token=token, **options)
        yield from page
        token = page.token
        if not token:
            return


def logged_models(mlflow: Mlflow, experiments: Sequence[str]) -> list[Any]:
    """List the logged models of experiments, newest first; a server older than MLflow 3 has none."""
    from mlflow.exceptions import MlflowException

    try:
        found = list(pages(mlflow.client.search_logged_models, list(experiments)))
    except (MlflowException, NotImplementedError, AttributeError):
        return []
    return sorted(found, key=lambda model: (model.creation_timestamp, model.model_id), reverse=True)


def model_roots(models: Sequence[Any]) -> list[Root]:
    """Return where the files of logged models lie, as `runs:/RUN/MODEL/PATH` has them.

    Args:
        models: newest first. Of those of one name in a run the newest has that name; the others go by their ids.
    """
    taken: set[tuple[str, str]] = set()
    roots = []
    for model in models:
        run, name = model.source_run_id or "", model.name or ""
        mine = bool(run and name) and (run, name) not in taken
        taken.add((run, name))
        owner = run if mine else f"{MODELS}{model.model_id}"
        roots.append(Root(model.artifact_location, owner, name if mine else "", model.model_id))
    return roots


def locate(mlflow: Mlflow, reference: str) -> Located:
    """Find out where the files of a model reference lie.

    Raises:
        StoreError: it is no model reference, or there is no such model.
    """
    match = _REFERENCE.fullmatch(reference.rstrip("/"))
    if match is None:
        raise StoreError(f"'{reference}' is no registered model: write {MODEL_FORMS}.")
    path = match["path"] or ""
    with mlflow.errors():
        if match["id"]:
            return _logged(mlflow, match["id"], path)
        version = _version(mlflow, match["name"], match["alias"], match["version"])
        source, run = str(version.source or ""), str(version.run_id or "")
        model = getattr(version, "model_id", None) or source.removeprefix(MODELS)
        if re.fullmatch(r"m-[0-9a-f]{32}", model):
            return _logged(mlflow, model, path)
    if not source.startswith("runs:/") and _RUN_ID.fullmatch(run):
        inner = source.partition(f"/{run}/artifacts")
        source = f"runs:/{run}{inner[2]}" if inner[1] else source
    if source.startswith("runs:/"):
        owner, _, folder = source.removeprefix("runs:/").strip("/").partition("/")
        return Located(owner, "/".join(part for part in (folder, path) if part))
    return Located(f"{MODELS}{version.name}/{version.version}", path)


def _version(mlflow: Mlflow, name: str, alias: str | None, version: str | None) -> Any:
    """Return a version of a registered model by its alias, its number, "latest", or its stage."""
    if alias:
        return mlflow.client.get_model_version_by_alias(name, alias)
    if version and version.isdigit():
        return mlflow.client.get_model_version(name, version)
    latest = version == "latest"
    found = list(pages(mlflow.client.search_model_versions, f"name = '{name.replace(chr(39), chr(39) * 2)}'"))
    found = [item for item in found if latest or (item.current_stage or "").lower() == (version or "").lower()]
    if not found:
        which = "" if latest else f" with a version {version}"
        raise StoreError(f"There is no registered model '{name}'{which} here.")
    return max(found, key=lambda item: int(item.version))


def _logged(mlflow: Mlflow, model: str, path: str) -> Located:
    """Locate a logged model: where it is its run's newest of that name, the run's name for it stands."""
    found = mlflow.client.get_logged_model(model)
    others = [
        item for item in logged_models(mlflow, [found.experiment_id]) if item.source_run_id == found.source_run_id
    ]
    root = next((root for root in model_roots(others) if root.model == model), None)
    return Located(root.owner, root.name(path).rstrip("/")) if root else Located(f"{MODELS}{model}", path)


def owner_root(mlflow: Mlflow, owner: str) -> str:
    """Return the address of the files that a run or a model owns."""
    name = owner.removeprefix(MODELS)
    if name == owner:
        return str(mlflow.client.get_run(owner).info.artifact_uri)
    registered, _, version = name.rpartition("/")
    if registered:
        return str(mlflow.client.get_model_version_download_uri(registered, version))
    return str(mlflow.client.get_logged_model(name).artifact_location)


def moment(milliseconds: int | None) -> datetime | None:
    """Return the time of MLflow's milliseconds."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
