"""Differences to a first checkpoint as a forest plot: a dot with its interval for each, and a line at no difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from odits.figures.theme import BLUE, FONT_SIZE, GREY, SMALL_SIZE, VERMILION, escape_html, styled
from odits.metrics.paired import Change

ALPHA = 0.05
"""A corrected p-value below it counts as a difference beyond chance."""
COLUMNS = 3
LONGEST = 34
ROW_HEIGHT = 30
GAP, TOP, BOTTOM = 62, 28, 84
"""Pixels between rows of plots, above the first and below the last."""
KINDS = (
    ("better beyond chance", BLUE, "circle"),
    ("worse beyond chance", VERMILION, "diamond"),
    ("chance may explain it", GREY, "circle-open"),
)
"""Title, colour and shape of what a corrected p-value says."""


class ForestRow(NamedTuple):
    """One line of a plot.

    Attributes:
        panel: the plot it stands in: a metric.
        name: beside the axis.
        change: its difference and interval; None: the line stays empty.
        corrected: its corrected p-value.
    """

    panel: str
    name: str
    change: Change | None
    corrected: float


def kind_of(row: ForestRow) -> str:
    """Say what a corrected p-value says of a difference."""
    better, worse, chance = (title for title, _, _ in KINDS)
    if row.change is None or not row.corrected < ALPHA:
        return chance
    return better if row.change.difference > 0 else worse


def p_text(p: float) -> str:
    """Write a p-value for people: never as 0.

    Example:
        >>> p_text(0.00004), p_text(0.0312), p_text(float("nan"))
        ('< 0.001', '0.031', '–')
    """
    if p != p:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def forest_figure(rows: Sequence[ForestRow], axis: str = "difference") -> go.Figure:
    """Draw differences with their 95 % intervals, a plot for each panel and a line for each name.

    Args:
        rows: at least one; the names of a panel differ.
        axis: what the horizontal axes say.
    """
    panels = list(dict.fromkeys(row.panel for row in rows))
    names = list(dict.fromkeys(row.name for row in rows))
    columns = min(len(panels), COLUMNS)
    lines = -(-len(panels) // columns)
    figure = make_subplots(
        lines,
        columns,
        shared_yaxes=True,
        horizontal_spacing=0.05,
        vertical_spacing=GAP / (lines * (ROW_HEIGHT * len(names) + GAP) - GAP) if lines > 1 else 0,
        subplot_titles=[f"<b>{escape_html(panel)}</b>" for panel in panels],
    )
    in_legend: set[str] = set()
    for place, panel in enumerate(panels):
        line, column = place // columns + 1, place % columns + 1
        figure.add_vline(
            x=0, row=line, col=column, line={"color": GREY, "width": 1.5, "dash": "dot"}, exclude_empty_subplots=False
        )
        for title, color, symbol in KINDS:
            found = [row for row in rows if row.panel == panel and row.change is not None and kind_of(row) == title]
            if not found:
                continue
            _add_changes(figure, found, (line, column), (title, color, symbol), title not in in_legend)
            in_legend.add(title)
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[_label(name) for name in names][::-1],
        range=[-0.6, len(names) - 0.4],
        showgrid=True,
        tickfont={"size": SMALL_SIZE},
    )
    figure.update_xaxes(showgrid=True, nticks=4, tickformat="+.3~g")
    figure.update_xaxes(title=escape_html(axis), row=lines)
    height = lines * (ROW_HEIGHT * len(names) + GAP) - GAP + TOP + BOTTOM
    styled(figure, max(height, 220), legend=True)
    figure.update_annotations(font={"size": FONT_SIZE})
    return figure.update_layout(margin={"t": TOP, "b": BOTTOM, "r": 20})


def _add_changes(
    figure: go.Figure,
    found: Sequence[ForestRow],
    place: tuple[int, int],
    kind: tuple[str, str, str],
    in_legend: bool,
) -> None:
    """Add the dots of one kind to a plot, each with its interval."""
    title, color, symbol = kind
    changes = [row.change for row in found if row.change is not None]
    figure.add_scatter(
        row=place[0],
        col=place[1],
        x=[change.difference for change in changes],
        y=[_label(row.name) for row in found],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [change.high - change.difference for change in changes],
            "arrayminus": [change.difference - change.low for change in changes],
            "color": color,
            "thickness": 2,
            "width": 5,
        },
        mode="markers",
        cliponaxis=False,
        name=title,
        legendgroup=title,
        showlegend=in_legend,
        marker={"color": color, "symbol": symbol, "size": 10, "line": {"color": color, "width": 2}},
        customdata=[
            [escape_html(row.name), change.low, change.high, escape_html(p_text(row.corrected)), change.images]
            for row, change in zip(found, changes, strict=True)
        ],
        hovertemplate="<b>%{customdata[0]}</b><br>%{x:+.4f} (%{customdata[1]:+.4f} to %{customdata[2]:+.4f})"
        "<br>p %{customdata[3]} (Holm), %{customdata[4]:,} images<extra></extra>",
    )


def _label(name: str) -> str:
    return escape_html(name if len(name) <= LONGEST else f"{name[:14]}…{name[15 - LONGEST :]}")
