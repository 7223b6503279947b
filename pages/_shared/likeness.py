"""The embeddings of a collection's images, computed once beside the page: for search by picture and near-duplicates."""

from __future__ import annotations

import streamlit as st

from odits.core.text import literal
from odits.data.records import Collection, ImageRecord
from odits.search.likeness import Likeness, Pair, duplicates, embed_records
from pages._shared import jobs
from pages._shared.glossary import help_on
from pages._shared.layout import count_of, escape_markdown
from pages._shared.pictures import short_name, thumbnail

_SHOWN = 20  # pairs


@st.cache_resource(show_spinner=False)
def _known() -> dict[str, tuple[tuple[str, ...], Likeness]]:
    """Hold the embeddings of the last collections, with the stamps of their images, by the collection's key."""
    return {}


def offer_embeddings(collection: Collection) -> Likeness | None:
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


def offer_duplicates(collection: Collection) -> None:
    """Name the images of a collection that look like another one of it, or offer to look for them."""
    st.subheader("Near-duplicates", anchor=False, help=help_on("near-duplicates"))
    likeness = offer_embeddings(collection)
    if likeness is None:
        st.caption("Look for them before annotation starts: a picture that is there twice is marked twice.")
        return
    pairs = duplicates(likeness)
    if not pairs:
        st.success(
            f"No two of the {count_of(len(likeness.records), 'image')} look like the same one.",
            icon=":material/check_circle:",
        )
    else:
        st.warning(
            f"{count_of(len(pairs), 'pair')} of images look like the same one: whoever marks both marks one twice.",
            icon=":material/filter_none:",
        )
        for pair in pairs[:_SHOWN]:
            _show_pair(pair)
        if len(pairs) > _SHOWN:
            st.caption(f"… and {len(pairs) - _SHOWN:,} more: odits dataset --duplicates lists all of them.")
    jobs.show_problems([problem.problem for problem in likeness.problems])


def _show_pair(pair: Pair) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        for record in (pair.first, pair.second):
            st.image(thumbnail(record), _caption(record), alt=f"The image {literal(record.name)}", width=220)
        st.caption(f"similarity {pair.similarity:.3f}", width="content")


def _caption(record: ImageRecord) -> str:
    split = f" ({record.split})" if record.split else ""
    return escape_markdown(f"{short_name(record.name)}{split}")
