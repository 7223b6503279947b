"""The picture with its objects, over it or beside it; one key hides them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from odits.data import ImageRecord
from pages._shared import state
from pages._shared.keyboard import keys
from pages._shared.layout import chart, chart_download, file_stem, panes
from pages._shared.pictures import Opened, show_picture

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import supervision as sv


COLORS = {"kind": "kind", "area": "area", "confidence": "confidence"}
VIEWS = {"overlay": "Overlay", "pair": "Side by side"}
LINK = ("look",)
HIDE_KEY = "h"


def is_pair() -> bool:
    """Return whether the original is to stand beside the objects."""
    return state.get("look") == "pair"


def choose_style() -> None:
    """Ask how the objects are drawn."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="drawing"):
        state.choose_part("View", VIEWS, "look", label_visibility="visible")
        st.slider("Opacity", 0.0, 1.0, 0.45, 0.05, key="opacity", width=150)
        st.segmented_control("Colour by", list(COLORS), default="kind", required=True, key="color-by")
        st.toggle("Outlines", True, key="outline")
    keys("object-keys", {HIDE_KEY: "hide"}, lambda _: state.put("bare", not state.get("bare")))


def show_objects(
    picture: ImageRecord,
    opened: Opened,
    detections: sv.Detections,
    shown: list[int],
    names: Sequence[str],
    selected: int | None,
) -> None:
    """Show the picture under its objects, or the picture and beside it the same with its objects (Fig. 3.3)."""
    figure = _figure(opened, detections, shown, names, selected)
    if not is_pair():
        _chart(picture, opened, shown, figure)
    else:
        with panes("pair") as row:
            with row.container(key="pane-original"):
                st.caption("Original")
                show_picture(opened, picture, "original")
            with row.container(key="pane-segmented"):
                st.caption("With objects")
                _chart(picture, opened, shown, figure)
    hidden = bool(state.get("bare"))
    key = HIDE_KEY.upper()
    st.caption(
        f"The objects are hidden. Press **{key}** to show them again."
        if hidden
        else f"Press **{key}** to hide the objects."
    )
    with st.container(horizontal=True, key="overlay-downloads"):
        _picture_download(picture, opened, detections, shown)
        chart_download(figure, file_stem(f"objects-{picture.name}"), "overlay")


def _figure(
    opened: Opened, detections: sv.Detections, shown: list[int], names: Sequence[str], selected: int | None
) -> go.Figure:
    from odits.figures.objects import ObjectStyle, objects_figure

    figure = objects_figure(
        opened.image,
        detections,
        ObjectStyle(
            opacity=st.session_state.get("opacity", 0.45),
            outline=st.session_state.get("outline", True),
            color_by=st.session_state.get("color-by") or "kind",
            overlay=not state.get("bare"),
        ),
        selected=selected,
        shown=shown,
        names=names,
    )
    # fits the pane at common widths, so that little is left blank around the picture
    width, height = opened.image.size
    figure.update_layout(height=min(max(int(580 * height / width), 280), 680) + 34)
    return figure


def _chart(picture: ImageRecord, opened: Opened, shown: list[int], figure: go.Figure) -> None:
    key = f"overlay-{opened.digest[:12]}"
    chart(
        figure,
        key,
        f"{len(shown)} objects over {picture.name}",
        on_select=lambda: _clicked(key),
        selection_mode="points",
    )


def _clicked(key: str) -> None:
    """Select the object under the pointer, or none, when the picture is clicked."""
    from odits.figures.objects import selected_object

    index = selected_object(st.session_state[key]["selection"]["points"])
    state.act("object", None if index is None else index + 1)


def _picture_download(picture: ImageRecord, opened: Opened, detections: sv.Detections, shown: list[int]) -> None:
    pair, opacity = is_pair(), st.session_state.get("opacity", 0.45)

    def content() -> bytes:
        from odits.objects.coco import png
        from odits.objects.detections import overlay_image, part_of, side_by_side

        drawn = overlay_image(opened.image, part_of(detections, shown), opacity)
        return png(side_by_side(opened.image, drawn) if pair else drawn)

    st.download_button(
        "Picture",
        content,
        f"{file_stem(f'objects-{picture.name}')}.png",
        "image/png",
        icon=":material/download:",
        on_click="ignore",
        help="The original beside the picture with its objects (PNG)" if pair else "The picture with its objects (PNG)",
    )
