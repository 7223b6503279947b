"""A figure's one menu: the chart as SVG, PDF, PNG and interactive web page, in both themes, and its data as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages._shared.layout import chart_download, escape_markdown, file_stem, table_download

if TYPE_CHECKING:
    from odits.figures.static import Draw

THEMES = {"light": "Light", "dark": "Dark"}
FORMATS: tuple[tuple[Literal["svg", "pdf", "png"], str], ...] = (
    ("svg", "Outlines, for papers and slides; any size"),
    ("pdf", "For papers; its fonts are embedded"),
    ("png", "Pixels, twice as many as on the screen"),
)
MIME = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}


def figure_menu(
    key: str,
    name: str,
    figure: go.Figure | Callable[[], go.Figure],
    draw: Draw,
    table: pd.DataFrame | Callable[[], pd.DataFrame],
    texts: Iterable[str] = (),
) -> None:
    """Draw the menu that saves a figure; each file is made when it is asked for.

    Args:
        key: tells this menu from others on the page.
        name: of the files.
        figure: the interactive chart, or what draws it.
        draw: draws the same on paper, in a theme.
        table: its data, or what makes it.
        texts: what is written in it that comes from outside.
    """
    with st.popover("Save", icon=":material/download:", key=f"{key}-save", help="The figure and its data"):
        chosen = st.segmented_control(
            "Colours",
            list(THEMES),
            format_func=THEMES.__getitem__,
            default="dark" if st.context.theme.type == "dark" else "light",
            required=True,
            key=f"{key}-theme",
            label_visibility="collapsed",
        )
        theme = str(chosen or "light")
        with st.container(horizontal=True, key=f"{key}-formats"):
            for form, help in FORMATS:
                st.download_button(
                    form.upper(),
                    lambda form=form: _drawn(draw, form, theme),
                    f"{file_stem(name)}.{form}",
                    MIME[form],
                    icon=":material/download:",
                    key=f"{key}-{form}",
                    on_click="ignore",
                    help=help,
                )
            chart_download(figure, name, key, "HTML")
            table_download(table, name, key, "CSV")
        missing = _missing(tuple(texts))
        if missing:
            st.caption(escape_markdown(missing))


def panels_menu(key: str, name: str, figure: go.Figure) -> None:
    """Draw the menu that saves a figure of dots, lines and bars, whose data is what it shows.

    Args:
        key: tells this menu from others on the page.
        name: of the files.
        figure: the interactive chart.
    """
    from odits.figures.static_panels import data_of, panels_figure, texts_of

    figure_menu(
        key,
        name,
        figure,
        lambda theme: panels_figure(figure, theme),
        lambda: pd.DataFrame(data_of(figure)),
        texts_of(figure),
    )


def _drawn(draw: Draw, form: Literal["svg", "pdf", "png"], theme: str) -> bytes:
    from odits.figures.static import save

    return save(draw, form, theme)


@st.cache_data(max_entries=64, show_spinner=False)
def _missing(texts: tuple[str, ...]) -> str:
    """Say which letters no font has; plain letters are in every font."""
    if all(text.isascii() for text in texts):
        return ""
    from odits.figures.static import missing_sentence

    return missing_sentence(texts)
