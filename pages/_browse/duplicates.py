"""Near-duplicates of the pictures that are to be marked: named beforehand, and left out of the queue if one likes."""

from __future__ import annotations

import streamlit as st

from odits.data.records import Collection
from pages._shared import state
from pages._shared.glossary import help_on
from pages._shared.layout import count_of
from pages._shared.likeness import known, offer_embeddings, sentence_on, show_duplicates


def show_near_duplicates(collection: Collection) -> None:
    """Name, above the gallery, the pictures that look like another one; offer to look for them where nobody did."""
    found = known(collection)
    title = "Near-duplicates: not looked for yet" if found is None else sentence_on(found)
    box = st.expander(title, icon=":material/filter_none:", key="near-duplicates", on_change="rerun")
    if not box.open:  # its pictures cost time
        return
    with box:
        found = offer_embeddings(collection)
        if found is None:
            st.caption("Look for them before annotation starts: a picture that is there twice is marked twice.")
            return
        if found.repeated:
            _switch()
        show_duplicates(found)


def choose_left_out(collection: Collection) -> tuple[set[str], str]:
    """Ask whether near-duplicates come up for marking.

    Returns:
        The names of the pictures that do not come, and a remark about them.
    """
    if not _switch():
        return set(), ""
    found = offer_embeddings(collection)
    if found is None:
        return set(), "Nobody has looked for near-duplicates yet: all pictures come."
    left_out = set(found.repeated)
    return left_out, f"{count_of(len(left_out), 'near-duplicate')} left out." if left_out else "No near-duplicates."


def _switch() -> bool:
    return st.toggle(
        "Leave near-duplicates out of the queue",
        help=help_on("near-duplicates", more="Of pictures that look like the same one the first comes up for marking."),
        **state.bind("once", state.is_on("once")),
    )
