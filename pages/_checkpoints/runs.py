"""The runs of a store: their table, their curves together, and bringing their checkpoints here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
import streamlit as st

from odits.core.errors import OditsError
from odits.core.files import expand_home
from odits.figures.training import load_figure, losses_figure
from odits.models.reference import EMBEDDED_ARCHITECTURE
from odits.tracking.pulling import is_here, pull
from odits.tracking.sources import open_store
from odits.tracking.store import StoredCheckpoint, StoredRun
from pages._checkpoints import stores
from pages._checkpoints.stores import METRICS, Curves, checkpoint_table, run_names, run_table
from pages._shared import jobs, state
from pages._shared.evaluations import stored_now
from pages._shared.figures import panels_menu
from pages._shared.layout import (
    bullets,
    chart,
    complain,
    count_of,
    escape_markdown,
    guarded,
    panes,
    table_download,
)
from pages._shared.word_models import BY_NAME, word_models

PULL = "pull"
IMPORT = "import-export"
MOST_CURVES = 6
FEW_WARNINGS, MOST_WARNINGS = 3, 200
ARCHITECTURES = [*dict.fromkeys(name.partition("/")[0] for name in BY_NAME), EMBEDDED_ARCHITECTURE]
DATE = st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm")
NUMBER = st.column_config.NumberColumn(format="%.4f")


def view() -> None:
    """Draw this part of the page."""
    place = stores.choose_source()
    state.publish("tab", *stores.link_names(), "runs")
    if place is None:
        return
    found = stores.listing(place)
    show_warnings(found.warnings)
    if not found.runs:
        st.info(
            "There are no runs here yet. `odits finetune` makes one: its losses, the machine's load and its "
            "checkpoints appear here while it is at work.",
            icon=":material/science:",
        )
        return
    chosen = choose_runs(found.runs)
    names = run_names(found.runs)
    known = curves_of(chosen, place)
    if place.is_export:
        offer_import(place, len(found.runs))
    show_checkpoints(chosen, names, known, place)
    show_curves({names[run]: curves for run, curves in list(known.items())[:MOST_CURVES]}, len(chosen))


def show_warnings(warnings: Sequence[str]) -> None:
    """Say what was left out of the list: a few sentences as they are, many in a fold."""
    if len(warnings) <= FEW_WARNINGS:
        for warning in warnings:
            st.warning(escape_markdown(warning), icon=":material/info:")
        return
    with st.expander(f"{count_of(len(warnings), 'thing')} left out or out of reach", icon=":material/warning:"):
        st.markdown(bullets(warnings, MOST_WARNINGS))


def choose_runs(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """Ask for runs in a table: those ticked, or that the link names; at first the newest one."""
    ids = [run.id for run in runs]
    asked = [name for name in str(state.get("runs") or "").split("|") if name in ids]
    places = [ids.index(name) for name in asked] or [0]
    table = run_table(runs)
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key="run-table",
        height=min(38 + 35 * len(runs), 320),
        selection_default={"selection": {"rows": places}},
        # a pinned column that is as wide as the longest name leaves a narrow window no room for the others
        column_config={
            "Run": st.column_config.TextColumn(width="medium"),
            "Started": DATE,
            "Total loss": NUMBER,
            **dict.fromkeys(METRICS, NUMBER),
        },
    )
    rows = [row for row in event["selection"]["rows"] if row < len(runs)]
    state.put("runs", "|".join(ids[row] for row in rows))
    state.publish("tab", *stores.link_names(), "runs")
    with st.container(horizontal=True, vertical_alignment="center"):
        table_download(table, "runs", "runs", "Runs")
        st.caption(
            "Tick the runs that you want to see together."
            if len(rows) <= MOST_CURVES
            else f"Curves of the first {MOST_CURVES} of the {len(rows)} chosen runs are drawn."
        )
    return [runs[row] for row in rows]


def curves_of(runs: Sequence[StoredRun], place: stores.Place) -> dict[str, Curves]:
    """Read the curves of the runs, by their ids; a run whose curves can't be had is named."""
    found: dict[str, Curves] = {}
    with st.spinner("Reading the curves …"):
        for run in runs:
            try:
                found[run.id] = stores.curves(run, place)
            except OditsError as error:
                complain(str(error))
    return found


def show_checkpoints(
    runs: Sequence[StoredRun], names: Mapping[str, str], known: Mapping[str, Curves], place: stores.Place
) -> None:
    """Show the checkpoints of the chosen runs, and offer to bring those ticked to this machine."""
    found = [(run, item) for run in runs for item in run.checkpoints]
    if not runs:
        st.info("Tick a run to see its checkpoints and its curves.", icon=":material/ads_click:")
        return
    st.subheader("Checkpoints", anchor=False)
    for problem in dict.fromkeys(run.problem for run in runs if run.problem):
        st.caption(escape_markdown(problem))
    if not found:
        if not any(run.problem for run in runs):
            st.caption("The chosen runs have stored no checkpoint.")
        return
    here = [is_here(item) or _same_weights_here(item) for _, item in found]
    table = checkpoint_table(found, names, known, stored_now(), here)
    event = st.dataframe(
        table if len(runs) > 1 else table.drop(columns="Run"),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key="stored-checkpoints-" + "-".join(run.id[-6:] for run in runs),
        height=min(38 + 35 * len(found), 320),
        column_config={
            "Stored": DATE,
            "Loss": NUMBER,
            **dict.fromkeys(METRICS, NUMBER),
            "Epoch": st.column_config.NumberColumn(format="%d"),
            "Here": st.column_config.CheckboxColumn(help="Whether these weights are on this machine"),
        },
    )
    ticked = [row for row in event["selection"]["rows"] if row < len(found)]
    missing = [found[row][1] for row in ticked if not here[row]]
    with st.container(horizontal=True, vertical_alignment="bottom", key="pull-row"):
        architecture = choose_architecture(missing)
        table_download(table, "stored-checkpoints", "stored", "Table")
        if ticked and not missing:
            st.caption("What you ticked is here already: you find it under *On this machine*.")
    offer_pull(place, missing, architecture, bool(ticked))


