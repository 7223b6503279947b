"""Which objects make a word likely: over the picture, as a matrix, and as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.colors import sample_colorscale

from odits.figures.theme import (
    BLUE,
    VERMILION,
    data_uri,
    escape_html,
    escaped_percent,
    faded,
    hex_color,
    jpeg,
    lay_out_picture,
    note,
    styled,
)

DIVERGING = [[0.0, "#2166AC"], [0.5, "#F7F7F7"], [1.0, "#D6604D"]]
"""Blue takes away, red adds; told apart by colour-blind eyes, pale in the middle."""
SEQUENTIAL = "Cividis"
_FAINT = 0.03  # of the largest contribution: below it an object is only outlined


class Shade(NamedTuple):
    """How an object is coloured by its value: colour, opacity of the fill, and whether it is more than outlined."""

    color: str
    fill: float
    strong: bool


def value_shades(values: np.ndarray, diverging: bool) -> list[Shade]:
    """Return how objects are coloured by their values, relative to the largest of them.

    Args:
        values: (P,) contributions to a word's logit, or attention.
        diverging: whether 0 is in the middle of the scale (contributions), or at its beginning (attention).
    """
    shares = values / (float(np.abs(values).max(initial=0.0)) or 1.0)
    places = (shares + 1) / 2 if diverging else np.maximum(shares, 0)
    colors = sample_colorscale(DIVERGING if diverging else SEQUENTIAL, places.tolist(), colortype="tuple")
    strong = np.abs(shares) >= _FAINT
    fills = np.where(strong, 0.15 + 0.5 * np.abs(shares), 0)
    return [
        Shade(hex_color(color), float(fill), bool(one)) for color, fill, one in zip(colors, fills, strong, strict=True)
    ]


def scale_colors(diverging: bool) -> list[str]:
    """Return colours from the low to the high end of the scale of contributions, or of attention."""
    return sample_colors(DIVERGING if diverging else SEQUENTIAL, np.linspace(0, 1, 9))


def sample_colors(scale: object, places: np.ndarray) -> list[str]:
    """Return the colours "#RRGGBB" of a scale at places in 0..1."""
    return [hex_color(color) for color in sample_colorscale(scale, places.tolist(), colortype="tuple")]


def contributions_figure(
    image: Image.Image,
    outlines: Sequence[tuple[Sequence[float | None], Sequence[float | None]]],
    labels: Sequence[str],
    values: np.ndarray,
    title: str,
    diverging: bool = True,
    selected: int | None = None,
) -> go.Figure:
    """Draw the image with its objects coloured by a value; hovering tells it, a click selects.

    Args:
        image: RGB.
        outlines: x and y of each object in pixels, closed; None parts separate rings.
        labels: what is said of each object when it is hovered over.
        values: (P,) contributions to a word's logit, or attention.
        title: of the colour bar.
        diverging: whether 0 is in the middle of the scale (contributions), or at its beginning (attention).
        selected: an object to bring out.
    """
    figure = go.Figure()
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    scale = DIVERGING if diverging else SEQUENTIAL
    order = np.argsort(np.abs(values), kind="stable").tolist()  # the strongest lie on top
    shades = value_shades(values, diverging)
    for index in order:
        shade, fill, strong = shades[index]
        x, y = outlines[index]
        figure.add_scatter(
            x=list(x),
            y=list(y),
            mode="lines",
            fill="toself",
            fillcolor=faded(shade, fill) if strong else "rgba(0,0,0,0)",
            line={
                "color": "#FFFFFF" if index == selected else (shade if strong else "rgba(255,255,255,0.55)"),
                "width": 4 if index == selected else (2.5 if strong else 1),
            },
            hoverinfo="skip",
            showlegend=False,
        )
    for index in order:
        x, y = outlines[index]
        known = np.array([(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None], float)
        middle = (known.min(0) + known.max(0)) / 2
        figure.add_scatter(
            x=[float(middle[0])],
            y=[float(middle[1])],
            mode="markers",
            marker={"size": float(np.clip((known.max(0) - known.min(0)).min() / 3, 10, 40)), "color": "rgba(0,0,0,0)"},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            customdata=[[index]],
            hovertemplate=f"{escape_html(labels[index])}<br><b>{values[index]:+.3f}</b><extra></extra>"
            if diverging
            else f"{escape_html(labels[index])}<br><b>{escaped_percent(float(values[index]))}</b><extra></extra>",
            showlegend=False,
        )
    _add_bar(figure, scale, (-largest if diverging else 0.0, largest), title)
    lay_out_picture(figure, image)
    figure.update_layout(margin={"l": 0, "r": 0, "t": 8, "b": 64})
    if not len(values):
        note(figure, "No objects were found in this image")
    return figure


def _add_bar(figure: go.Figure, scale: object, ends: tuple[float, float], title: str) -> None:
    """Add a colour bar below the picture, hung on a trace without points."""
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={
            "color": [ends[0]],
            "cmin": ends[0],
            "cmax": ends[1],
            "colorscale": scale,
            "showscale": True,
            "colorbar": {
                "title": {"text": escape_html(title), "side": "top"},
                "orientation": "h",
                "thickness": 10,
                "len": 0.7,
                "y": -0.02,
                "yanchor": "top",
                "nticks": 5,
            },
        },
        hoverinfo="skip",
        showlegend=False,
    )


def matrix_figure(
    similarity: np.ndarray, objects: Sequence[str], words: Sequence[str], thumbnails: Sequence[Image.Image] = ()
) -> go.Figure:
    """Draw the object-text similarity matrix (thesis 3.1) as a heat map: rows are objects, columns words.

    Args:
        similarity: (P, q) in 0..1.
        objects: names of the rows.
        words: names of the columns.
        thumbnails: what each object looks like, shown before its row.
    """
    shares = [[escaped_percent(share) for share in row] for row in similarity.tolist()]
    figure = go.Figure(
        go.Heatmap(
            z=similarity,
            x=list(range(len(words))),
            y=list(range(len(objects))),
            colorscale=SEQUENTIAL,
            zmin=0,
            zmax=max(float(similarity.max(initial=0.0)), 1e-6),
            xgap=1,
            ygap=1,
            customdata=[
                [[escape_html(name), escape_html(word), share] for word, share in zip(words, row, strict=True)]
                for name, row in zip(objects, shares, strict=True)
            ],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}: <b>%{customdata[2]}</b><extra></extra>",
            colorbar={"title": {"text": "probability"}, "thickness": 12, "tickformat": ".0%"},
        )
    )
    figure.update_xaxes(
        tickmode="array", tickvals=list(range(len(words))), ticktext=[_short(word) for word in words], tickangle=-40
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(objects))),
        ticktext=[_short(name, 26) for name in objects],
        range=[max(len(objects), 1) - 0.5, -0.5],
        showgrid=False,
    )
    for row, picture in enumerate(thumbnails):
        place = {"x": -1.9, "y": row, "sizex": 1.3, "sizey": 0.9}
        figure.add_layout_image(
            source=data_uri(jpeg(picture, 120)), xref="x", yref="y", xanchor="left", yanchor="middle", **place
        )
    if thumbnails:  # a column before the words
        figure.update_xaxes(range=[-2, len(words) - 0.5])
    return styled(figure, 150 + (34 if thumbnails else 26) * max(len(objects), 1), legend=False)


def contribution_bars(labels: Sequence[str], values: np.ndarray) -> go.Figure:
    """Draw horizontal bars of contributions, in the order given, the first on top; red adds, blue takes away."""
    figure = go.Figure(
        go.Bar(
            x=values,
            y=list(range(len(labels))),
            orientation="h",
            marker={
                "color": [VERMILION if value >= 0 else BLUE for value in values],
                "pattern": {"shape": ["" if value >= 0 else "/" for value in values]},
            },
            customdata=[[escape_html(label)] for label in labels],
            hovertemplate="%{customdata[0]}: <b>%{x:+.3f}</b><extra></extra>",
        )
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(labels))),
        ticktext=[_short(label, 26) for label in labels],
        autorange="reversed",
        showgrid=False,
        fixedrange=True,
    )
    title = {"text": "change of the word's logit", "standoff": 12}
    figure.update_xaxes(title=title, automargin=True, showgrid=True, zeroline=True, fixedrange=True)
    return styled(figure, 110 + 28 * max(len(labels), 2), legend=False)


def _short(text: str, longest: int = 16) -> str:
    return escape_html(text if len(text) <= longest else text[: longest - 1] + "…")
