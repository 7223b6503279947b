"""The embeddings of a collection's images, computed once beside the page: for search by picture and near-duplicates."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from odits.core.text import literal
from odits.data.records import Collection, ImageRecord
from odits.search.likeness import Likeness, Pair, duplicates, embed_records, repeated, stored_likeness
from pages._shared import jobs
from pages._shared.glossary import help_on
from pages._shared.layout import count_of, escape_markdown
from pages._shared.pictures import short_name, thumbnail

_SHOWN = 20  # pairs at first, and with each press of the button below them
_COLLECTIONS = 4  # held in memory
_FRESH = 20  # seconds that a look at the files of a collection is good for


class Near(NamedTuple):
    """What is known of a collection.

    Attributes:
        stamps: of its images, when they were looked at.
        likeness: their embeddings.
        pairs: near-duplicates, the most alike first.
    """

    stamps: tuple[str, ...]
    likeness: Likeness
    pairs: list[Pair]

    @property
    def repeated(self) -> dict[str, str]:
        """The images that need not be marked, each with the one that stays in its place."""
        return repeated(self.pairs)


@st.cache_resource(show_spinner=False)
def _held() -> dict[str, Near]:
    """Hold what is known of the last collections, by their keys."""
    return {}


def _hold(collection: Collection, stamps: tuple[str, ...], likeness: Likeness) -> Near:
    held = _held()
    if len(held) >= _COLLECTIONS and collection.key not in held:
        held.pop(next(iter(held)), None)
    held[collection.key] = found = Near(stamps, likeness, duplicates(likeness))
    return found


@st.cache_resource(ttl=_FRESH, max_entries=_COLLECTIONS, show_spinner=False)
def _stamps(key: str, names: int, _collection: Collection) -> tuple[str, ...]:
    return tuple(record.stamp for record in _collection.records)


@st.cache_resource(ttl=_FRESH, max_entries=_COLLECTIONS, show_spinner="Looking up what is stored …")
def _stored(key: str, stamps: tuple[str, ...], _collection: Collection) -> Likeness | None:
    return stored_likeness(_collection.records)


def _look_again() -> None:
    _stamps.clear()
    _stored.clear()


def known(collection: Collection) -> Near | None:
    """Return what is known of a collection without looking at its images; None where they have to be looked at."""
    stamps = _stamps(collection.key, len(collection.records), collection)
    found = _held().get(collection.key)
    if found is not None and found.stamps == stamps:
        return found
    likeness = _stored(collection.key, stamps, collection)
    return None if likeness is None else _hold(collection, stamps, likeness)


def offer_embeddings(collection: Collection) -> Near | None:
    """Return what is known of a collection; None, and an offer to look at its images, where that is nothing."""
    found = known(collection)

    def work(job: jobs.Job) -> None:
        stamps = tuple(record.stamp for record in collection.records)
        _hold(collection, stamps, embed_records(collection.records, progress=job.report))

    task = jobs.Task(
        key=f"like-{collection.key}",
        button=f"Look at {count_of(len(collection.records), 'image')}",
        title="Looking at images",
        run=work,
        note="Some 0.1 seconds an image, once. You can stop at any time and go on later.",
        refresh=_look_again,
    )
    jobs.offer(task, needed=found is None)
    return found


def offer_duplicates(collection: Collection) -> None:
    """Name the images of a collection that look like another one of it, or offer to look for them."""
    st.subheader("Near-duplicates", anchor=False, help=help_on("near-duplicates"))
    found = offer_embeddings(collection)
    if found is None:
        st.caption("Look for them before annotation starts: a picture that is there twice is marked twice.")
    else:
        show_duplicates(found)


def show_duplicates(found: Near) -> None:
    """Say how many images look like another one, and show each pair."""
    if not found.pairs:
        st.success(
            f"No two of the {count_of(len(found.likeness.records), 'image')} look like the same one.",
            icon=":material/check_circle:",
        )
    else:
        st.warning(
            f"{sentence_on(found)}: whoever marks both of a pair marks one picture twice.",
            icon=":material/filter_none:",
        )
        _show_pairs(found.pairs)
    jobs.show_problems([problem.problem for problem in found.likeness.problems])


def sentence_on(found: Near) -> str:
    """Say how many images are near-duplicates, without a full stop."""
    count = len(found.repeated)
    if not count:
        return "No picture is a near-duplicate of another"
    return f"{count_of(count, 'picture')} {'is a near-duplicate' if count == 1 else 'are near-duplicates'} of another"


def _show_pairs(pairs: list[Pair]) -> None:
    """Show pairs, some at first and more by a button."""
    shown = st.session_state.setdefault("odits-pairs-shown", _SHOWN)
    for pair in pairs[:shown]:
        _show_pair(pair)
    if len(pairs) > shown:
        more = min(_SHOWN, len(pairs) - shown)
        st.button(f"Show {more} more of {len(pairs):,} pairs", on_click=_show_more, key="more-pairs")


def _show_more() -> None:
    st.session_state["odits-pairs-shown"] += _SHOWN


def _show_pair(pair: Pair) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        for record in (pair.first, pair.second):
            st.image(thumbnail(record), _caption(record), alt=f"The image {literal(record.name)}", width=220)
        st.caption(f"similarity {pair.similarity:.3f}", width="content")


def _caption(record: ImageRecord) -> str:
    split = f" ({record.split})" if record.split else ""
    return escape_markdown(f"{short_name(record.name)}{split}")