def choose_architecture(missing: Sequence[StoredCheckpoint]) -> str:
    """Ask what architecture the pickles among them hold: they don't say it. Empty where there are none."""
    kinds = [item.metadata.get("format") or PurePosixPath(item.name).suffix.lower().lstrip(".") for item in missing]
    if all(kind == "safetensors" for kind in kinds):
        return ""
    return st.selectbox("Architecture", ARCHITECTURES, key="pull-architecture", width=200) or ""


def _same_weights_here(item: StoredCheckpoint) -> bool:
    return item.digest is not None and item.digest in {ref.digest for ref in word_models()}


def offer_pull(place: stores.Place, missing: Sequence[StoredCheckpoint], architecture: str, ticked: bool) -> None:
    """Offer to bring checkpoints to this machine, one after the other."""

    def work(job: jobs.Job) -> None:
        store = open_store(*place)
        for number, item in enumerate(missing, 1):
            size = f" ({item.size / 2**20:,.0f} MB)" if item.size else ""
            which = f" {number} of {len(missing)}" if len(missing) > 1 else ""
            job.begin(f"Pulling checkpoint{which}: {PurePosixPath(item.name).name}{size}")
            pull(store, item, job.report, architecture=architecture)

    count = count_of(len(missing), "checkpoint")
    task = jobs.Task(
        key=PULL,
        button=f"Pull {count}" if missing else "Pull",
        title=f"Pulling {count}",
        run=work,
        done="The checkpoints are on this machine.",
        stopped="Stopped: nothing was stored of the checkpoint that was on its way.",
        refresh=stores.refresh,
        icon=":material/download_for_offline:",
    )
    jobs.offer(task, disabled=not missing, help=None if ticked else "Tick checkpoints in the table first.")


def offer_import(place: stores.Place, runs: int) -> None:
    """Offer to copy all runs of an export into MLflow, and say what came of it."""

    def work(job: jobs.Job) -> Any:
        from odits.tracking.importing import import_export

        files = expand_home(place.files) if place.files else None
        return import_export(expand_home(place.folder), progress=job.report, files=files)

    task = jobs.Task(
        key=IMPORT,
        button=f"Import {count_of(runs, 'run')} into MLflow",
        title="Importing runs",
        run=work,
        note="Parameters, curves, files and models; what was imported before is not copied twice.",
        stopped="Stopped: what was copied stays, and importing again goes on from there.",
        refresh=stores.refresh,
        icon=":material/move_to_inbox:",
        primary=False,
    )
    ended = jobs.offer(task)
    if ended is not None and ended.result is not None:
        done = ended.result
        counts = f"{len(done.new):,} new, {len(done.changed):,} changed, {len(done.unchanged):,} unchanged"
        if done.failed:
            complain(f"{count_of(len(done.failed), 'run')} could not be imported; in MLflow are {counts}.")
        else:
            st.success(f"In MLflow: {counts}.", icon=":material/check_circle:")
        show_warnings(done.warnings)


def show_curves(known: Mapping[str, Curves], chosen: int) -> None:
    """Show losses and machine load of the chosen runs together."""
    losses, load = losses_figure(known), load_figure(known)
    if losses is None and load is None:
        if chosen:
            st.caption("The chosen runs have logged neither losses nor the machine's load.")
        return
    st.subheader("Training", anchor=False)
    with panes("training") as row:
        if losses is not None:
            with row.container(key="pane-losses"), guarded():
                st.markdown("**Losses**")
                chart(losses, "losses", f"Image, text and total loss by epoch of {', '.join(known)}")
                with st.container(horizontal=True, key="losses-downloads"):
                    panels_menu("losses", "losses", losses)
                    table_download(_long(known), "training-curves", "curves", "All curves")
        if load is not None:
            with row.container(key="pane-load"), guarded():
                st.markdown("**Machine load**")
                chart(load, "machine-load", f"Processor, memory and GPU during {', '.join(known)}")
                panels_menu("machine-load", "machine-load", load)


def _long(known: Mapping[str, Curves]) -> pd.DataFrame:
    """Tabulate every point of every curve, a row each."""
    rows = [
        (name, metric, point.step, point.value, point.time)
        for name, curves in known.items()
        for metric, points in curves.items()
        for point in points
    ]
    return pd.DataFrame(rows, columns=["run", "metric", "step", "value", "time"])
