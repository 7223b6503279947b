"""Where runs are looked for, and what was found there, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from odits.core.errors import OditsError
from odits.evaluation.results import StoredEvaluation
from odits.tracking.connections import redact
from odits.tracking.sources import EXPORT, open_store
from odits.tracking.store import Listing, Point, StoredCheckpoint, StoredRun
from pages._shared import serving, state
from pages._shared.evaluations import epoch, model_name

FRESH_S = 120
"""Seconds for which an answer of a store is not asked for again."""


class Place(NamedTuple):
    """A store as `open_store` takes it: its reference, and where the files of an export lie."""

    source: str
    files: str = ""

    @property
    def is_export(self) -> bool:
        """Whether it is the folder of a Neptune export."""
        return self.source.startswith(f"{EXPORT}:")

    @property
    def folder(self) -> str:
        """The folder of an export."""
        return self.source.removeprefix(f"{EXPORT}:")


class Kind(NamedTuple):
    """A kind of store: how it is offered, and what has to be typed; `files` is the label of a second field."""

    title: str
    label: str = ""
    example: str = ""
    needed: bool = False
    files: str = ""


KINDS = {
    "mlflow": Kind("MLflow, this machine's"),
    "mlflow-at": Kind("MLflow, another one", "Address of the server, or a SQLite file", "https://host:5000", True),
    "neptune": Kind("Neptune project", "Project (empty: the one in NEPTUNE_PROJECT)", "team/project"),
    "neptune-export": Kind(
        "Neptune export folder",
        "Export folder, or its data",
        "~/neptune-export",
        True,
        "Its files, if elsewhere",
    ),
}


def choose_source() -> Place | None:
    """Ask for the store; return None where its place is missing."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="source-row"):
        kinds = [name for name, kind in KINDS.items() if serving.paths_may_be_typed() or not kind.label]
        kind = state.choose("Runs from", kinds, "source", lambda name: KINDS[name].title, width=260)
        place = files = ""
        if KINDS[kind].label:
            place = _typed(f"place-{kind}", KINDS[kind].label, KINDS[kind].example)
        if KINDS[kind].files:
            files = _typed(f"files-{kind}", KINDS[kind].files, "")
        if st.button("Refresh", icon=":material/refresh:", key="refresh"):
            refresh()
    if place != redact(place):
        # an address is stored and linked to: never with a password in it
        state.put(f"place-{kind}", redact(place))
        state.publish("tab", *link_names())
        raise OditsError(
            "Keep user and password out of the address: put them into MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, in the environment or in .streamlit/secrets.toml."
        )
    if KINDS[kind].needed and not place:
        st.info(f"{KINDS[kind].label}: for example `{KINDS[kind].example}`.", icon=":material/edit:")
        return None
    name = kind.removesuffix("-at")
    return Place(f"{name}:{place}" if place else name, files)


def _typed(name: str, label: str, example: str) -> str:
    now = str(state.get(name) or "")
    return st.text_input(label, placeholder=example, width="stretch", **state.bind(name, now)).strip()


def link_names() -> list[str]:
    """Return the names that a link needs to reopen the store."""
    kind = str(state.get("source") or "")
    known = KINDS.get(kind, KINDS["mlflow"])
    return ["source", *([f"place-{kind}"] if known.label else []), *([f"files-{kind}"] if known.files else [])]


def refresh() -> None:
    """Ask the stores again at the next look."""
    _list.clear()
    _curves.clear()


def listing(place: Place) -> Listing:
    """List all runs of a store, newest first. Raises OditsError, in one sentence, within 10 s."""
    with st.spinner("Asking for the runs …", show_time=True):
        found = _list(place)
    if isinstance(found, str):
        raise OditsError(found)
    return found


@st.cache_resource(max_entries=8, ttl=FRESH_S, show_spinner=False)
def _list(place: Place) -> Listing | str:
    """Ask the store, or return the sentence why it does not answer: one that is down is not asked on every click."""
    try:
        return open_store(*place).list()
    except OditsError as error:
        return str(error)


def curves(run: StoredRun, place: Place) -> dict[str, tuple[Point, ...]]:
    """Read every metric's history of a run. Raises OditsError where the store fails."""
    last = tuple(sorted((name, float(value)) for name, value in run.metrics.items()))
    return _curves(place, run.id, run.status, hash(last))


@st.cache_resource(max_entries=64, ttl=3600, show_spinner=False)
def _curves(place: Place, run: str, status: str, last: int) -> dict[str, tuple[Point, ...]]:
    return open_store(*place).curves(run)


Curves = Mapping[str, Sequence[Point]]

