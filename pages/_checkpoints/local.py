"""The weights on this machine, each with how it was made."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from odits.core.files import cache_home
from odits.models.registry import CheckpointInfo, find_checkpoints
from pages._checkpoints.names import local_names
from pages._shared import state
from pages._shared.layout import plain, table_download

_HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def overview(found: list[CheckpointInfo]) -> pd.DataFrame:
    """One row a checkpoint."""
    names = local_names(found)
    return pd.DataFrame(
        {
            "name": [names[info.reference] for info in found],
            "architecture": [info.architecture or "not named" for info in found],
            "loss": [_number(info.metadata.get("total_loss")) for info in found],
            "size (MiB)": [round(info.path.stat().st_size / 2**20, 1) for info in found],
            "digest (SHA-256)": [info.digest for info in found],
        }
    )


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def model_card(info: CheckpointInfo) -> str | None:
    """The card beside the weights without its YAML head, its headings made bold lines; None where there is none."""
    for path in (info.path.with_suffix(".md"), info.path.parent / "README.md"):
        if path.is_file():
            text = _HEAD.sub("", path.read_text(encoding="utf-8", errors="replace"))
            return re.sub(r"(?m)^#+ (.*)$", r"**\1**", text)  # the page's own headings stay above the card's
    return None


def show(info: CheckpointInfo, name: str) -> None:
    """Everything known about one checkpoint."""
    st.subheader(plain(name), anchor=False)
    with st.container(horizontal=True):
        st.link_button(
            "Read words with it",
            "/?" + urlencode({"model": info.architecture, "checkpoint": info.reference}),
            icon=":material/text_fields:",
        )
        st.download_button(
            "Weights",
            info.path.read_bytes,
            file_name=info.path.name,
            mime="application/octet-stream",
            icon=":material/download:",
            on_click="ignore",
        )
    facts = {
        "architecture": info.architecture,
        "digest (SHA-256)": info.digest,
        "file": info.path.name,
        **info.metadata,
    }
    table = pd.DataFrame({"property": list(facts), "value": [str(value) for value in facts.values()]})
    st.dataframe(table, hide_index=True, column_config={"property": st.column_config.TextColumn(width="small")})
    card = model_card(info)
    if card:
        with st.container(border=True):
            st.markdown(card)
    else:
        st.caption("There is no model card beside these weights.")


def choose(found: list[CheckpointInfo]) -> CheckpointInfo:
    """The checkpoint clicked in the table, or the one that the link names; at first the embedded one."""
    references = [info.reference for info in found]
    asked = state.get("shown")
    place = references.index(asked) if asked in references else 0
    table = overview(found)
    event = st.dataframe(
        table if table["loss"].notna().any() else table.drop(columns="loss"),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row-required",
        key="checkpoint-table",
        selection_default={"selection": {"rows": [place]}},
        column_config={"loss": st.column_config.NumberColumn(format="%.4f", help="At the end of its training")},
    )
    rows = event["selection"]["rows"]
    return found[rows[0] if rows and rows[0] < len(found) else place]


def view() -> None:
    """The list, and the one chosen."""
    found = find_checkpoints()
    chosen = choose(found)
    state.put("shown", chosen.reference)
    state.publish("tab", "shown")
    table_download(overview(found), "checkpoints", "checkpoints")
    if len(found) == 1:
        folder = str(cache_home() / "checkpoints").replace(str(Path.home()), "~", 1)
        st.caption(
            f"Safetensors files in `{folder}` appear here too: what `python -m odits finetune` makes, and what you "
            "bring here from *Runs*."
        )
    show(chosen, local_names(found)[chosen.reference])
