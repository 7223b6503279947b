"""`odits checkpoints`: runs and checkpoints of a store, brought here, sent there, or copied between stores."""

from __future__ import annotations

import math
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any

import typer

from odits.cli.common import Json, exit_after, print_json, print_table, say
from odits.cli.options import tracked_at
from odits.core.errors import OditsError, StoreError
from odits.core.files import expand_home, file_digest
from odits.core.progress import open_reporter
from odits.tracking.sources import EXPORT, STORE_FORMS, open_store
from odits.tracking.store import StoredCheckpoint, StoredRun

_MAIN_METRICS = ("confidence/precision", "confidence/recall", "confidence/f1", "precision_at_10", "average_precision")

app = typer.Typer(help="Runs and checkpoints: list, show, pull, push, import.", no_args_is_help=True)

Source = Annotated[
    str,
    typer.Option(help=f"{STORE_FORMS}, where FOLDER holds data/ and files/.", callback=tracked_at),
]

Files = Annotated[
    str,
    typer.Option("--files", help="The folder of a Neptune export's files, where it lies apart: FOLDER is its data."),
]


@app.command("list")
def list_(
    source: Source = "mlflow",
    files: Files = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="MLflow's deleted runs too.")] = False,
    as_json: Json = False,
) -> None:
    """List all runs of a store with their checkpoints, and the checkpoints on this machine."""
    from odits.tracking.mlflow_store import MlflowStore

    store = open_store(source, files)
    if deleted and not isinstance(store, MlflowStore):
        raise OditsError("Only MLflow lists deleted runs: --deleted goes with --source mlflow[:URI].")
    listing = store.list(deleted=deleted) if isinstance(store, MlflowStore) else store.list()
    for warning in listing.warnings:
        say(warning)
    here = _on_this_machine()
    if as_json:
        runs = [_run_document(run) for run in listing.runs]
        print_json({"source": store.source, "runs": runs, "local": here, "warnings": list(listing.warnings)})
        return
    rows = [
        (run.name, _state(run), _minutes(run), reference, size)
        for run in listing.runs
        for reference, size in [(item.reference, _megabytes(item)) for item in run.checkpoints] or [(_none(run), "")]
    ]
    print_table(("run", "status", "started (UTC)", "checkpoint", "MiB"), rows, store.source, ["checkpoint"])
    local = [(item["name"], item["reference"]) for item in here]
    print_table(("name", "reference"), local, "on this machine", ["reference"])


def _none(run: StoredRun) -> str:
    return f"{run.id} {'is out of reach' if run.problem else 'has none'}"


def _minutes(run: StoredRun) -> str:
    return run.started.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if run.started else ""


def _state(run: StoredRun) -> str:
    return f"{run.status}, deleted" if run.deleted else run.status


def _on_this_machine() -> list[dict[str, str]]:
    """Describe the word models on this machine; where they can't be listed, say why."""
    from odits.models.registry import WORD_MODELS, available

    try:
        models = [ref for ref in available() if ref.kind in WORD_MODELS]
        return [{"reference": ref.reference, "name": ref.name, "digest": ref.digest} for ref in models]
    except OditsError as error:
        say(str(error))
        return []


@app.command()
def show(
    reference: Annotated[str, typer.Argument(help="A run, or RUN/CHECKPOINT.")],
    source: Source = "mlflow",
    files: Files = "",
    as_json: Json = False,
) -> None:
    """Show one run: its parameters, last metrics and checkpoints."""
    store = open_store(source, files)
    try:
        run = store.run(reference.removeprefix("runs:/"))
    except StoreError:
        run = store.run(store.find(reference).run)
    if as_json:
        print_json(_run_document(run))
        return
    if run.problem:
        say(run.problem)
    rows = [(item.reference, _megabytes(item), (item.digest or "")[:12]) for item in run.checkpoints]
    facts = {"name": run.name, "status": _state(run), "started (UTC)": _minutes(run)}
    print_table(("run", run.id), [item for item in facts.items() if item[1]], whole=[run.id])
    tables = (
        (("parameter", "value"), list(run.parameters.items())),
        (("metric", "last value"), list(run.metrics.items())),
        (("checkpoint", "MiB", "SHA-256"), rows),
    )
    for columns, found in tables:
        if found:
            print_table(columns, found, whole=["checkpoint"])
    absent = [columns[0] for columns, found in tables if not found]
    if absent:
        say(f"No {' or '.join([', '.join(absent[:-1]), absent[-1]] if absent[1:] else absent)}.")


