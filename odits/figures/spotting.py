"""Words that were read in a picture, outlined where they stand, beside the boxes that people drew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from odits.data.records import BoxedWord
from odits.figures.picture import lay_out_picture, note
from odits.figures.theme import plain
from odits.figures.words import percent
from odits.models.reading.spotter import FoundWord

FOUND, WRONG, BOXED = "#56B4E9", "#F0E442", "#D55E00"
"""Okabe and Ito's: told apart by colour-blind eyes, and on dark and bright pictures; the lines differ too."""


def read_words_figure(
    image: Image.Image,
    found: Sequence[FoundWord],
    boxed: Sequence[BoxedWord] = (),
    doubtful: Sequence[FoundWord] = (),
) -> go.Figure:
    """The image with found words outlined and labelled; hovering tells the probability and what was read.

    Args:
        found: words that were found; solid.
        boxed: words that people boxed; dashed.
        doubtful: found words that people did not box; dotted.
    """
    figure = go.Figure()
    _add_outlines(figure, [one.corners for one in found], f"found ({len(found)})", FOUND, "solid")
    if doubtful:
        _add_outlines(figure, [one.corners for one in doubtful], f"found, not boxed ({len(doubtful)})", WRONG, "dot")
    if boxed:
        corners = [np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) for x0, y0, x1, y1 in (box.box for box in boxed)]
        _add_outlines(figure, corners, f"boxed by people ({len(boxed)})", BOXED, "dash")
    for one in (*found, *doubtful):
        _add_label(figure, one)
    lay_out_picture(figure, image)
    if not found and not doubtful:
        note(figure, "None of the words was found in this picture")
    return figure


def _add_outlines(figure: go.Figure, outlines: Sequence[np.ndarray], title: str, color: str, dash: str) -> None:
    x: list[float | None] = []
    y: list[float | None] = []
    for corners in outlines:
        closed = np.vstack([corners, corners[:1]]).astype(float)
        x += [*closed[:, 0].round(1).tolist(), None]
        y += [*closed[:, 1].round(1).tolist(), None]
    line = {"color": color, "width": 3, "dash": dash}
    figure.add_scatter(x=x or [None], y=y or [None], mode="lines", line=line, name=title, hoverinfo="skip")


def _add_label(figure: go.Figure, one: FoundWord) -> None:
    """The word above its place, and an invisible point in it to hover over."""
    x0, y0, x1, _ = one.box
    figure.add_annotation(
        x=x0,
        y=y0,
        text=plain(one.word),
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        font={"size": 12, "color": "#FFFFFF"},
        bgcolor="rgba(0,0,0,0.7)",
        borderpad=2,
    )
    middle = one.corners.mean(0)
    figure.add_scatter(
        x=[float(middle[0])],
        y=[float(middle[1])],
        mode="markers",
        marker={"size": max(12.0, min(60.0, (x1 - x0) / 4)), "opacity": 0},
        showlegend=False,
        customdata=[[plain(one.word), percent(one.probability), plain(one.line.text)]],
        hovertemplate="<b>%{customdata[0]}</b>, %{customdata[1]}<br>read: %{customdata[2]}<extra></extra>",
    )
