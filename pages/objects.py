"""Objects: what is in the picture, what it is called, and which words each object makes likely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from odits.data.predictions import Segmenter
from pages._objects import drawing, filtering, naming
from pages._objects.drawing import choose_drawing, is_pair, show_objects
from pages._objects.filtering import choose_shown
from pages._objects.listing import show_table
from pages._objects.naming import names_for, offer_names
from pages._objects.prompting import ask_for_mask
from pages._objects.wording import show_words
from pages._shared import state
from pages._shared.layout import guarded, page, panes
from pages._shared.pictures import (
    Opened,
    Picture,
    choose_collection,
    choose_picture,
    dataset_or_none,
    open_picture,
    pictures_of,
)
from pages._shared.segmenters import choose_segmenter, find_objects_shown, link_names, load
from pages._shared.vocabularies import choose_vocabulary, vocabulary_of
from pages._shared.word_models import choose_model

if TYPE_CHECKING:
    import supervision as sv

MODES = {"all": "All objects", "one": "Point at one"}


def selected_index(picture: Picture, count: int) -> int | None:
    """The object that was clicked or that the link names; none when another picture shows."""
    owner = state.get("object-of")
    if owner not in (None, picture.key):
        state.put("object", None)
    state.put("object-of", picture.key)
    asked = str(state.get("object") or "")
    return int(asked) - 1 if asked.isdecimal() and 1 <= int(asked) <= count else None


@st.fragment
def explore(
    picture: Picture,
    opened: Opened,
    detections: sv.Detections,
    segmenter: Segmenter,
    reference: str,
    kind: str,
    link: tuple[str, ...],
) -> None:
    """The part of the page that only redraws: the overlay, the table, and the words of the object clicked."""
    named = names_for(opened, segmenter, len(detections))
    names = named.names if named else ()
    choose_drawing()
    shown = choose_shown(detections, names)
    selected = selected_index(picture, len(detections))
    selected = selected if selected in shown else None
    state.publish(*link)
    if is_pair():
        with guarded():
            show_objects(picture, opened, detections, shown, names, selected)
    with panes("objects") as row:
        if not is_pair():
            with row.container(key="pane-overlay"), guarded():
                show_objects(picture, opened, detections, shown, names, selected)
        with row.container(key="pane-objects"), guarded():
            show_table(picture, opened, detections, shown, named, segmenter, selected)
            if selected is None and shown:
                st.info(
                    "Click an object, in the picture or in the table, to see its own words.",
                    icon=":material/ads_click:",
                )
        if selected is not None:
            with row.container(key="pane-words") if is_pair() else row.container(key="pane-word"), guarded():
                vocabulary = vocabulary_of(kind, dataset_or_none(), picture)
                called = f" · {names[selected]}" if names and names[selected] else ""
                title = f"Object {selected + 1}{called}"
                show_words(picture, opened, detections, selected, reference, vocabulary, title)


@st.fragment
def point(picture: Picture, opened: Opened, segmenter: Segmenter, reference: str, kind: str) -> None:
    """The part that answers a click or a box: the mask there, and its words."""
    with panes("objects") as row:
        with row.container(key="pane-overlay"), guarded():
            thing = ask_for_mask(picture, opened, segmenter)
        with row.container(key="pane-objects"), guarded():
            if thing is not None and len(thing):
                vocabulary = vocabulary_of(kind, dataset_or_none(), picture)
                show_words(picture, opened, thing, 0, reference, vocabulary, "The thing you pointed at")


with page("Objects", "What is in the picture, what it is called, and which words each object makes likely."):
    with st.sidebar:
        dataset = dataset_or_none()
        collection = choose_collection(dataset)
        segmenter_reference, parameters = choose_segmenter()
        reference = choose_model()
        kind = choose_vocabulary(dataset)
    picture = choose_picture(pictures_of(collection, dataset))
    mode = state.get("do") if state.get("do") in MODES else "all"
    mode = st.segmented_control(
        "Objects",
        list(MODES),
        format_func=MODES.__getitem__,
        required=True,
        label_visibility="collapsed",
        **state.bind("do", mode),
    )
    link = ["images", "image", *link_names(parameters), "model", "checkpoint", "vocabulary"]
    link += ["words"] if kind == "typed" else []
    link += ["do"] if mode == "one" else ["object", *drawing.LINK, *filtering.LINK, *naming.LINK]
    state.publish(*link)
    if picture is not None:
        opened = open_picture(picture)
        segmenter = load(segmenter_reference, parameters)
        if mode == "one":
            point(picture, opened, segmenter, reference, kind)
        else:
            detections = find_objects_shown(segmenter, picture, opened)
            if detections is not None:
                with guarded():
                    offer_names(opened, detections, segmenter, reference, vocabulary_of(kind, dataset, picture))
                explore(picture, opened, detections, segmenter, reference, kind, tuple(link))
