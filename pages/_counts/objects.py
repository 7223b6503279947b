"""What is known of a collection's objects, and the jobs that find the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import streamlit as st

from odits.core.files import sha256_of
from odits.core.pool import Item
from odits.counting.tuning import Tunable, tunable_candidates, tunable_objects
from odits.data import ImageRecord
from odits.data.images import ImageError
from odits.models.segmentation.batch import ObjectsRequest, precompute
from odits.models.segmentation.candidates import stored_candidates
from odits.models.segmentation.parameters import SamParameters
from odits.models.segmentation.sam_replay import MaskCandidates
from odits.objects.codec import stored_count
from odits.objects.filters import StoredBoxes, stored_boxes
from pages._shared import jobs
from pages._shared.layout import count_of

_FRESH = 30  # seconds that a look into the store is good for


def key_of(pictures: Sequence[ImageRecord]) -> str:
    """Return what tells a collection from others: what was computed of one must not show for another."""
    return sha256_of("\0".join(picture.stamp for picture in pictures))[:12]


def offer_counts(pictures: Sequence[ImageRecord], request: ObjectsRequest, key: str) -> Mapping[str, int]:
    """Offer to find the objects of the pictures that have none stored; return the counts known so far.

    Args:
        pictures: all of the collection.
        request: what finds the objects.
        key: of the segmenter.

    Returns:
        The number of objects by the name of the picture.
    """
    found = _counts(tuple(picture.stamp for picture in pictures), key, pictures)
    _offer(pictures, request, key, set(found), f"Count objects in {count_of(len(pictures), 'image')}")
    return found


@st.cache_data(ttl=_FRESH, max_entries=8, show_spinner="Looking up what is counted …")
def _counts(pictures: tuple[str, ...], key: str, _pictures: Sequence[ImageRecord]) -> dict[str, int]:
    found = {}
    for picture in _pictures:
        with suppress(ImageError):  # the job names it
            count = stored_count(picture.source, key)
            if count is not None:
                found[picture.name] = count
    return found


def _offer(
    pictures: Sequence[ImageRecord], request: ObjectsRequest, key: str, found: Collection[str], button: str
) -> None:
    """Offer to compute what is missing of the pictures; those that can't be read are named and not asked for again."""
    name = f"{request.kind}-{key}-{key_of(pictures)}"
    unreadable: dict[str, str] = jobs.result_of(name) or {}

    def work(job: jobs.Job) -> dict[str, str]:
        done = precompute(
            [Item(one.name, one.source) for one in pictures], request, progress=job.report, must_store=False
        )
        return {pictures[index].name: done.problems[index] for index in sorted(done.problems)}

    names = [picture.name for picture in pictures]
    missing = [one for one in names if one not in found and one not in unreadable]
    note = "It goes on while you look at other pages. You can stop at any time and go on later."
    if len(missing) < len(pictures):
        button = f"Go on with the other {count_of(len(missing), 'image')}"
        note = f"{len(found):,} of {len(pictures):,} images are done; this is what they show."
    task = jobs.Task(
        key=name,
        button=button,
        title="Finding objects",
        run=work,
        note=note,
        refresh=_forget,
        primary=request.kind == "objects",
    )
    jobs.offer(task, needed=bool(missing))
    jobs.show_problems([unreadable[one] for one in names if one in unreadable])


def _forget() -> None:
    _counts.clear()
    _candidates.clear()


def offer_tunable(pictures: Sequence[ImageRecord], request: ObjectsRequest, key: str) -> Tunable | None:
    """Return the filters that can be tried over the pictures; offer what SAM's filters need first."""
    keys = tuple(picture.stamp for picture in pictures)
    if not request.has_candidates:
        return tunable_objects(_boxes(keys, key, pictures))
    parameters = request.parameters or SamParameters()
    loose = replace(request, kind="candidates")
    loose_key = loose.identity().key
    found = _candidates(keys, loose_key, pictures)
    if len(found) < len(pictures):
        st.caption("To move SAM's filters, all its masks are collected once at loose thresholds.")
    _offer(pictures, loose, loose_key, set(found), "Collect SAM's masks")
    return tunable_candidates(list(found.values()), parameters) if len(found) == len(pictures) else None


@st.cache_resource(max_entries=2, show_spinner="Reading the stored objects …")
def _boxes(keys: tuple[str, ...], key: str, _pictures: Sequence[ImageRecord]) -> list[StoredBoxes]:
    """Return the stored objects of pictures, without their masks."""
    return stored_boxes((picture.source for picture in _pictures), key)


@st.cache_resource(max_entries=1, show_spinner="Reading SAM's masks …")
def _candidates(keys: tuple[str, ...], key: str, _pictures: Sequence[ImageRecord]) -> dict[str, MaskCandidates]:
    """Return the candidates of those pictures that have them stored, by name."""
    found = {picture.name: stored_candidates(picture.source, key) for picture in _pictures}
    return {name: item for name, item in found.items() if item is not None}
