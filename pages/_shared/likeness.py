"""The embeddings of a collection's images, computed once beside the page: for search by picture and near-duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from odits.core.files import sha256_of
from odits.core.text import literal
from odits.data.records import Collection, ImageRecord
from odits.search.embeddings import PHOTO_KEY, ClipEmbedder, Embedder
from odits.search.likeness import (
    Likeness,
    Pair,
    Pairs,
    alike_pairs,
    embed_records,
    repeated,
    stored_likeness,
)
from pages._shared import jobs
from pages._shared.glossary import help_on
from pages._shared.layout import count_of, escape_markdown
from pages._shared.pictures import short_name, thumbnail

if TYPE_CHECKING:
    from odits.models.clip.model import ClipModel

_SHOWN = 20  # pairs at first, and with each press of the button below them
_COLLECTIONS = 4  # held in memory
_FRESH = 20  # seconds that a look at the files of a collection is good for


class Near(NamedTuple):
    """What is known of a collection.

    Attributes:
        stamps: of its images, when they were looked at.
        likeness: their embeddings.
        pairs: images that look alike; none where a CLIP model embedded them.
        repeated: the images that need not be marked, each with the one that stays in its place.
    """

    stamps: tuple[str, ...]
    likeness: Likeness
    pairs: Pairs
    repeated: dict[str, str]


@st.cache_resource(show_spinner=False)
def _held() -> dict[tuple[str, str], Near]:
    """Hold what is known of the last collections, by their keys and those of what embedded their images."""
    return {}


def _hold(collection: Collection, by: str, stamps: tuple[str, ...], likeness: Likeness) -> Near:
    held, key = _held(), (collection.key, by)
    if len(held) >= _COLLECTIONS and key not in held:
        held.pop(next(iter(held)), None)
    if by == PHOTO_KEY:
        found = Near(stamps, likeness, alike_pairs(likeness), repeated(likeness))
    else:  # what its cosines mean nobody has measured
        found = Near(stamps, likeness, Pairs([], 0, 0), {})
    held[key] = found
    return found


@st.cache_resource(ttl=_FRESH, max_entries=_COLLECTIONS, show_spinner=False)
def _stamps(key: str, names: int, _collection: Collection) -> tuple[str, ...]:
    return tuple(record.stamp for record in _collection.records)


@st.cache_resource(ttl=_FRESH, max_entries=_COLLECTIONS, show_spinner="Looking up what is stored …")
def _stored(key: str, by: str, stamps: tuple[str, ...], _collection: Collection) -> Likeness | None:
    return stored_likeness(_collection.records, by)


def _look_again() -> None:
    _stamps.clear()
    _stored.clear()


def known(collection: Collection, by: str = PHOTO_KEY) -> Near | None:
    """Return what is known of a collection without looking at its images; None where they have to be looked at.

    Args:
        collection: the images.
        by: the key of what embeds them.
    """
    stamps = _stamps(collection.key, len(collection.records), collection)
    found = _held().get((collection.key, by))
    if found is not None and found.stamps == stamps:
        return found
    likeness = _stored(collection.key, by, stamps, collection)
    return None if likeness is None else _hold(collection, by, stamps, likeness)


def offer_embeddings(collection: Collection, model: ClipModel | None = None) -> Near | None:
    """Return what is known of a collection; None, and an offer to look at its images, where that is nothing.

    Args:
        collection: the images.
        model: embeds them; None: EfficientNet-Lite2.
    """
    embedder: Embedder | None = None if model is None else ClipEmbedder(model)
    by = PHOTO_KEY if embedder is None else embedder.key
    found = known(collection, by)

    def work(job: jobs.Job) -> None:
        stamps = tuple(record.stamp for record in collection.records)
        _hold(collection, by, stamps, embed_records(collection.records, progress=job.report, embedder=embedder))

    once = "once. You can stop at any time and go on later."
    task = jobs.Task(
        key=f"like-{collection.key}-{sha256_of(by)[:16]}",
        button=f"Look at {count_of(len(collection.records), 'image')}",
        title="Looking at images" if embedder is None else f"Looking at images with {embedder.name}",
        run=work,
        note=f"Some 0.1 seconds an image, {once}"
        if embedder is None
        else f"With {escape_markdown(embedder.name)}, {once}",
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
    """Say how many images look like another one, and show each pair: near-duplicates, then what is only similar."""
    pairs = found.pairs
    if not pairs.near:
        st.success(
            f"No two of the {count_of(len(found.likeness.records), 'image')} look like the same one.",
            icon=":material/check_circle:",
        )
    else:
        st.warning(
            f"{sentence_on(found)}: whoever marks both of a pair marks one picture twice.",
            icon=":material/filter_none:",
        )
        _show_pairs([pair for pair in pairs.closest if pair.near], "pairs", pairs.near)
    similar = pairs.number - pairs.near
    if similar:
        st.markdown(f"**{count_of(similar, 'pair')} of similar pictures**")
        st.caption("Perhaps a part of the same picture, or the same kind of place: both stay in the queue.")
        _show_pairs([pair for pair in pairs.closest if not pair.near], "similar-pairs", similar)
    jobs.show_problems([problem.problem for problem in found.likeness.problems])


def sentence_on(found: Near) -> str:
    """Say how many images are near-duplicates, without a full stop."""
    count = len(found.repeated)
    if not count:
        return "No picture is a near-duplicate of another"
    return f"{count_of(count, 'picture')} {'is a near-duplicate' if count == 1 else 'are near-duplicates'} of another"


def _show_pairs(pairs: list[Pair], key: str, of: int) -> None:
    """Show pairs, some at first and more by a button.

    Args:
        pairs: the closest ones.
        key: tells these pairs from others.
        of: how many there are.
    """
    shown = st.session_state.setdefault(f"odits-{key}-shown", _SHOWN)
    for pair in pairs[:shown]:
        _show_pair(pair)
    if len(pairs) > shown:
        more = min(_SHOWN, len(pairs) - shown)
        st.button(f"Show {more} more of {of:,} pairs", on_click=_show_more, args=(key,), key=f"more-{key}")
    elif of > len(pairs):
        st.caption(f"The closest {len(pairs):,} of {of:,} pairs are listed.")


def _show_more(key: str) -> None:
    st.session_state[f"odits-{key}-shown"] += _SHOWN


def _show_pair(pair: Pair) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):  # both fit in a narrow window
        for record in (pair.first, pair.second):
            st.image(thumbnail(record), _caption(record), alt=f"The image {literal(record.name)}", width=180)
        st.caption(f"similarity {pair.similarity:.3f}", width="content")


def _caption(record: ImageRecord) -> str:
    split = f" ({record.split})" if record.split else ""
    return escape_markdown(f"{short_name(record.name)}{split}")
