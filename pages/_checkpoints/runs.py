"""The runs of a store: their table, their curves together, and bringing their checkpoints here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import pandas as pd
import streamlit as st

from odits.core.errors import OditsError
from odits.figures.training import load_figure, losses_figure
from odits.tracking.pulling import is_here, pull
from odits.tracking.sources import open_store
from odits.tracking.store import StoredCheckpoint, StoredRun
from pages._checkpoints import sources
from pages._checkpoints.tables import METRICS, Curves, checkpoint_table, run_names, run_table
from pages._shared import jobs, state
from pages._shared.kept import kept_now
from pages._shared.layout import chart, chart_download, complain, guarded, panes, plain, table_download
from pages._shared.word_models import BY_NAME, SIGNS, checkpoints

PULL = "pull"
MOST_CURVES = 6
DATE = st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm")
NUMBER = st.column_config.NumberColumn(format="%.4f")


def view() -> None:
    """The whole part of the page."""
    source = sources.choose_source()
    state.publish("tab", *sources.link_names(), "runs")
    ended = jobs.show(
        PULL, "Stopped: nothing was kept of the checkpoint that was on its way.", "The checkpoints are here."
    )
    if ended is not None:
        sources.refresh()
    if source is None:
        return
    found = sources.listing(source)
    for warning in found.warnings[:5]:
        st.warning(plain(warning), icon=":material/info:")
    if not found.runs:
        st.info(
            "There are no runs here yet. `python -m odits finetune` makes one: its losses, the machine's load and its "
            "checkpoints appear here while it is at work.",
            icon=":material/science:",
        )
        return
    chosen = choose_runs(found.runs)
    names = run_names(found.runs)
    known = curves_of(chosen, source)
    show_checkpoints(chosen, names, known, source)
    show_curves({names[run]: curves for run, curves in list(known.items())[:MOST_CURVES]}, len(chosen))


def choose_runs(runs: Sequence[StoredRun]) -> list[StoredRun]:
    """The runs ticked in the table, or those that the link names; at first the newest one."""
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
        column_config={"Started": DATE, "Total loss": NUMBER, **dict.fromkeys(METRICS, NUMBER)},
    )
    rows = [row for row in event["selection"]["rows"] if row < len(runs)]
    state.put("runs", "|".join(ids[row] for row in rows))
    state.publish("tab", *sources.link_names(), "runs")
    with st.container(horizontal=True, vertical_alignment="center"):
        table_download(table, "runs", "runs", "Runs")
        st.caption(
            "Tick the runs that you want to see together."
            if len(rows) <= MOST_CURVES
            else f"Curves of the first {MOST_CURVES} of the {len(rows)} chosen runs are drawn."
        )
    return [runs[row] for row in rows]


def curves_of(runs: Sequence[StoredRun], source: str) -> dict[str, Curves]:
    """The curves of the runs by their ids; a run whose curves can't be had is named."""
    found: dict[str, Curves] = {}
    with st.spinner("Reading the curves …"):
        for run in runs:
            try:
                found[run.id] = sources.curves(run, source)
            except OditsError as error:
                complain(str(error))
    return found


def show_checkpoints(
    runs: Sequence[StoredRun], names: Mapping[str, str], known: Mapping[str, Curves], source: str
) -> None:
    """The checkpoints of the chosen runs, and a button that brings those ticked to this machine."""
    found = [(run, item) for run in runs for item in run.checkpoints]
    if not runs:
        st.info("Tick a run to see its checkpoints and its curves.", icon=":material/ads_click:")
        return
    st.subheader("Checkpoints", anchor=False)
    if not found:
        st.caption("The chosen runs have kept no checkpoint.")
        return
    here = [is_here(item) or _same_weights_here(item) for _, item in found]
    table = checkpoint_table(found, names, known, kept_now(), here)
    event = st.dataframe(
        table if len(runs) > 1 else table.drop(columns="Run"),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key="stored-checkpoints-" + "-".join(run.id[-6:] for run in runs),
        height=min(38 + 35 * len(found), 320),
        column_config={
            "Kept at": DATE,
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
        st.button(
            f"Bring {_count(len(missing))} here" if missing else "Bring here",
            type="primary",
            icon=":material/download_for_offline:",
            key="pull",
            disabled=not missing or jobs.running(PULL),
            on_click=start_pull,
            args=(source, missing, architecture),
            help="Tick checkpoints in the table first." if not ticked else None,
        )
        table_download(table, "stored-checkpoints", "stored", "Table")
        if ticked and not missing:
            st.caption("What you ticked is here already: you find it under *On this machine*.")


def choose_architecture(missing: Sequence[StoredCheckpoint]) -> str:
    """What the pickles among them hold: they don't say it themselves. Empty where there are none."""
    if all(PurePosixPath(item.name).suffix.lower() == ".safetensors" for item in missing):
        return ""
    return st.selectbox("Architecture", [*BY_NAME, SIGNS], key="pull-architecture", width=200) or ""


def _same_weights_here(item: StoredCheckpoint) -> bool:
    return item.digest is not None and item.digest in {info.digest for info in checkpoints()}


def start_pull(source: str, wanted: Sequence[StoredCheckpoint], architecture: str) -> None:
    """Called by the button: brings them here one after the other, beside the page."""

    def work(job: jobs.Job) -> None:
        store = open_store(source)
        for number, item in enumerate(wanted, 1):
            size = f" ({item.size / 2**20:,.0f} MB)" if item.size else ""
            which = f" {number} of {len(wanted)}" if len(wanted) > 1 else ""
            job.begin(f"Bringing checkpoint{which} here: {PurePosixPath(item.name).name}{size}")
            pull(store, item, job.report, architecture=architecture)

    jobs.start(PULL, f"Bringing {_count(len(wanted))} here", work)


def show_curves(known: Mapping[str, Curves], chosen: int) -> None:
    """Losses and machine load of the chosen runs together."""
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
                    chart_download(losses, "losses", "losses")
                    table_download(_long(known), "training-curves", "curves", "All curves")
        if load is not None:
            with row.container(key="pane-load"), guarded():
                st.markdown("**How busy the machine was**")
                chart(load, "machine-load", f"Processor, memory and GPU during {', '.join(known)}")
                chart_download(load, "machine-load", "machine-load")


def _long(known: Mapping[str, Curves]) -> pd.DataFrame:
    """Every point of every curve, a row each."""
    rows = [
        (name, metric, point.step, point.value, point.time)
        for name, curves in known.items()
        for metric, points in curves.items()
        for point in points
    ]
    return pd.DataFrame(rows, columns=["run", "metric", "step", "value", "time"])


def _count(number: int) -> str:
    return f"{number} checkpoint{'' if number == 1 else 's'}"