@app.command()
def pull(
    reference: Annotated[str, typer.Argument(help="RUN/CHECKPOINT, runs:/ID/PATH, or models:/NAME@ALIAS.")],
    source: Source = "mlflow",
    files: Files = "",
    architecture: Annotated[str, typer.Option(help="What a pickle holds, such as ViT-B-32: pickles don't say.")] = "",
    as_json: Json = False,
) -> None:
    """Bring a checkpoint to this machine: digest checked, pickles converted to safetensors or refused."""
    from odits.models.pulled import remember
    from odits.tracking import pulling

    store = open_store(source, files)
    checkpoint = store.find(reference)
    with open_reporter() as report:
        progress = report.phase(f"bringing {checkpoint.name} here", checkpoint.size or 0, "bytes")
        path = pulling.pull(store, checkpoint, progress, architecture=architecture)
    remember(reference, store.source, path)
    if as_json:
        print_json({"path": str(path), "digest": file_digest(path), "reference": checkpoint.reference})
    else:
        print_table(("checkpoint", "path"), [(checkpoint.name, str(path))], whole=["path"])


@app.command()
def push(
    path: Annotated[Path, typer.Argument(help="A safetensors file.", exists=True, dir_okay=False)],
    source: Source = "mlflow",
    name: Annotated[str, typer.Option(help="How it is called there. Default: the file's name.")] = "",
    run: Annotated[str | None, typer.Option(help="Into this run; else into one of its own.")] = None,
    as_json: Json = False,
) -> None:
    """Send a checkpoint from this machine to a store."""
    found = open_store(source).push(path, name or path.stem, run, _measured(path))
    if as_json:
        print_json(_checkpoint_document(found))
    else:
        print_table(("reference", "MiB"), [(found.reference, _megabytes(found))], whole=["reference"])


def _measured(path: Path) -> dict[str, float]:
    """Return the main metrics of the newest evaluation of these weights that is stored on this machine."""
    from odits.evaluation.results import flat_metrics, stored_evaluations
    from odits.models.reference import parse

    try:
        ref = parse(path)
    except OditsError:  # the store says what is wrong with it
        return {}
    stored = next((one for one in stored_evaluations() if ref.describes(one.checkpoint)), None)
    if stored is None:
        return {}
    prefix = f"{stored.data} {stored.split}"
    return {name: value for name, value in flat_metrics(stored, prefix).items() if name.endswith(_MAIN_METRICS)}


@app.command("import")
def import_(
    source: Annotated[str, typer.Option(help=f"{EXPORT}:FOLDER, where FOLDER holds data/ and files/.")],
    target: Annotated[str, typer.Option("--to", help="mlflow[:URI].", callback=tracked_at)] = "mlflow",
    files: Files = "",
    as_json: Json = False,
) -> None:
    """Copy the runs of a Neptune export into MLflow: parameters, metrics with steps, files, models; twice is no harm.

    What Neptune's names became is the artifact neptune_names.json of each run.
    """
    from odits.tracking.importing import import_export

    kind, _, folder = source.partition(":")
    to, _, place = target.partition(":")
    if kind != EXPORT or not folder or to != "mlflow":
        raise OditsError(f"An import goes from --source {EXPORT}:FOLDER to --to mlflow[:URI].")
    with open_reporter() as report:
        done = import_export(
            expand_home(folder), place, report.phase("importing runs"), expand_home(files) if files else None
        )
    for warning in done.warnings:
        say(warning)
    if as_json:
        print_json(vars(done))
    else:
        counts = (len(done.new), len(done.changed), len(done.unchanged), len(done.failed))
        print_table(("new", "changed", "unchanged", "failed"), [counts], f"Runs in {target}")
    exit_after(done.failed)


def _megabytes(checkpoint: StoredCheckpoint) -> float | str:
    if checkpoint.size is None:
        return ""
    return round(checkpoint.size / 2**20, 2) or "< 0.01"


def _run_document(run: StoredRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "started": run.started.isoformat() if run.started else None,
        "parameters": dict(run.parameters),
        "metrics": {name: value if math.isfinite(value) else None for name, value in run.metrics.items()},
        "tags": dict(run.tags),
        "checkpoints": [_checkpoint_document(item) for item in run.checkpoints],
        "problem": run.problem or None,
        "deleted": run.deleted,
    }


def _checkpoint_document(item: StoredCheckpoint) -> dict[str, Any]:
    from odits.tracking.pulling import is_here, local_path

    return {
        "reference": item.reference,
        "name": item.name,
        "size": item.size,
        "digest": item.digest,
        "metadata": dict(item.metadata),
        "local": str(local_path(item)) if is_here(item) else None,
    }
