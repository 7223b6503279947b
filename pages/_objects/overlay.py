"""The picture with its objects, over it or beside it; one key hides them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from odits.data import ImageRecord
from odits.figures.drawing import Drawing, Look
from pages._shared import serving, state
from pages._shared.canvas import set_look, show_canvas
from pages._shared.figures import figure_menu
from pages._shared.keyboard import keys
from pages._shared.layout import file_stem, panes
from pages._shared.pictures import Opened, short_name, show_picture

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import supervision as sv
    from matplotlib.figure import Figure

    from odits.figures.objects import ColorBy
    from odits.figures.static import Theme


COLORS = {"kind": "kind", "area": "area", "confidence": "confidence"}
VIEWS = {"overlay": "Overlay", "pair": "Side by side"}
LINK = ("look",)
HIDE_KEY = "h"
HIGHEST = 580
"""Pixels of the picture's height at most."""
_DRAWN = "odits-objects-look"


class Scene(NamedTuple):
    """What is drawn.

    Attributes:
        picture: the picture.
        opened: the same, decoded.
        detections: its objects.
        segmenter: the key of what found them.
        shown: indices of those that pass the filter.
        names: what each is called, or none.
        selected: the one whose words are shown.
    """

    picture: ImageRecord
    opened: Opened
    detections: sv.Detections
    segmenter: str
    shown: list[int]
    names: Sequence[str]
    selected: int | None


def is_pair() -> bool:
    """Return whether the original is to stand beside the objects."""
    return state.get("look") == "pair"


def choose_style() -> None:
    """Ask how the objects are drawn."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="drawing"):
        state.choose_part("View", VIEWS, "look", label_visibility="visible")
        st.segmented_control("Colour by", list(COLORS), default="kind", required=True, key="color-by")
        _choose_look()


@serving.fragment
def _choose_look() -> None:
    """Ask how strongly they are drawn: of all that shows, only a rule of style changes with it."""
    keys("object-keys", {HIDE_KEY: "hide"}, lambda _: state.put("bare", not state.get("bare")))
    hidden, drawn = bool(state.get("bare")), _drawn_look()
    with st.container(horizontal=True, vertical_alignment="bottom", key="look"):
        opacity = st.slider("Opacity", 0.0, 1.0, 0.45, 0.05, key="opacity", width=150)
        outline = st.toggle("Outlines", True, key="outline")
        drawn[0] = Look(opacity, outline, not hidden)
        set_look(drawn[0])
        key = HIDE_KEY.upper()
        st.caption(
            f"The objects are hidden. Press **{key}** to show them again."
            if hidden
            else f"Press **{key}** to hide the objects.",
            width="content",
        )


def _drawn_look() -> list[Look]:
    """Hold how strongly objects are drawn now, for files that are made later, outside the session."""
    drawn: list[Look] = st.session_state.setdefault(_DRAWN, [Look(0.45)])
    return drawn


def show_objects(scene: Scene, table: Callable[[], pd.DataFrame]) -> None:
    """Show the picture under its objects, or the picture and beside it the same with its objects (Fig. 3.3).

    Args:
        scene: what is drawn.
        table: makes the table of the objects shown.
    """
    drawing = _drawing(scene)
    if not is_pair():
        _draw(scene, drawing)
    else:
        with panes("pair") as row:
            with row.container(key="pane-original"):
                st.caption("Original")
                show_picture(scene.opened, scene.picture, "original")
            with row.container(key="pane-segmented"):
                st.caption("With objects")
                _draw(scene, drawing)
    with st.container(horizontal=True, key="overlay-downloads"):
        _picture_download(scene)
        _figure_menu(scene, drawing, table)


def _drawing(scene: Scene) -> Drawing:
    from odits.figures.object_drawings import objects_drawing

    paths = _paths(scene.opened.digest, scene.segmenter, scene.detections)
    return objects_drawing(
        scene.detections, paths, _color_by(), shown=scene.shown, names=scene.names, selected=scene.selected
    )


def _draw(scene: Scene, drawing: Drawing) -> None:
    show_canvas(
        f"overlay-{scene.opened.digest[:12]}",
        scene.opened,
        drawing,
        f"{len(scene.shown)} objects over {scene.picture.name}",
        HIGHEST,
        lambda index: state.act("object", None if index < 0 else index + 1),
    )


def _color_by() -> ColorBy:
    chosen: ColorBy = st.session_state.get("color-by") or "kind"
    return chosen


@st.cache_resource(max_entries=64, show_spinner=False)
def _paths(digest: str, segmenter: str, _detections: sv.Detections) -> list[str]:
    """Return the outline of each object, traced once for a picture and a segmenter."""
    from odits.figures.object_drawings import object_paths

    return object_paths(_detections)


def _figure_menu(scene: Scene, drawing: Drawing, table: Callable[[], pd.DataFrame]) -> None:
    """Draw the menu that saves what is shown; files are made at the click, without a session."""
    drawn, pair, color_by = _drawn_look(), is_pair(), _color_by()
    name = short_name(scene.picture.name)

    def interactive() -> go.Figure:
        from odits.figures.objects import ObjectStyle, objects_figure

        look = drawn[0]
        return objects_figure(
            scene.opened.image,
            scene.detections,
            ObjectStyle(look.opacity, look.outlines, color_by, look.shown),
            selected=scene.selected,
            shown=scene.shown,
            names=scene.names,
        )

    def paper(theme: Theme) -> Figure:
        from odits.figures.static_pictures import picture_figure

        return picture_figure(scene.opened.image, drawing, theme, drawn[0], name, beside=pair)

    stem = file_stem(f"objects-{scene.picture.name}")
    figure_menu("overlay", stem, interactive, paper, table, [name, *drawing.texts()])


def _picture_download(scene: Scene) -> None:
    pair, drawn = is_pair(), _drawn_look()

    def content() -> bytes:
        from odits.objects.coco import png
        from odits.objects.detections import overlay_image, part_of, side_by_side

        over = overlay_image(scene.opened.image, part_of(scene.detections, scene.shown), drawn[0].opacity)
        return png(side_by_side(scene.opened.image, over) if pair else over)

    st.download_button(
        "Picture",
        content,
        f"{file_stem(f'objects-{scene.picture.name}')}.png",
        "image/png",
        icon=":material/download:",
        on_click="ignore",
        help="The original beside the picture with its objects (PNG)" if pair else "The picture with its objects (PNG)",
    )
