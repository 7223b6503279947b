"""What stands beside the picture: the owner's guidelines, and who changed the marks of the picture, and when."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from odits.core.percent import percent
from odits.data.annotation_files import annotators
from odits.data.annotations import history
from odits.data.marks import Entry
from pages._shared import serving
from pages._shared.layout import guarded

FILE = "GUIDELINES.md"
"""In the folder of a data set: what its owner tells annotators, in Markdown."""
MAX_BYTES = 256 * 1024


def read_guidelines(folder: Path) -> str:
    """Return the guidelines in the folder of a data set; "" where there are none."""
    path = folder / FILE if folder.is_dir() else folder.with_name(FILE)
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def show_guidelines(guidelines: str) -> None:
    """Draw the guidelines in a menu above the picture, where there are any."""
    if guidelines.strip():
        with st.popover("Guidelines", icon=":material/menu_book:", width="content"):
            st.markdown(guidelines)  # the owner wrote them as Markdown


def show_history(annotator: str, data: str, image: str, blind: bool) -> None:
    """Draw, where it is asked for, who changed which mark of a picture, when, and what was on screen.

    Args:
        annotator: whose marks everybody may see: their own.
        data: name of the data set.
        image: name of the picture.
        blind: whether others' marks are kept from the annotator.
    """
    if not st.toggle("History of this picture", key="annotate-history"):
        return
    with guarded():
        everybody = serving.is_at_least("reviewer") and not blind
        names = annotators() if everybody else [annotator]
        rows = [(name, entry) for name in names for entry in history(name, data) if entry.about.image == image]
        if not rows:
            st.caption("Nothing was marked here yet.")
            return
        rows.sort(key=lambda row: row[1].mark.time, reverse=True)
        st.dataframe(pd.DataFrame([_row(name, entry) for name, entry in rows]), hide_index=True, key="history-table")


def _row(name: str, entry: Entry) -> dict[str, str]:
    mark, shown = entry.mark, entry.mark.shown
    return {
        "time (UTC)": mark.time[:19].replace("T", " "),
        "annotator": name,
        "word": entry.about.word,
        "before": entry.old or "",
        "after": "removed" if entry.removed else mark.verdict,
        "comment": mark.note,
        "what": "undo or redo" if entry.reverts else "decision" if mark.parties else "",
        "on screen": shown.model or "no prediction",
        "probability": "" if shown.probability is None else percent(shown.probability),
        "version": shown.version,
    }
