"""Search by picture: one of the collection, or an upload; the images that look like it."""

from __future__ import annotations

import streamlit as st

from odits.core.text import literal
from odits.data.records import Collection, ImageRecord
from odits.search.likeness import Likeness, embed_records, most_alike
from pages._shared import jobs, state
from pages._shared.datasets import FILE_TYPES
from pages._shared.layout import escape_markdown
from pages._shared.likeness import offer_embeddings
from pages._shared.pictures import short_name, thumbnail

MOST = 12
_COLUMNS = 4


def offer_likeness(collection: Collection) -> None:
    """Offer the search by picture, and show what it found."""
    with st.expander("Search by picture", icon=":material/image_search:", expanded=bool(state.get("like"))):
        asked = _choose(collection)
        if asked is None:
            st.caption("Choose one of these images or upload one: the images that look like it are found.")
            return
        found = offer_embeddings(collection)
        if found is not None:
            _show(found.likeness, asked)


def _choose(collection: Collection) -> ImageRecord | None:
    by_name = {record.name: record for record in collection.records}
    left, right = st.columns(2)
    with left:
        name = state.choose("One of these images", ["", *by_name], "like", lambda name: literal(name) or "none")
    with right:
        file = st.file_uploader("Or a picture of yours", FILE_TYPES, key="like-upload")
    return ImageRecord(file.name, file.getvalue()) if file is not None else by_name.get(name)


def _show(likeness: Likeness, asked: ImageRecord) -> None:
    embedding = embed_records([asked]).table[0]
    found = [one for one in most_alike(likeness, embedding, MOST + 1) if one.record.digest != asked.digest][:MOST]
    st.caption("The most alike first, by the cosine of EfficientNet-Lite2's embeddings.")
    for start in range(0, len(found), _COLUMNS):
        for column, one in zip(st.columns(_COLUMNS), found[start : start + _COLUMNS], strict=False):
            name = short_name(one.record.name)
            caption = f"{escape_markdown(name)} · {one.similarity:.2f}"
            column.image(thumbnail(one.record), caption, alt=f"The image {literal(name)}")
    jobs.show_problems([problem.problem for problem in likeness.problems])
