"""Search by picture: one of the collection, or an upload; the images that look like it."""

from __future__ import annotations

import streamlit as st

from odits.core.text import literal
from odits.data.records import Collection, ImageRecord
from odits.search.likeness import Likeness, embed_records, most_alike
from pages._shared import jobs, state
from pages._shared.datasets import FILE_TYPES
from pages._shared.layout import count_of, escape_markdown
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
        likeness = _looked_at(collection)
        if likeness is not None:
            _show(likeness, asked)


def _choose(collection: Collection) -> ImageRecord | None:
    by_name = {record.name: record for record in collection.records}
    left, right = st.columns(2)
    with left:
        name = state.choose("One of these images", ["", *by_name], "like", lambda name: literal(name) or "none")
    with right:
        file = st.file_uploader("Or a picture of yours", FILE_TYPES, key="like-upload")
    return ImageRecord(file.name, file.getvalue()) if file is not None else by_name.get(name)


@st.cache_resource(show_spinner=False)
def _known() -> dict[str, tuple[tuple[str, ...], Likeness]]:
    """Hold the embeddings of the last collections, with the stamps of their images, by the collection's key."""
    return {}


def _looked_at(collection: Collection) -> Likeness | None:
    """Return the embeddings of a collection's images; None, and an offer to compute them, where there are none."""
    stamps = tuple(record.stamp for record in collection.records)
    count = count_of(len(stamps), "image")

    def work(job: jobs.Job) -> None:
        found = embed_records(collection.records, progress=job.report)
        known = _known()
        if len(known) >= 4 and collection.key not in known:
            known.pop(next(iter(known)))
        known[collection.key] = (stamps, found)

    known = _known().get(collection.key)
    current = known is not None and known[0] == stamps
    task = jobs.Task(
        key=f"like-{collection.key}",
        button=f"Look at {count}",
        title="Looking at images",
        run=work,
        note="Some 0.1 seconds an image, once. You can stop at any time and go on later.",
    )
    jobs.offer(task, needed=not current)
    return known[1] if known is not None and current else None


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
