"""The weights on this machine, each with how it was made."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from odits.core.files import cache_home
from odits.core.text import spell_out
from odits.models.reference import CARRIED
from odits.models.registry import EMBEDDED, ModelRef
from pages._shared import state
from pages._shared.evaluations import local_names
from pages._shared.layout import code, escape_markdown, file_stem, table_download
from pages._shared.word_models import word_models

_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def overview(found: list[ModelRef]) -> pd.DataFrame:
    """Tabulate checkpoints, a row each."""
    names = local_names(found)
    return pd.DataFrame(
        {
            "name": [names[ref.reference] for ref in found],
            "architecture": [_architecture(ref) for ref in found],
            "loss": [_number(ref.header.get("total_loss")) for ref in found],
            "size (bytes)": [_size(ref) for ref in found],
            "digest (SHA-256)": [ref.digest or None for ref in found],
        }
    )


def _architecture(ref: ModelRef) -> str | None:
    if ref.kind == "odits":
        return "ODITS"
    return ref.architecture or (None if ref.path is None else "not named")


def _size(ref: ModelRef) -> int | None:
    return ref.path.stat().st_size if ref.path is not None and ref.path.is_file() else None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def model_card(ref: ModelRef) -> str | None:
    """Return the card beside the weights without its YAML head, as it stands; None where there is none."""
    if ref.path is None:
        return None
    for path in (ref.path.with_suffix(".md"), ref.path.parent / "README.md"):
        if path.is_file():
            return spell_out(_HEAD.sub("", path.read_text(encoding="utf-8", errors="replace")), keep="\n\t")
    return None


def words_link(ref: ModelRef) -> str:
    """Return the address of the page Words with this model, and no other."""
    return "/?" + urlencode({"model": ref.reference})


def show(ref: ModelRef, name: str) -> None:
    """Show everything known about one checkpoint."""
    st.subheader(escape_markdown(name), anchor=False)
    with st.container(horizontal=True):
        st.link_button("Read words with it", words_link(ref), icon=":material/text_fields:")
        if ref.path is not None:
            st.download_button(
                "Weights",
                ref.path.read_bytes,
                file_name=f"{file_stem(ref.path.stem)}{ref.path.suffix}",
                mime="application/octet-stream",
                icon=":material/download:",
                on_click="ignore",
            )
    if ref.path is None:
        st.caption(escape_markdown(ref.note))
        return
    facts = {
        "architecture": ref.architecture,
        "digest (SHA-256)": ref.digest,
        "file": ref.path.name,
        **ref.header,
    }
    table = pd.DataFrame({"property": list(facts), "value": [str(value) for value in facts.values()]})
    st.dataframe(table, hide_index=True, column_config={"property": st.column_config.TextColumn(width="small")})
    card = model_card(ref)
    if card and ref.path in CARRIED:
        st.markdown(_HEADING.sub(r"**\1**", card))  # ours, without headings larger than the page's
    elif card:
        # whoever made the weights wrote it: as it stands, for Markdown could load pictures from anywhere
        st.code(card, language=None, wrap_lines=True)
    else:
        st.caption("There is no model card beside these weights.")


def choose(found: list[ModelRef]) -> ModelRef:
    """Ask for a checkpoint in a table: the one clicked, or that the link names; at first the embedded one."""
    references = [ref.reference for ref in found]
    asked = state.get("shown")
    first = EMBEDDED if EMBEDDED in references else references[0]
    place = references.index(asked if asked in references else first)
    table = overview(found)
    event = st.dataframe(
        table if table["loss"].notna().any() else table.drop(columns="loss"),
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row-required",
        key="checkpoint-table",
        selection_default={"selection": {"rows": [place]}},
        placeholder="–",
        column_config={
            "loss": st.column_config.NumberColumn(format="%.4f", help="At the end of its training"),
            "size (bytes)": st.column_config.NumberColumn("size", format="bytes"),
        },
    )
    rows = event["selection"]["rows"]
    return found[rows[0] if rows and rows[0] < len(found) else place]


def view() -> None:
    """Draw this part of the page."""
    found = word_models()
    chosen = choose(found)
    state.put("shown", chosen.reference)
    state.publish("tab", "shown")
    table_download(overview(found), "checkpoints", "checkpoints")
    if not any(ref.path is not None and ref.reference != EMBEDDED for ref in found):
        folder = str(cache_home() / "checkpoints").replace(str(Path.home()), "~", 1)
        st.caption(
            f"Safetensors files in {code(folder)} appear here too: what `python -m odits finetune` makes, and what you "
            "bring here from *Runs*."
        )
    show(chosen, local_names(found)[chosen.reference])
