"""Reliability diagrams: whether words that are said to be there with 80 % are there in 80 % of the cases."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from odits.figures.theme import BLUE, FONT_SIZE, GREY, PALETTE, VERMILION, escape_html, faded, styled
from odits.metrics.calibration import Reliability

HEIGHT = 460
COLORS = (BLUE, VERMILION, *PALETTE[2:])
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")
_BESIDE = 0.018  # so far apart, in probability, stand the dots of one bin, lest their intervals hide one another


def reliability_figure(series: Mapping[str, Reliability]) -> go.Figure:
    """Draw the share of words that are there over the probability that is shown, and below it how many they are.

    Dots on the dashed line are as they should be; below it the model is too sure. Their lines are 95 % intervals.

    Args:
        series: of one model, by the name of what it was measured on, such as "drawn scenes".
    """
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.06)
    figure.add_scatter(
        row=1,
        col=1,
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="as it should be",
        line={"color": GREY, "dash": "dash", "width": 2},
        hoverinfo="skip",
    )
    for number, (name, found) in enumerate(series.items()):
        _add_series(figure, name, found, number, len(series))
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", showgrid=True, dtick=0.2)
    figure.update_xaxes(title="probability that is shown beside a word", row=2, col=1)
    figure.update_yaxes(
        range=[-0.03, 1.03], tickformat=".0%", dtick=0.2, title="of these words are there", row=1, col=1
    )
    figure.update_yaxes(title="words", type="log", dtick=1, row=2, col=1)
    styled(figure, HEIGHT)
    return figure.update_layout(barmode="group", bargap=0.25, margin={"t": 16, "b": 100}, font={"size": FONT_SIZE})


def _add_series(figure: go.Figure, name: str, found: Reliability, number: int, of: int) -> None:
    """Add dots with their intervals, and bars of their counts."""
    color, symbol = COLORS[number % len(COLORS)], SYMBOLS[number % len(SYMBOLS)]
    filled = np.flatnonzero(found.counts)
    low, high = found.intervals()[filled].T
    observed, predicted, counts = found.observed[filled], found.predicted[filled], found.counts[filled]
    label = f"{escape_html(name)}, calibration error {100 * found.error:.1f} %"
    figure.add_scatter(
        row=1,
        col=1,
        x=predicted + _BESIDE * (number - (of - 1) / 2),
        y=observed,
        error_y={
            "type": "data",
            "symmetric": False,
            "array": (high - observed).clip(0),
            "arrayminus": (observed - low).clip(0),
            "color": faded(color, 0.6),
            "thickness": 1.5,
            "width": 3,
        },
        mode="markers",
        name=label,
        legendgroup=name,
        cliponaxis=False,
        marker={"color": color, "symbol": symbol, "size": 10},
        customdata=np.stack([predicted, counts], 1),
        hovertemplate=f"<b>{escape_html(name)}</b><br>%{{customdata[1]:,}} words are said to be there with "
        "%{customdata[0]:.1%}<br>%{y:.1%} of them are<extra></extra>",
    )
    middles = (found.edges[:-1] + found.edges[1:]) / 2
    figure.add_bar(
        row=2,
        col=1,
        x=middles[filled],
        y=counts,
        name=label,
        legendgroup=name,
        showlegend=False,
        marker={"color": color, "pattern": {"shape": "" if number == 0 else "/"}},
        hovertemplate=f"<b>{escape_html(name)}</b><br>%{{y:,}} words<extra></extra>",
    )


def reliability_text(series: Mapping[str, Reliability]) -> str:
    """Say in a sentence what the diagram shows, for those who do not see it.

    Example:
        >>> from odits.metrics.calibration import reliability
        >>> found = reliability(np.array([0.9, 0.9, 0.1, 0.1]), np.array([True, True, False, False]))
        >>> reliability_text({"drawn scenes": found})
        'Reliability diagram. On drawn scenes: 4 words, expected calibration error 10.0 %; of those shown with about \
10 % are there 0 %, about 90 %: 100 %.'
    """
    parts = []
    for name, found in series.items():
        filled = np.flatnonzero(found.counts).tolist()
        shares = [
            f"about {100 * found.predicted[place]:.0f} %: {100 * found.observed[place]:.0f} %" for place in filled
        ]
        first = shares[0].replace(":", " are there", 1) if shares else ""
        about = f"; of those shown with {', '.join([first, *shares[1:]])}" if shares else ""
        error = f"expected calibration error {100 * found.error:.1f} %"
        parts.append(f"On {name}: {int(found.counts.sum()):,} words, {error}{about}.")
    return " ".join(["Reliability diagram.", *parts])
