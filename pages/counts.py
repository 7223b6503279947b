"""Object counts: how many objects the images of a collection have, and which distribution the counts follow."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from odits.counting.statistics import MIN_SIZE
from odits.data import ImageRecord
from odits.models.segmentation.batch import ObjectsRequest
from pages._counts import statistics, tuning
from pages._counts.objects import key_of, offer_counts, offer_tunable
from pages._counts.statistics import choose_distribution, show_histogram, show_summary, show_tests, show_thesis
from pages._counts.tuning import choose_filters, offer_search, show_found
from pages._shared import segmenters, serving, state
from pages._shared.datasets import choose_collection, choose_dataset, pictures_of
from pages._shared.layout import guarded, page, panes
from pages._shared.segmenters import choose_segmenter, identity_of, show_segmenter


def main() -> None:
    """Draw the page."""
    with page("Object counts", "How many objects the images have, and which distribution the counts follow."):
        with st.sidebar:
            dataset = choose_dataset()
            collection = choose_collection(dataset)
            reference, parameters = choose_segmenter()
        link = ["images", *segmenters.link_names(parameters)]
        state.publish(*link)
        pictures = pictures_of(collection, dataset)
        if not pictures:
            st.info(
                f"Add images on the left to count their objects. The tests need at least {MIN_SIZE} images.",
                icon=":material/upload:",
            )
            return
        identity = identity_of(reference, parameters)
        request = ObjectsRequest(reference, parameters)
        show_segmenter(identity.name)
        found = offer_counts(pictures, request, identity.key)
        if found:
            counted = [picture for picture in pictures if picture.name in found]
            explore(counted, [found[picture.name] for picture in counted], request, identity.key, link)


@serving.fragment
def explore(
    pictures: Sequence[ImageRecord], counts: Sequence[int], request: ObjectsRequest, key: str, link: Sequence[str]
) -> None:
    """Show what moves with the filters: numbers, histogram, and tests."""
    names = [picture.name for picture in pictures]
    searched = f"{key}-{key_of(pictures)}"
    with panes("counts") as row:
        with row.container(key="pane-filters"):
            distribution = choose_distribution()
            tunable = offer_tunable(pictures, request, key)
            filtered = list(counts)
            if tunable is not None:
                filters = choose_filters(tunable.start)
                filtered = [image.count(filters) for image in tunable.images]
                offer_search(tunable, searched, distribution, filters)
                link = [*link, *tuning.link_names(filters, tunable.start)]
        with row.container(key="pane-overlay"):
            show_summary(filtered, counts)
            show_histogram(names, filtered)
    state.publish(*link, *statistics.LINK)
    if tunable is not None:
        show_found(tunable, searched, distribution, filters)
    st.subheader("Which distribution?", anchor=False)
    show_tests(filtered, distribution)
    with st.expander("Beside the thesis's test (Table 3.3)", icon=":material/menu_book:"), guarded():
        show_thesis(filtered, request)
    with st.expander("Objects in each image"):
        table = pd.DataFrame({"image": names, "objects": filtered})
        st.dataframe(table, hide_index=True, key="counts-table", height=360)


main()
