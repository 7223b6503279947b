"""Evaluated checkpoints side by side: a plot a metric, a dot a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from odits.figures.theme import BLUE, FONT_SIZE, GREY, SMALL_SIZE, VERMILION, escape_html, styled

ROW_HEIGHT = 26
LONGEST_NAME, START = 34, 14
"""Characters of a name beside an axis, and of its beginning where it is longer."""
COLUMNS = 3
GAP, TOP, BOTTOM = 62, 28, 84
"""Pixels between rows of plots, above the first and below the last: ticks, titles and the legend stand there."""


class Origin(NamedTuple):
    """How the rows of one origin are drawn: by colour and by shape."""

    title: str
    color: str
    symbol: str


MEASURED = Origin("measured here", BLUE, "circle")
BEST = Origin("best by the rule", VERMILION, "star")
WITHOUT_IMAGE = Origin("sees no image", GREY, "line-ns")
PUBLISHED = Origin("published", GREY, "diamond-open")
ORIGINS = (BEST, MEASURED, WITHOUT_IMAGE, PUBLISHED)


class Row(NamedTuple):
    """A model with its metrics by title; one that it has not is left out or None."""

    name: str
    origin: Origin
    values: dict[str, float | None]


def comparison_figure(rows: Sequence[Row], metrics: Sequence[str]) -> go.Figure:
    """Draw the dots of each metric, a model a line, the first model on top.

    Args:
        rows: the models; names should differ.
        metrics: which metrics are shown, a column each; those of which no row has a value are left out.
    """
    shown = [name for name in metrics if any(_known(row.values.get(name)) for row in rows)] or list(metrics[:1])
    columns = min(len(shown), COLUMNS)
    lines = -(-len(shown) // columns)
    figure = make_subplots(
        lines,
        columns,
        shared_yaxes=True,
        horizontal_spacing=0.05,
        vertical_spacing=GAP / (lines * (ROW_HEIGHT * len(rows) + GAP) - GAP) if lines > 1 else 0,
        subplot_titles=[f"<b>{escape_html(name)}</b>" for name in shown],
    )
    in_legend: set[str] = set()
    labels = [_label(row) for row in rows]
    for place, name in enumerate(shown):
        line, column = place // columns + 1, place % columns + 1
        for origin in ORIGINS:
            found = [
                (label, row)
                for label, row in zip(labels, rows, strict=True)
                if row.origin is origin and _known(row.values.get(name))
            ]
            if not found:
                continue
            figure.add_scatter(
                row=line,
                col=column,
                x=[row.values[name] for _, row in found],
                y=[label for label, _ in found],
                mode="markers",
                cliponaxis=False,
                name=origin.title,
                legendgroup=origin.title,
                showlegend=origin.title not in in_legend,
                marker={
                    "color": origin.color,
                    "symbol": origin.symbol,
                    "size": 13 if origin is BEST else 10,
                    "line": {"color": origin.color, "width": 2},
                },
                customdata=[escape_html(row.name) for _, row in found],
                hovertemplate=f"<b>%{{customdata}}</b><br>{escape_html(name)} %{{x:.4f}}"
                f"<br>{origin.title}<extra></extra>",
            )
            in_legend.add(origin.title)
    figure.update_yaxes(
        type="category",  # names that look like numbers or dates are names
        categoryorder="array",
        categoryarray=labels[::-1],
        range=[-0.6, len(rows) - 0.4],
        showgrid=True,
        tickfont={"size": SMALL_SIZE},
    )
    figure.update_xaxes(showgrid=True, nticks=4, rangemode="tozero", tickformat=".3~g")
    height = lines * (ROW_HEIGHT * len(rows) + GAP) - GAP + TOP + BOTTOM
    styled(figure, height, legend=len(in_legend) > 1)
    figure.update_annotations(font={"size": FONT_SIZE})
    return figure.update_layout(margin={"t": TOP, "b": BOTTOM, "r": 20})


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _label(row: Row) -> str:
    """Shorten the name beside the axis in its middle: its beginning tells the model, its end the epoch."""
    name = row.name
    short = name if len(name) <= LONGEST_NAME else f"{name[:START]}…{name[START + 1 - LONGEST_NAME :]}"
    return ("★ " if row.origin is BEST else "") + escape_html(short)
