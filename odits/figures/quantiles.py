"""Counts against a distribution, quantile by quantile (Q-Q plot)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from odits.counting.quantiles import BAND, quantiles
from odits.counting.statistics import DISTRIBUTIONS
from odits.figures.theme import BLUE, GREY, VERMILION, faded, styled


def quantile_figure(counts: Sequence[int], distribution: str = "norm") -> go.Figure:
    """The Q-Q plot of object counts: points near the line, and within its band, speak for the distribution.

    Raises:
        StatisticsError: fewer than two different counts, or counts for which the distribution leaves no room.
    """
    found = quantiles(counts, distribution)
    title = DISTRIBUTIONS[distribution].title.split(" ", 1)[1]
    figure = go.Figure()
    figure.add_scatter(
        x=np.concatenate([found.expected, found.expected[::-1]]),
        y=np.concatenate([found.high, found.low[::-1]]),
        fill="toself",
        fillcolor=faded(GREY, 0.18),
        line={"width": 0},
        mode="lines",
        name=f"{BAND:.0%} of the points, if it is the right one",
        hoverinfo="skip",
    )
    ends = [float(found.expected[0]), float(found.expected[-1])]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="as expected", line={"color": VERMILION, "width": 2}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=found.expected,
        y=found.observed,
        mode="markers",
        name="images",
        marker={"color": BLUE, "size": 7},
        hovertemplate="%{y:.0f} objects, where %{x:.1f} are expected<extra></extra>",
    )
    figure.update_xaxes(title=f"objects expected by the {title}")
    figure.update_yaxes(title="objects counted", rangemode="tozero")
    return styled(figure, 430)
