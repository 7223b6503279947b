"""Objects: what is in the picture, and which words each object makes likely."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from odits.data import Vocabulary
from odits.figures.words import top_words_figure
from odits.predictions import Segmenter
from pages._shared import state
from pages._shared.layout import chart, chart_download, file_stem, guarded, page, panes, plain, table_download
from pages._shared.pictures import (
    Opened,
    Picture,
    choose_collection,
    choose_picture,
    dataset_or_none,
    open_picture,
    pictures_of,
)
from pages._shared.segmenters import choose_segmenter, find_objects, link_names, load
from pages._shared.vocabularies import choose_vocabulary, vocabulary_of
from pages._shared.word_models import choose_model, predict, say_who

if TYPE_CHECKING:
    import supervision as sv

TOP = 10
COLORS = {"kind": "kind", "area": "area", "confidence": "confidence"}
COLUMNS = {"number": "Object", "kind": "Kind", "area_percent": "Area", "confidence": "Confidence"}


def clicked_picture(key: str) -> None:
    """Called when the picture is clicked: keeps the object under the pointer, or none."""
    from odits.figures.objects import selected_object

    index = selected_object(st.session_state[key]["selection"]["points"])
    state.act("object", None if index is None else index + 1)


def clicked_table(key: str) -> None:
    """Called when a row of the table is clicked."""
    rows = st.session_state[key]["selection"]["rows"]
    state.act("object", rows[0] + 1 if rows else None)


def selected_index(picture: Picture, count: int) -> int | None:
    """The object that was clicked or that the link names; none when another picture shows."""
    owner = state.get("object-of")
    if owner not in (None, picture.key):
        state.put("object", None)
    state.put("object-of", picture.key)
    asked = str(state.get("object") or "")
    return int(asked) - 1 if asked.isdecimal() and 1 <= int(asked) <= count else None


def show_overlay(picture: Picture, opened: Opened, detections: sv.Detections, selected: int | None) -> None:
    """The picture under its objects, and how they are drawn."""
    from odits.figures.objects import objects_figure
    from odits.objects import overlay_image

    with st.container(horizontal=True, vertical_alignment="bottom", key="drawing"):
        opacity = st.slider("Opacity", 0.0, 1.0, 0.45, 0.05, key="opacity", width=150)
        color_by = st.segmented_control("Colour by", list(COLORS), default="kind", required=True, key="color-by")
        outline = st.toggle("Outlines", True, key="outline")
    figure = objects_figure(
        opened.image, detections, opacity=opacity, outline=outline, color_by=color_by or "kind", selected=selected
    )
    # fits the pane at common widths, so that little is left blank around the picture
    width, height = opened.image.size
    figure.update_layout(height=min(max(int(580 * height / width), 280), 680) + 34)
    figure.update_xaxes(constraintoward="left")
    figure.update_yaxes(constraintoward="top")
    key = f"overlay-{opened.digest[:12]}"
    chart(
        figure,
        key,
        f"{len(detections)} objects over {plain(picture.name)}",
        on_select=lambda: clicked_picture(key),
        selection_mode="points",
    )
    stem = file_stem(f"objects-{picture.name}")

    def png() -> bytes:
        buffer = io.BytesIO()
        overlay_image(opened.image, detections, opacity).save(buffer, "PNG")
        return buffer.getvalue()

    with st.container(horizontal=True, key="overlay-downloads"):
        st.download_button(
            "Picture",
            png,
            f"{stem}.png",
            "image/png",
            icon=":material/download:",
            on_click="ignore",
            help="The picture with its objects (PNG)",
        )
        chart_download(figure, stem, "overlay")


def show_table(
    picture: Picture, opened: Opened, detections: sv.Detections, segmenter: Segmenter, selected: int | None
) -> None:
    """The objects as a table; a click on a row selects one."""
    from odits.objects import object_table

    table = object_table(detections)
    key = f"table-{opened.digest[:12]}"
    st.session_state[key] = {"selection": {"rows": [] if selected is None else [selected], "columns": [], "cells": []}}
    st.markdown(f"**{len(table)} {'object' if len(table) == 1 else 'objects'}** :small[by {plain(segmenter.name)}]")
    shown = table[list(COLUMNS)].rename(columns=COLUMNS)
    shown["Kind"] = pd.Categorical(shown["Kind"])
    st.dataframe(
        shown,
        hide_index=True,
        height=246,
        key=key,
        on_select=lambda: clicked_table(key),
        selection_mode="single-row",
        column_config={
            "Area": st.column_config.NumberColumn(format="%.2f %%", help="Share of the picture"),
            "Confidence": st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1),
        },
    )
    table_download(table, file_stem(f"objects-{picture.name}"), "objects")


def show_words(
    picture: Picture, opened: Opened, detections: sv.Detections, index: int, reference: str, vocabulary: Vocabulary
) -> None:
    """The crop of one object and the words that describe it best."""
    from odits.objects import kinds_of, object_crop

    crop = object_crop(opened.image, detections, index)
    box = ",".join(f"{value:.0f}" for value in detections.xyxy[index])
    is_line = kinds_of(detections)[index] == "text"
    with st.spinner("Reading the object …"):
        prediction = predict(reference, crop, f"{opened.digest}:{box}", vocabulary, crop=is_line)
    st.subheader(f"Object {index + 1}", anchor=False)
    with st.container(key="fit-crop"):
        st.image(crop, alt=f"Object {index + 1}")
    say_who(prediction)
    top = prediction.top(TOP)
    figure = top_words_figure(top, picture.lexicon, picture.visible)
    chart(figure, "object-words", "The most probable words: " + ", ".join(item.word for item in top))
    stem = file_stem(f"object-{index + 1}-words-{picture.name}")
    with st.container(horizontal=True, key="word-downloads"):
        chart_download(figure, stem, "object-words")
        words = pd.DataFrame({"word": [item.word for item in top], "probability": [item.probability for item in top]})
        table_download(words, stem, "object-words")


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
    selected = selected_index(picture, len(detections))
    state.publish(*link, "object")
    with panes("objects") as row:
        with row.container(key="pane-overlay"), guarded():
            show_overlay(picture, opened, detections, selected)
        with row.container(key="pane-objects"), guarded():
            show_table(picture, opened, detections, segmenter, selected)
            if selected is not None:
                show_words(
                    picture, opened, detections, selected, reference, vocabulary_of(kind, dataset_or_none(), picture)
                )
            elif len(detections):
                st.info(
                    "Click an object, in the picture or in the table, to see its own words.",
                    icon=":material/ads_click:",
                )


with page("Objects", "What is in the picture, and which words each object makes likely."):
    with st.sidebar:
        dataset = dataset_or_none()
        collection = choose_collection(dataset)
        segmenter_reference, parameters = choose_segmenter()
        reference = choose_model()
        kind = choose_vocabulary(dataset)
    picture = choose_picture(pictures_of(collection, dataset))
    link: list[Any] = ["images", "image", *link_names(parameters), "model", "checkpoint", "vocabulary"]
    link += ["words"] if kind == "typed" else []
    state.publish(*link, "object")
    if picture is not None:
        opened = open_picture(picture)
        segmenter = load(segmenter_reference, parameters)
        with st.spinner("Looking for objects …", show_time=True):
            detections = find_objects(segmenter, picture, opened)
        explore(picture, opened, detections, segmenter, reference, kind, tuple(link))
