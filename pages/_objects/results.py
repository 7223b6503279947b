"""The objects as a table, as files for other tools, and the words of one object."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from odits.core.text import literal
from odits.data import ImageRecord, Vocabulary
from odits.data.exports import SHAPES, Files
from odits.data.predictions import Segmenter
from pages._objects import filters
from pages._shared import state
from pages._shared.bars import show_words_chart
from pages._shared.exports import export_menu
from pages._shared.layout import escape_markdown, file_stem, table_download
from pages._shared.pictures import Opened, short_name
from pages._shared.word_charts import words_menu
from pages._shared.word_models import predict, show_caption

if TYPE_CHECKING:
    import supervision as sv

    from odits.models.segmentation.naming import ObjectNames


COLUMNS = {
    "number": "Object",
    "name": "Name",
    "name_level": "Name is",
    "name_score": "Name score",
    "kind": "Kind",
    "area_percent": "Area",
    "confidence": "Confidence",
}


def table_of(detections: sv.Detections, shown: list[int], named: ObjectNames | None) -> pd.DataFrame:
    """Return the table of the objects that pass the filter, with their names where they have some."""
    from odits.objects.detections import object_table

    whole = object_table(detections, *((named.names, named.scores) if named else ()))
    if named and named.levels:
        scored = [level in ("class", "group") for level in named.levels]  # rules name a surface, not a probability
        whole["name_score"] = whole["name_score"].where(scored)
        levels = [level.removeprefix("plain ") for level in named.levels]
        whole.insert(whole.columns.get_loc("name_score"), "name_level", levels)
    return whole.iloc[shown].reset_index(drop=True)


def show_table(
    picture: ImageRecord,
    opened: Opened,
    detections: sv.Detections,
    shown: list[int],
    named: ObjectNames | None,
    segmenter: Segmenter,
    selected: int | None,
) -> None:
    """Show the objects that pass the filter; a click on a row selects one. Say what to do where none is left."""
    table = table_of(detections, shown, named)
    _headline(len(shown), len(detections), segmenter, named)
    if not shown:
        _show_nothing(len(detections))
        return
    key = f"table-{opened.digest[:12]}"
    rows = [shown.index(selected)] if selected in shown else []
    st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    columns = {name: title for name, title in COLUMNS.items() if name in table}
    view = table[list(columns)].rename(columns=columns)
    view["Kind"] = pd.Categorical(view["Kind"])

    def clicked() -> None:
        picked = st.session_state[key]["selection"]["rows"]
        state.act("object", shown[picked[0]] + 1 if picked else None)

    st.dataframe(
        view,
        hide_index=True,
        height=246,
        key=key,
        on_select=clicked,
        selection_mode="single-row",
        column_config={
            "Area": st.column_config.NumberColumn(format="%.2f %%", help="Share of the picture"),
            "Name is": st.column_config.TextColumn(
                help="One of ImageNet's classes; or a group of them, where no class is sure; or a surface, told by its "
                "colour, its roughness and its place"
            ),
            "Name score": st.column_config.NumberColumn(
                format="%.3f", help="The model's score of the name, from 0 to 1"
            ),
            "Confidence": st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1),
        },
    )
    with st.container(horizontal=True, key="object-downloads"):
        table_download(table, file_stem(f"objects-{picture.name}"), "objects")
        _exports(picture, opened, detections, shown, named, segmenter)


def _headline(count: int, of: int, segmenter: Segmenter, named: ObjectNames | None) -> None:
    number = f"{of}" if count == of else f"{count} of {of}"
    who = f"by {escape_markdown(segmenter.name)}" + (f", named by {escape_markdown(named.model)}" if named else "")
    st.markdown(f"**{number} {'object' if of == 1 else 'objects'}** :small[{who}]")


def _show_nothing(found: int) -> None:
    if found:
        st.info(
            f"None of the {found} objects passes the filter: widen size, confidence, kinds or names.",
            icon=":material/filter_alt_off:",
        )
        st.button("Show all objects", on_click=filters.clear, icon=":material/filter_alt_off:")
    else:
        st.info(
            "Nothing was found in this picture. Choose another segmenter on the left; with SAM, lower the thresholds "
            "of quality and stability.",
            icon=":material/search_off:",
        )


def _exports(
    picture: ImageRecord,
    opened: Opened,
    detections: sv.Detections,
    shown: list[int],
    named: ObjectNames | None,
    segmenter: Segmenter,
) -> None:
    """Draw buttons that save what is shown for other tools."""
    stem = file_stem(f"objects-{picture.name}")

    def exported() -> Any:
        from odits.objects.coco import ExportedImage
        from odits.objects.detections import part_of

        names = [named.names[index] for index in shown] if named else ()
        subset = part_of(detections, shown)
        return ExportedImage(short_name(picture.name), opened.image, subset, names, picture.source)

    def document() -> str:
        from odits.objects.coco import coco_document

        return json.dumps(coco_document([exported()], segmenter.name, named.model if named else ""))

    def labels() -> bytes:
        from odits.objects.coco import label_image, png

        one = exported()
        return png(label_image(one.detections, opened.image.size))

    st.download_button(
        "COCO",
        document,
        f"{stem}.json",
        "application/json",
        icon=":material/download:",
        key="objects-coco",
        on_click="ignore",
        help="The objects shown, as COCO JSON with run-length-encoded masks",
    )

    def files(format: str, shape: str, prefix: str | None) -> Files:
        from odits.objects.coco import exported_files

        # the picture's own name, not the path of the file it lies in here
        one = replace(exported(), name=picture.name, source=None)
        return exported_files([one], format, shape, prefix, segmenter.name)

    export_menu("objects", stem, files, "objects shown", SHAPES)
    st.download_button(
        "Masks",
        labels,
        f"{stem}-masks.png",
        "image/png",
        icon=":material/download:",
        key="objects-masks",
        on_click="ignore",
        help="A PNG whose pixels are the numbers of the objects shown (0: none)",
    )


def show_words(
    picture: ImageRecord,
    opened: Opened,
    detections: sv.Detections,
    index: int,
    reference: str,
    vocabulary: Vocabulary,
    title: str,
) -> None:
    """Show the crop of one object and the words that describe it best."""
    from odits.objects.detections import object_crop

    crop = object_crop(opened.image, detections, index)
    box = ",".join(f"{value:.0f}" for value in detections.xyxy[index])
    with st.spinner("Reading the object …"):
        prediction = predict(reference, crop, f"{opened.digest}:{box}", vocabulary, crop=True)
    st.subheader(escape_markdown(title), anchor=False)
    with st.container(key="fit-crop"):
        st.image(crop, alt=literal(title))
    show_caption(prediction)
    show_words_chart(prediction, picture)
    stem = file_stem(f"{title}-words-{picture.name}".lower())
    with st.container(horizontal=True, key="word-downloads"):
        words_menu("object-words", stem, prediction, picture, f"{title} in {short_name(picture.name)}")