METRICS = {
    "Precision": "confidence/precision",
    "F1": "confidence/f1",
    "Precision at 10": "rank/precision_at_10",
    "Average precision": "rank/average_precision",
}
LOSSES = ("loss/total", "train/loss", "loss")


def run_names(runs: Sequence[StoredRun]) -> dict[str, str]:
    """Return the name of each run by its id; equal ones are told apart by their ids."""
    names = Counter(run.name for run in runs)
    short = {run.id: f"{run.name} · {run.id.rpartition('/')[2][:8]}" for run in runs}
    ends = Counter(short.values())
    longer = {run.id: short[run.id] if ends[short[run.id]] == 1 else f"{run.name} · {run.id}" for run in runs}
    return {run.id: run.name if names[run.name] == 1 else longer[run.id] for run in runs}


def run_table(runs: Sequence[StoredRun]) -> pd.DataFrame:
    """Tabulate runs: when, how it ended, its last loss, its last evaluation, and how many checkpoints it keeps."""
    names = run_names(runs)
    rows = [
        {
            "Run": names[run.id],
            "Started": run.started,
            "State": run.status,
            "Total loss": next((run.metrics[name] for name in LOSSES if name in run.metrics), None),
            **{title: evaluated(run.metrics, path) for title, path in METRICS.items()},
            "Checkpoints": len(run.checkpoints),
            "Out of reach": run.problem or None,
        }
        for run in runs
    ]
    table = pd.DataFrame(rows)
    table["Started"] = pd.to_datetime(table["Started"], utc=True)
    return _known(table)


def checkpoint_table(
    found: Sequence[tuple[StoredRun, StoredCheckpoint]],
    names: Mapping[str, str],
    curves: Mapping[str, Curves],
    stored: Sequence[StoredEvaluation],
    here: Sequence[bool],
) -> pd.DataFrame:
    """Tabulate checkpoints: run, epoch, time, loss, evaluation, size, and whether it is on this machine.

    Args:
        found: the checkpoints with their runs.
        names: of the runs, by id.
        curves: of the runs, by id.
        stored: evaluations made on this machine, newest first: they count where the run has none.
        here: whether each is on this machine.
    """
    rows = []
    for (run, item), local in zip(found, here, strict=True):
        metadata = dict(item.metadata)
        step = epoch(metadata)
        logged = curves.get(run.id, {}) if "epoch" in metadata else {}  # else it may be of any point of the curves
        own = next((one for one in stored if item.digest and one.checkpoint == item.digest), None)
        loss = metadata.get("total_loss")
        rows.append(
            {
                "Checkpoint": model_name(metadata.get("name", "")) or _plain_name(item.name),
                "Run": names[run.id],
                "Epoch": step or None,
                "Stored": time_at(logged, step) or run.started,
                "Loss": float(loss) if loss else _at(logged, LOSSES, step),
                **{
                    title: _evaluated_at(logged, path, step) if own is None else _of_group(own, path)
                    for title, path in METRICS.items()
                },
                "Size (MiB)": round(item.size / 2**20, 1) if item.size is not None else None,
                "Here": local,
            }
        )
    table = pd.DataFrame(rows)
    table["Stored"] = pd.to_datetime(table["Stored"], utc=True)
    return _known(table)


def evaluated(metrics: Mapping[str, float], path: str) -> float | None:
    """Return the value of a metric such as "confidence/precision" on the evaluation images, whoever logged it."""
    for name in (f"eval/{path}", f"evaluation/{path}", path):
        if name in metrics:
            return metrics[name]
    return next((value for name, value in metrics.items() if name.endswith(f"/{path}")), None)


def time_at(curves: Curves, step: int) -> datetime | None:
    """Return when the epoch was logged."""
    for name in LOSSES:
        for point in curves.get(name, ()):
            if point.step == step:
                return point.time
    return None


def _at(curves: Curves, names: Sequence[str], step: int) -> float | None:
    values = {name: point.value for name in names for point in curves.get(name, ()) if point.step == step}
    return next(iter(values.values()), None)


def _evaluated_at(curves: Curves, path: str, step: int) -> float | None:
    values = {name: point.value for name, points in curves.items() for point in points if point.step == step}
    return evaluated(values, path)


def _of_group(stored: StoredEvaluation, path: str) -> float | None:
    group, _, name = path.partition("/")
    value: Any = stored.groups[group][name]
    return value


def _plain_name(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".safetensors")


def _known(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table without the columns of which nothing is known."""
    optional = ("Total loss", "Loss", "Epoch", "Out of reach", *METRICS)
    empty = [title for title in optional if title in table and table[title].isna().all()]
    return table.drop(columns=empty)
