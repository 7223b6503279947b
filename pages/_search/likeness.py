"""Search by picture: one of the collection, or an upload; the images that look like it, to the model one chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from odits.core.text import literal
from odits.data.records import Collection, ImageRecord
from odits.search.embeddings import ClipEmbedder
from odits.search.likeness import Likeness, embed_records, most_alike
from pages._search.index import clip_of
from pages._shared import jobs, state
from pages._shared.datasets import FILE_TYPES
from pages._shared.layout import escape_markdown
from pages._shared.likeness import offer_embeddings
from pages._shared.pictures import short_name, thumbnail
from pages._shared.word_models import choose_model

if TYPE_CHECKING:
    from odits.models.clip.model import ClipModel

LINK = ("like", "like-model")
MOST = 12
_WIDTH = 180  # pixels: two stand beside each other in a narrow window


def offer_likeness(collection: Collection) -> None:
    """Offer the search by picture, and show what it found."""
    with st.expander("Search by picture", icon=":material/image_search:", expanded=bool(state.get("like"))):
        asked = _choose(collection)
        if asked is None:
            st.caption("Choose one of these images or upload one: the images that look like it are found.")
            return
        reference = choose_model(
            LINK[1], "", ("clip",), "Compared by", "EfficientNet-Lite2: what photographs look like"
        )
        model = clip_of(reference) if reference else None
        found = offer_embeddings(collection, model)
        if found is None:
            st.caption("Then the images that look like this one stand here, the most alike first.")
        else:
            _show(found.likeness, asked, model)


def _choose(collection: Collection) -> ImageRecord | None:
    by_name = {record.name: record for record in collection.records}
    left, right = st.columns(2)
    with left:
        name = state.choose("One of these images", ["", *by_name], "like", lambda name: literal(name) or "none")
    with right:
        file = st.file_uploader("Or a picture of yours", FILE_TYPES, key="like-upload")
    return ImageRecord(file.name, file.getvalue()) if file is not None else by_name.get(name)


def _show(likeness: Likeness, asked: ImageRecord, model: ClipModel | None) -> None:
    embedder = None if model is None else ClipEmbedder(model)
    embedding = embed_records([asked], embedder=embedder).table[0]
    found = [one for one in most_alike(likeness, embedding, MOST + 1) if one.record.digest != asked.digest][:MOST]
    name = "EfficientNet-Lite2" if embedder is None else embedder.name
    if not found:
        st.info(
            "There is no other image here to compare it with: choose more on the left.", icon=":material/image_search:"
        )
    else:
        st.caption(f"The most alike first, by the cosine of the embeddings of {escape_markdown(name)}.")
    with st.container(horizontal=True, key="alike"):
        for one in found:
            name = short_name(one.record.name)
            caption = f"{escape_markdown(name)} · {one.similarity:.2f}"
            st.image(thumbnail(one.record), caption, alt=f"The image {literal(name)}", width=_WIDTH)
    jobs.show_problems([problem.problem for problem in likeness.problems])
