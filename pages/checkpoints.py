"""Checkpoints: what is here, what the stores hold, how good it is, and where two of them disagree."""

from __future__ import annotations

import streamlit as st

from pages._checkpoints import by_image, compare, local, runs
from pages._shared import state
from pages._shared.layout import page

TABS = {
    "here": ("On this machine", local.view),
    "runs": ("Runs", runs.view),
    "compare": ("Compare", compare.view),
    "images": ("Image by image", by_image.view),
}

with page("Checkpoints", "Models as they were trained: where they come from, how good they are, and which one to use."):
    tab = st.segmented_control(
        "Part",
        list(TABS),
        format_func=lambda name: TABS[name][0],
        required=True,
        label_visibility="collapsed",
        **state.bind("tab", state.get("tab") if state.get("tab") in TABS else "here"),
    )
    TABS[tab or "here"][1]()
