"""Object counts: how many objects the images of a collection have, and which distribution the counts follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from odits.counting.statistics import MIN_SIZE
from odits.counting.tuning import Tunable, tunable_candidates, tunable_objects
from odits.models.segmentation.candidates import stored_candidates
from odits.models.segmentation.parameters import EXACT, SamParameters
from odits.models.segmentation.precompute import Wanted
from odits.models.segmentation.sam_replay import KeptCandidates
from odits.objects.filters import StoredBoxes, stored_boxes
from pages._counts.counting import counts_of, offer
from pages._counts.statistics import LINK, choose_distribution, show_histogram, show_summary, show_tests
from pages._counts.tuning import choose_filters, link_names, offer_search, show_found
from pages._shared import segmenters, state
from pages._shared.layout import page, panes
from pages._shared.pictures import Picture, choose_collection, dataset_or_none, pictures_of
from pages._shared.segmenters import choose_segmenter, identity_of, say_segmenter


@st.cache_resource(max_entries=2, show_spinner="Reading what was found …")
def boxes_of(keys: tuple[str, ...], key: str, _pictures: Sequence[Picture]) -> list[StoredBoxes]:
    """The stored objects of pictures, without their masks."""
    return stored_boxes((picture.source for picture in _pictures), key)


@st.cache_resource(max_entries=1, show_spinner="Reading SAM's masks …")
def candidates_of(keys: tuple[str, ...], key: str, _pictures: Sequence[Picture]) -> list[KeptCandidates]:
    """The candidates of those pictures that have them already."""
    found = (stored_candidates(picture.source, key) for picture in _pictures)
    return [item for item in found if item is not None]


def tunable_of(pictures: Sequence[Picture], wanted: Wanted, key: str) -> Tunable | None:
    """The filters that can be tried over the pictures; for SAM, what is still needed for that is offered."""
    keys = tuple(picture.key for picture in pictures)
    if wanted.reference == "embedded":
        return tunable_objects(boxes_of(keys, key, pictures))
    parameters = wanted.parameters or SamParameters()
    if parameters.mode != EXACT:
        st.caption("Filters can be moved over exact masks only.")
        return None
    loose = replace(wanted, kind="candidates")
    loose_key = loose.identity().key
    found = candidates_of(keys, loose_key, pictures)
    if len(found) < len(pictures):
        st.caption("To move SAM's filters, all its masks are collected once at loose thresholds.")
        if offer(pictures, loose, loose_key, len(pictures) - len(found), "Collect SAM's masks", "collected"):
            candidates_of.clear()
            st.rerun()
        return None
    return tunable_candidates(found, parameters)


@st.fragment
def explore(pictures: Sequence[Picture], counts: Sequence[int], wanted: Wanted, key: str, link: Sequence[str]) -> None:
    """The part that moves with the filters: numbers, histogram, and tests."""
    names = [picture.name for picture in pictures]
    with panes("counts") as row:
        with row.container(key="pane-filters"):
            distribution = choose_distribution()
            tunable = tunable_of(pictures, wanted, key)
            moved = list(counts)
            if tunable is not None:
                filters = choose_filters(tunable.start)
                moved = [image.count(filters) for image in tunable.images]
                offer_search(tunable, key, distribution, filters)
                link = [*link, *link_names(filters, tunable.start)]
        with row.container(key="pane-overlay"):
            show_summary(moved, counts)
            show_histogram(names, moved)
    state.publish(*link, *LINK)
    if tunable is not None:
        show_found(tunable, key, distribution, filters)
    st.subheader("Which distribution?", anchor=False)
    show_tests(moved, distribution)
    with st.expander("Objects in each image"):
        table = pd.DataFrame({"image": names, "objects": moved})
        st.dataframe(table, hide_index=True, key="counts-table", height=360)


with page("Object counts", "How many objects the images have, and which distribution the counts follow."):
    with st.sidebar:
        dataset = dataset_or_none()
        collection = choose_collection(dataset)
        reference, parameters = choose_segmenter()
    link = ["images", *segmenters.link_names(parameters)]
    state.publish(*link)
    pictures = pictures_of(collection, dataset)
    if not pictures:
        st.info(
            f"Add images on the left: their objects are counted here. The tests need at least {MIN_SIZE} of them.",
            icon=":material/upload:",
        )
    else:
        identity = identity_of(reference, parameters)
        wanted = Wanted(reference, parameters)
        say_segmenter(identity.name)
        found = counts_of(pictures, identity.key)
        left = len(pictures) - len(found)
        if offer(pictures, wanted, identity.key, left, f"Count objects in {len(pictures):,} images", "counted"):
            found = counts_of(pictures, identity.key)
        if found:
            counted = [picture for picture in pictures if picture.name in found]
            explore(counted, [found[picture.name] for picture in counted], wanted, identity.key, link)
