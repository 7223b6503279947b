"""Where runs are looked for, and what was found there."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from odits.core.errors import OditsError
from odits.tracking.connections import redact
from odits.tracking.sources import open_store
from odits.tracking.store import Listing, Point, StoredRun
from pages._shared import state

FRESH_S = 120
"""Seconds for which an answer of a store is not asked for again."""


class Kind(NamedTuple):
    """A kind of store: how it is offered, and what has to be typed."""

    title: str
    label: str = ""
    example: str = ""
    needed: bool = False


KINDS = {
    "mlflow": Kind("MLflow, this machine's"),
    "mlflow-at": Kind("MLflow, another one", "Address of the server, or a SQLite file", "https://host:5000", True),
    "neptune": Kind("Neptune project", "Project (empty: the one in NEPTUNE_PROJECT)", "team/project"),
    "neptune-export": Kind("Neptune export folder", "Folder that holds data/ and files/", "~/neptune-export", True),
}


def choose_source() -> str | None:
    """The reference of the store chosen, as `open_store` takes it; None, and what to do, where a place is missing."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="source-row"):
        kind = state.choose("Runs from", list(KINDS), "source", lambda name: KINDS[name].title, width=260)
        place = ""
        if KINDS[kind].label:
            now = str(state.get(f"place-{kind}") or "")
            place = st.text_input(
                KINDS[kind].label,
                placeholder=KINDS[kind].example,
                width="stretch",
                **state.bind(f"place-{kind}", now),
            ).strip()
        if st.button("Look again", icon=":material/refresh:", key="refresh"):
            refresh()
    if place != redact(place):
        # an address is kept and linked to: never with a password in it
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
    return f"{name}:{place}" if place else name


def link_names() -> list[str]:
    """What the link has to carry of the source."""
    kind = str(state.get("source") or "")
    return ["source", f"place-{kind}"] if KINDS.get(kind, KINDS["mlflow"]).label else ["source"]


def refresh() -> None:
    """Nothing; stores are asked anew."""
    _list.clear()
    _curves.clear()


def listing(source: str) -> Listing:
    """All runs of a store, newest first. Raises OditsError, in one sentence, within 10 s."""
    with st.spinner("Asking for the runs …", show_time=True):
        found = _list(source)
    if isinstance(found, str):
        raise OditsError(found)
    return found


@st.cache_resource(max_entries=8, ttl=FRESH_S, show_spinner=False)
def _list(source: str) -> Listing | str:
    """What the store says, or the sentence why it does not: a server that is down is not asked on every click."""
    try:
        return open_store(source).list()
    except OditsError as error:
        return str(error)


def curves(run: StoredRun, source: str) -> dict[str, tuple[Point, ...]]:
    """Every metric's history of a run. Raises OditsError where the store fails."""
    last = tuple(sorted((name, float(value)) for name, value in run.metrics.items()))
    return _curves(source, run.id, run.status, hash(last))


@st.cache_resource(max_entries=64, ttl=3600, show_spinner=False)
def _curves(source: str, run: str, status: str, last: int) -> dict[str, tuple[Point, ...]]:
    return open_store(source).curves(run)
