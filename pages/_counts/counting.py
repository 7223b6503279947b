"""What is counted already, and the job that counts the rest: it goes on whatever page is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import streamlit as st

from odits.data.images import ImageError
from odits.models.segmentation.precompute import Wanted, precompute
from odits.objects.codec import stored_count
from pages._shared import jobs
from pages._shared.pictures import Picture

_ASKED = "odits-counting"
_FRESH = 30  # seconds that a look into the store is good for


def counts_of(pictures: Sequence[Picture], key: str) -> Mapping[str, int]:
    """The number of objects by the names of the pictures that were segmented by the segmenter of this key."""
    return _stored(tuple(picture.key for picture in pictures), key, pictures)


@st.cache_data(ttl=_FRESH, max_entries=8, show_spinner="Looking up what is counted …")
def _stored(pictures: tuple[str, ...], key: str, _pictures: Sequence[Picture]) -> dict[str, int]:
    found = {}
    for picture in _pictures:
        with suppress(ImageError):  # counting says what is wrong with it
            count = stored_count(picture.source, key)
            if count is not None:
                found[picture.name] = count
    return found


def offer(pictures: Sequence[Picture], wanted: Wanted, key: str, left: int, title: str, done: str) -> bool:
    """What is missing: a button that computes it in the background; while that goes on, its progress and a Stop.

    Args:
        pictures: all of them.
        wanted: what is computed of each.
        key: of the segmenter; each has a job of its own.
        left: of how many pictures it is missing.
        title: of the button, while nothing is there.
        done: what is there already, for people, such as "counted".

    Returns:
        Whether the job has ended since the page was last drawn.
    """
    name = f"precompute-{wanted.kind}-{key}"
    if st.session_state.pop(f"{_ASKED}-{name}", False):
        jobs.start(name, "Looking for objects", lambda job: _work(job, pictures, wanted))
    ended = jobs.show(name, "Stopped. What was found stays, and the button goes on from there.")
    if ended is not None:
        _stored.clear()
    if jobs.running(name) or not left or (ended is not None and ended.state == "done"):
        return ended is not None
    total = len(pictures)
    with st.container(horizontal=True, vertical_alignment="center", key=f"offer-{wanted.kind}"):
        fresh = left == total
        st.button(
            title if fresh else f"Go on with the other {left:,} images",
            type="primary" if wanted.kind == "objects" else "secondary",
            on_click=_ask,
            args=(name,),
            icon=":material/play_circle:",
            key=f"start-{wanted.kind}",
        )
        st.caption(
            "It goes on while you look at other pages. You can stop at any time and go on later."
            if fresh
            else f"{total - left:,} of {total:,} images are {done}; this is what they show."
        )
    return ended is not None


def _ask(name: str) -> None:
    st.session_state[f"{_ASKED}-{name}"] = True


def _work(job: jobs.Job, pictures: Sequence[Picture], wanted: Wanted) -> None:
    found = precompute([(picture.name, picture.source) for picture in pictures], wanted, progress=job.report)
    if found.problems:
        first = found.problems[min(found.problems)]
        more = len(found.problems) - 1
        job.message = first if not more else f"{first} {more:,} more could not be read either."
