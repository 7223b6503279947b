"""Evaluated checkpoints side by side: a plot a metric, a dot a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from odits.figures.panels import Panels, shortened
from odits.figures.theme import BLUE, GREY, VERMILION, escape_html

ROW_HEIGHT = 26
LONGEST_NAME, START = 26, 12
"""Characters of a name beside an axis, and of its beginning where it is longer."""


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
    labels = [_label(row) for row in rows]
    panels = Panels(shown, labels, ROW_HEIGHT)
    in_legend: set[str] = set()
    for name, place in panels.places():
        for origin in ORIGINS:
            found = [
                (label, row)
                for label, row in zip(labels, rows, strict=True)
                if row.origin is origin and _known(row.values.get(name))
            ]
            if not found:
                continue
            panels.figure.add_scatter(
                **place,
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
    panels.figure.update_xaxes(rangemode="tozero", tickformat=".3~g", tickangle=0)
    return panels.finished(legend=len(in_legend) > 1)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _label(row: Row) -> str:
    return ("★ " if row.origin is BEST else "") + escape_html(shortened(row.name, LONGEST_NAME, START))
