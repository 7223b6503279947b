"""Which of an image's objects are shown: by size, confidence, kind and name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages._shared import state

if TYPE_CHECKING:
    import supervision as sv


SIZES = ("0", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50", "100")
"""Per cent of the picture's area: sizes span decades."""
LINK = ("size", "confident", "kinds", "names")
_APART = "|"
_ROUND = "odits-filter-round"


def choose_shown(detections: sv.Detections, names: Sequence[str]) -> list[int]:
    """Draw the filter, and return the indices of the objects that pass it."""
    from odits.figures.objects import KINDS, OTHER_KIND
    from odits.objects.detections import areas_of, kinds_of, masks_of

    if not len(detections):
        return []
    kinds = kinds_of(detections)
    with st.container(horizontal=True, vertical_alignment="bottom", key="filter"):
        low, high = st.select_slider(
            "Size, % of the picture",
            SIZES,
            key=_size_key(),
            value=_sizes(),
            width=230,
            on_change=_keep_sizes,
            help="Objects whose share of the picture lies between these two are shown.",
        )
        least = st.slider(
            "Confidence, at least",
            0.0,
            1.0,
            step=0.05,
            width=150,
            help="The segmenter's confidence; of SAM, its own prediction of a mask's quality.",
            **state.bind("confident", state.fraction("confident")),
        )
        only_kinds = only_names = set[str]()
        if len(set(kinds)) > 1:
            titles = {kind: KINDS.get(kind, OTHER_KIND).title for kind in sorted(set(kinds))}
            only_kinds = _several("Kinds", titles, "kinds", "all kinds")
        if any(names):
            only_names = _several("Names", {name: name for name in sorted(set(names) - {""})}, "names", "all names")
    share = 100 * areas_of(detections) / max(1, masks_of(detections)[0].size)
    confidence = np.ones(len(detections)) if detections.confidence is None else detections.confidence
    return [
        index
        for index, kind in enumerate(kinds)
        if float(low) <= share[index] <= float(high)
        and confidence[index] >= least - 1e-6
        and (not only_kinds or kind in only_kinds)
        and (not only_names or names[index] in only_names)
    ]


def clear() -> None:
    """Let every object pass."""
    for name in LINK:
        state.act(name, None)
    # another slider: one that the browser has moved would keep its place
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1


def _several(label: str, titles: dict[str, str], name: str, nothing: str) -> set[str]:
    """Ask for several of the options; none means all."""
    key = f"filter-{name}"
    chosen = [value for value in str(state.get(name) or "").split(_APART) if value in titles]
    st.session_state[key] = chosen

    def keep() -> None:
        state.act(name, _APART.join(st.session_state[key]))

    return set(
        st.multiselect(
            label, list(titles), format_func=titles.__getitem__, key=key, placeholder=nothing, width=230, on_change=keep
        )
    )


def _size_key() -> str:
    return f"filter-size-{st.session_state.get(_ROUND, 0)}"


def _sizes() -> tuple[str, str]:
    low, _, high = str(state.get("size") or "").partition("-")
    if low in SIZES and high in SIZES and SIZES.index(low) <= SIZES.index(high):
        return low, high
    return SIZES[0], SIZES[-1]


def _keep_sizes() -> None:
    low, high = st.session_state[_size_key()]
    state.act("size", None if (low, high) == (SIZES[0], SIZES[-1]) else f"{low}-{high}")
