"""The objects as a table, and as files for other tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from odits.data.predictions import Segmenter
from pages._objects import filtering
from pages._shared import state
from pages._shared.layout import file_stem, plain, table_download
from pages._shared.pictures import Opened, Picture, plain_name

if TYPE_CHECKING:
    import supervision as sv

    from odits.models.segmentation.naming import ObjectNames

COLUMNS = {
    "number": "Object",
    "name": "Name",
    "name_score": "Sure",
    "kind": "Kind",
    "area_percent": "Area",
    "confidence": "Confidence",
}


def show_table(
    picture: Picture,
    opened: Opened,
    detections: sv.Detections,
    shown: list[int],
    named: ObjectNames | None,
    segmenter: Segmenter,
    selected: int | None,
) -> None:
    """The objects that pass the filter; a click on a row selects one. Says what to do where none is left."""
    from odits.objects.detections import object_table

    whole = object_table(detections, *((named.names, named.scores) if named else ()))
    table = whole.iloc[shown].reset_index(drop=True)
    _headline(len(shown), len(detections), segmenter, named)
    if not shown:
        _say_nothing(len(detections))
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
            "Sure": st.column_config.NumberColumn(format="%.3f", help="How sure the name is, from 0 to 1"),
            "Confidence": st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1),
        },
    )
    with st.container(horizontal=True, key="object-downloads"):
        table_download(table, file_stem(f"objects-{picture.name}"), "objects")
        _exports(picture, opened, detections, shown, named, segmenter)


def _headline(count: int, of: int, segmenter: Segmenter, named: ObjectNames | None) -> None:
    number = f"{of}" if count == of else f"{count} of {of}"
    who = f"by {plain(segmenter.name)}" + (f", named by {plain(named.speaker)}" if named else "")
    st.markdown(f"**{number} {'object' if of == 1 else 'objects'}** :small[{who}]")


def _say_nothing(found: int) -> None:
    if found:
        st.info(
            f"None of the {found} objects passes the filter: widen size, confidence, kinds or names.",
            icon=":material/filter_alt_off:",
        )
        st.button("Show all objects", on_click=filtering.clear, icon=":material/filter_alt_off:")
    else:
        st.info(
            "Nothing was found in this picture. Choose another segmenter on the left, or, with SAM, lower its least "
            "quality and stability.",
            icon=":material/search_off:",
        )


def _exports(
    picture: Picture,
    opened: Opened,
    detections: sv.Detections,
    shown: list[int],
    named: ObjectNames | None,
    segmenter: Segmenter,
) -> None:
    """Buttons that save what is shown for other tools."""
    stem = file_stem(f"objects-{picture.name}")

    def exported() -> Any:
        from odits.objects.coco import ExportedImage
        from odits.objects.detections import part_of

        names = [named.names[index] for index in shown] if named else ()
        part = part_of(detections, shown)
        return ExportedImage(plain_name(picture.name), opened.image, part, names, picture.source)

    def document() -> str:
        from odits.objects.coco import coco_document

        return json.dumps(coco_document([exported()], segmenter.name, named.speaker if named else ""))

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
