"""Object counts: how many objects the images of a collection have, and which distribution the counts follow."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from odits.errors import OditsError
from odits.figures.counts import object_counts_figure
from odits.predictions import Segmenter
from odits.statistics import (
    DISTRIBUTIONS,
    MIN_SIZE,
    AndersonDarling,
    StatisticsError,
    anderson_darling,
    describe_counts,
)
from pages._shared import state
from pages._shared.layout import chart, chart_download, complain, page, plain, table_download
from pages._shared.pictures import Picture, choose_collection, dataset_or_none, pictures_of
from pages._shared.segmenters import choose_segmenter, count_objects, known_counts, link_names, load

RUNNING = "odits-counting"
TITLES = {"norm": "Normal", "expon": "Exponential", "gumbel_r": "Gumbel"}


def start() -> None:
    """Called by the button that starts counting."""
    st.session_state[RUNNING] = True


def stop() -> None:
    """Called by the button that stops counting; what was counted stays."""
    st.session_state[RUNNING] = False


def count(pictures: Sequence[Picture], segmenter: Segmenter, place: DeltaGenerator) -> None:
    """Counts the objects of every picture that was not counted yet, with progress, until done or stopped."""
    with place.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, "Looking for objects …")
        st.button("Stop", on_click=stop, icon=":material/stop_circle:", key="stop")
    problems = []
    for done, picture in enumerate(pictures):
        bar.progress(done / len(pictures), f"Image {done + 1} of {len(pictures)}: {plain(picture.name)}")
        try:
            count_objects(segmenter, picture)
        except OditsError as error:
            problems.append(str(error))
    st.session_state[RUNNING] = False
    place.empty()
    for problem in problems[:3]:
        complain(problem)
    if len(problems) > 3:
        complain(f"{len(problems) - 3} more images could not be read.")


def offer(place: DeltaGenerator, total: int, left: int) -> None:
    """The button that starts counting, or goes on with it."""
    fresh = left == total
    with place.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Count objects in {total:,} images" if fresh else f"Go on with the other {left:,} images",
            type="primary",
            on_click=start,
            icon=":material/play_circle:",
            key="start",
        )
        st.caption(
            "You can stop at any time and go on later."
            if fresh
            else f"{total - left:,} of {total:,} images are counted; this is what they show."
        )


def show_test(tests: Sequence[AndersonDarling]) -> None:
    """The verdicts in sentences, and every significance level in a table."""
    for test in tests:
        st.markdown(f"- {plain(test.sentence)}")
    rows = [
        {
            "distribution": TITLES.get(test.distribution, test.distribution),
            "statistic A²": test.statistic,
            "significance level": f"{level:g} %",
            "critical value": critical,
            "rejected": test.statistic > critical,
            "p-value": test.p_text,
        }
        for test in tests
        for level, critical in zip(test.significance_levels, test.critical_values, strict=True)
    ]
    table = pd.DataFrame(rows)
    with st.expander("Every significance level"):
        st.dataframe(table, hide_index=True, key="anderson-table", height=330)
    table_download(table, "anderson-darling", "anderson", "Tests")


def show_counts(names: Sequence[str], counts: Sequence[int]) -> None:
    """Statistics, histogram, tests and table of the counts."""
    summary = describe_counts(counts)
    with st.container(horizontal=True, key="numbers"):
        st.metric("Images", f"{len(counts):,}")
        st.metric("Mean", f"{summary.mean:.2f}")
        st.metric("Median", f"{summary.median:g}")
        st.metric("Mode", f"{summary.mode:g}")
        st.metric("Standard deviation", "none" if summary.std != summary.std else f"{summary.std:.2f}")
    scale = st.segmented_control(
        "Scale", ["frequency", "density"], default="frequency", required=True, label_visibility="collapsed", key="scale"
    )
    figure = object_counts_figure(counts, scale == "density")
    chart(figure, "counts-chart", f"Histogram of the objects in {len(counts)} images, on average {summary.mean:.1f}")
    table = pd.DataFrame({"image": list(names), "objects": list(counts)})
    with st.container(horizontal=True, key="downloads"):
        chart_download(figure, "object-counts", "counts")
        table_download(table, "object-counts", "counts", "Counts")
    st.subheader("Which distribution?", anchor=False)
    try:
        show_test([anderson_darling(counts, distribution) for distribution in DISTRIBUTIONS])
    except StatisticsError as error:
        st.info(plain(str(error)), icon=":material/info:")
    with st.expander("Objects in each image"):
        st.dataframe(table, hide_index=True, key="counts-table", height=360)


with page("Object counts", "How many objects the images have, and which distribution the counts follow."):
    with st.sidebar:
        dataset = dataset_or_none()
        collection = choose_collection(dataset)
        reference, parameters = choose_segmenter()
    state.publish("images", *link_names(parameters))
    pictures = pictures_of(collection, dataset)
    if not pictures:
        st.info(
            f"Add images on the left: their objects are counted here. The tests need at least {MIN_SIZE} of them.",
            icon=":material/upload:",
        )
    else:
        segmenter = load(reference, parameters)
        counts = known_counts()
        st.caption(f"Objects by {plain(segmenter.name)}")
        place = st.empty()
        if st.session_state.get(RUNNING):
            count(pictures, segmenter, place)
        found = {item.name: counts[segmenter.key, item.key] for item in pictures if (segmenter.key, item.key) in counts}
        if len(found) < len(pictures):
            offer(place, len(pictures), len(pictures) - len(found))
        if found:
            show_counts(list(found), list(found.values()))
