"""Objects: what is in the picture, what it is called, and which words each object makes likely."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from odits.data import ImageRecord
from odits.data.predictions import Segmenter
from odits.models.registry import EMBEDDED
from pages._objects import filters, names, overlay
from pages._objects.filters import choose_shown
from pages._objects.names import names_for, offer_names
from pages._objects.overlay import Scene, choose_style, is_pair, show_objects
from pages._objects.prompts import ask_for_mask
from pages._objects.results import show_table, show_words, table_of
from pages._shared import serving, state
from pages._shared.datasets import choose_collection, choose_dataset, current_dataset, pictures_of
from pages._shared.layout import guarded, page, panes
from pages._shared.pictures import Opened, choose_picture, open_picture
from pages._shared.segmenters import choose_segmenter, link_names, load, offer_objects
from pages._shared.vocabularies import choose_vocabulary, vocabulary_of
from pages._shared.word_models import choose_model

if TYPE_CHECKING:
    import pandas as pd
    import supervision as sv

MODES = {"all": "All objects", "one": "Point at one"}


class Asked(NamedTuple):
    """What the sidebar says of the words of an object: the model's reference and the kind of vocabulary."""

    reference: str
    vocabulary: str


def main() -> None:
    """Draw the page."""
    with page("Objects", "What is in the picture, what it is called, and which words each object makes likely."):
        with st.sidebar:
            dataset = choose_dataset()
            collection = choose_collection(dataset)
            segmenter_reference, parameters = choose_segmenter()
            asked = Asked(choose_model("crop-model", EMBEDDED), choose_vocabulary(dataset))
        picture = choose_picture(pictures_of(collection, dataset))
        mode = state.choose_part("Objects", MODES, "do")
        link = ["images", "image", *link_names(parameters), "crop-model", "vocabulary"]
        link += ["words"] if asked.vocabulary == "typed" else []
        link += ["do"] if mode == "one" else ["object", *overlay.LINK, *filters.LINK, *names.LINK]
        state.publish(*link)
        if picture is None:
            return
        opened = open_picture(picture)
        segmenter = load(segmenter_reference, parameters)
        if mode == "one":
            point(picture, opened, segmenter, asked)
            return
        detections = offer_objects(segmenter, picture, opened)
        if detections is not None:
            with guarded():
                vocabulary = vocabulary_of(asked.vocabulary, dataset, picture)
                offer_names(opened, detections, segmenter, asked.reference, vocabulary)
            explore(picture, opened, detections, segmenter, asked, tuple(link))


@serving.fragment
def explore(
    picture: ImageRecord,
    opened: Opened,
    detections: sv.Detections,
    segmenter: Segmenter,
    asked: Asked,
    link: tuple[str, ...],
) -> None:
    """Show what only redraws: the overlay, the table, and the words of the object clicked."""
    named = names_for(opened, segmenter, detections)
    called = named.names if named else ()
    choose_style()
    shown = choose_shown(detections, called)
    selected = selected_index(picture, len(detections))
    selected = selected if selected in shown else None
    state.publish(*link)
    scene = Scene(picture, opened, detections, segmenter.key, shown, called, selected)

    def table() -> pd.DataFrame:
        return table_of(detections, shown, named)

    if is_pair():
        with guarded():
            show_objects(scene, table)
    with panes("objects") as row:
        if not is_pair():
            with row.container(key="pane-overlay"), guarded():
                show_objects(scene, table)
        with row.container(key="pane-objects"), guarded():
            show_table(picture, opened, detections, shown, named, segmenter, selected)
            if selected is None and shown:
                st.info(
                    "Click an object, in the picture or in the table, to see its own words.",
                    icon=":material/ads_click:",
                )
        if selected is not None:
            with row.container(key="pane-words") if is_pair() else row.container(key="pane-word"), guarded():
                vocabulary = vocabulary_of(asked.vocabulary, current_dataset(), picture)
                name = f" · {called[selected]}" if called and called[selected] else ""
                title = f"Object {selected + 1}{name}"
                show_words(picture, opened, detections, selected, asked.reference, vocabulary, title)


def selected_index(picture: ImageRecord, count: int) -> int | None:
    """Return the object that was clicked or that the link names; None when another picture shows."""
    owner = state.get("object-of")
    if owner not in (None, picture.stamp):
        state.put("object", None)
    state.put("object-of", picture.stamp)
    number = str(state.get("object") or "")
    return int(number) - 1 if number.isdecimal() and 1 <= int(number) <= count else None


@serving.fragment
def point(picture: ImageRecord, opened: Opened, segmenter: Segmenter, asked: Asked) -> None:
    """Answer a click or a box: the mask there, and its words."""
    with panes("objects") as row:
        with row.container(key="pane-overlay"), guarded():
            found = ask_for_mask(picture, opened, segmenter)
        with row.container(key="pane-objects"), guarded():
            if found is not None and len(found):
                vocabulary = vocabulary_of(asked.vocabulary, current_dataset(), picture)
                show_words(picture, opened, found, 0, asked.reference, vocabulary, "The object you pointed at")


main()
