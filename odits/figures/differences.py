"""Differences to a first checkpoint as a forest plot: a dot with its interval for each, and a line at no difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from odits.figures.evaluations import LONGEST_NAME, START
from odits.figures.panels import Panels, shortened
from odits.figures.theme import BLUE, GREY, VERMILION, escape_html
from odits.metrics.paired import Change

ALPHA = 0.05
"""A corrected p-value below it counts as a difference beyond chance."""
ROW_HEIGHT, LEAST_HEIGHT = 30, 220
"""Pixels of a line, and of a figure with few of them."""
KINDS = (
    ("better", BLUE, "circle"),
    ("worse", VERMILION, "diamond"),
    ("may be chance", GREY, "circle-open"),
)
"""Title, colour and shape of what a corrected p-value says; the titles fit in one line of a narrow window."""


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
    plots = Panels(panels, [_label(name) for name in names], ROW_HEIGHT)
    in_legend: set[str] = set()
    for panel, place in plots.places():
        plots.figure.add_vline(
            x=0, **place, line={"color": GREY, "width": 1.5, "dash": "dot"}, exclude_empty_subplots=False
        )
        for title, color, symbol in KINDS:
            found = [row for row in rows if row.panel == panel and row.change is not None and kind_of(row) == title]
            if not found:
                continue
            _add_changes(plots.figure, found, place, (title, color, symbol), title not in in_legend)
            in_legend.add(title)
    plots.figure.update_xaxes(tickformat="+.3~g", tickangle=0)
    # one title for all axes: each would run into its neighbour's in a narrow window
    plots.figure.update_xaxes(title=escape_html(axis), row=plots.lines, col=1)
    return plots.finished(legend=True, least=LEAST_HEIGHT, ticks=3)


def _add_changes(
    figure: go.Figure,
    found: Sequence[ForestRow],
    place: dict[str, int],
    kind: tuple[str, str, str],
    in_legend: bool,
) -> None:
    """Add the dots of one kind to a plot, each with its interval."""
    title, color, symbol = kind
    changes = [row.change for row in found if row.change is not None]
    figure.add_scatter(
        **place,
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
    return escape_html(shortened(name, LONGEST_NAME, START))
