"""Object counts over images: their histogram with marked statistics (Figs. 3.4 and 3.5), and their Q-Q plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from odits.counting.quantiles import BAND, quantiles
from odits.counting.statistics import DISTRIBUTIONS, CountStatistics, StatisticsError, density_curve, describe_counts
from odits.figures.theme import AMBER, BLUE, GREEN, GREY, PURPLE, SMALL_SIZE, VERMILION, escaped_percent, faded, styled

ROW = 20
"""Pixels from one label's row above the plot to the next."""


class Mark(NamedTuple):
    """A statistic that is marked: what it is called, where it lies, and how its line is drawn."""

    title: str
    value: float
    color: str
    dash: str


class Label(NamedTuple):
    """Where a mark's label goes: its row above the plot, 1 the lowest, and the side of its line on which it stands."""

    mark: Mark
    row: int
    side: str


class Histogram(NamedTuple):
    """Object counts in bins.

    Attributes:
        summary: of the counts.
        edges: of the bins, float (b + 1,).
        numbers: images of each bin, int64 (b,).
        scale: of the bars, from numbers of images to what is drawn.
        of_curve: of the density curve, likewise.
    """

    summary: CountStatistics
    edges: np.ndarray
    numbers: np.ndarray
    scale: float
    of_curve: float


def object_counts_figure(counts: Sequence[int], density: bool = False) -> go.Figure:
    """Draw Fig. 3.4 (frequency) or 3.5 (density): object counts as a histogram with KDE, mean, median, mode and sd.

    Args:
        counts: objects of each image, at least one image.
        density: shares per object rather than numbers of images. The curve is scaled to what the bars show.

    Raises:
        StatisticsError: there are no counts, or one is negative or not a whole number.
    """
    summary, edges, numbers, scale, of_curve = histogram(counts, density)
    figure = go.Figure()
    _add_bars(figure, numbers, edges, scale, len(summary.counts))
    span = [edges[0], edges[-1]]
    try:
        x, y = density_curve(summary.counts)
        figure.add_scatter(
            x=x,
            y=y * of_curve,
            mode="lines",
            name="density curve (KDE)",
            line={"color": VERMILION, "width": 2.5},
            hoverinfo="skip",
        )
        span = [min(span[0], x[0]), max(span[1], x[-1])]
    except StatisticsError:
        # all counts are equal: the one bar says all there is
        span = [span[0] - 1, span[1] + 1]
    margin = 0.02 * (span[1] - span[0])
    low, high = float(span[0] - margin), float(span[1] + margin)
    _mark(figure, summary, (low, high))
    figure.update_xaxes(title="objects in an image", range=[low, high], dtick=1 if high - low <= 12 else None)
    few = not density and numbers.max() <= 5
    figure.update_yaxes(title="density" if density else "images", rangemode="tozero", dtick=1 if few else None)
    figure.update_layout(bargap=0, margin={"t": 28 + 5 * ROW})
    return styled(figure, 500)


def place_labels(marks: Sequence[Mark], low: float, high: float) -> list[Label]:
    """Place the marks' labels, each in a row of its own, so that none covers another or is crossed by another's line.

    A label stands beside its line, which goes up to the label's row and no further. Among labels that stand to the
    right of their lines the leftmost is in the highest row; among those to the left, the rightmost. Labels turn left
    where they would run out of the plot; if marks lie at both ends, all turn towards the widest gap between them.
    """
    ordered = sorted(marks, key=lambda mark: mark.value)
    places = [(mark.value - low) / max(high - low, 1e-12) for mark in ordered]
    if max(places) <= 0.7:
        turn = len(ordered)
    elif min(places) >= 0.3:
        turn = 0
    else:
        gaps = [after - before for before, after in pairwise(places)]
        turn = gaps.index(max(gaps)) + 1 if gaps else 0
    rightward, leftward = ordered[:turn], ordered[turn:]
    # rows are dealt from the top: rightward labels from the left, then leftward ones from the right
    dealt = [(mark, "right") for mark in rightward] + [(mark, "left") for mark in reversed(leftward)]
    return [Label(mark, len(dealt) - index, side) for index, (mark, side) in enumerate(dealt)]


def _add_bars(figure: go.Figure, numbers: np.ndarray, edges: np.ndarray, scale: float, total: int) -> None:
    low, high = edges[:-1] + 0.5, edges[1:] - 0.5
    spans = [f"{a:.0f}" if a == b else f"{a:.0f} to {b:.0f}" for a, b in zip(low, high, strict=True)]
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=numbers * scale,
        width=np.diff(edges) * 0.94,
        name="images",
        marker={"color": faded(BLUE, 0.6), "cornerradius": 2},
        customdata=list(zip(spans, numbers.tolist(), map(escaped_percent, numbers / total), strict=True)),
        hovertemplate="%{customdata[0]} objects: %{customdata[1]:,} images, %{customdata[2]} of all<extra></extra>",
    )


def _mark(figure: go.Figure, summary: CountStatistics, span: tuple[float, float]) -> None:
    """Add the lines of mean, median and mode with their labels, and the band of one standard deviation."""
    marks = (
        Mark("mean", summary.mean, GREEN, "solid"),
        Mark("median", summary.median, PURPLE, "dash"),
        Mark("mode", summary.mode, AMBER, "dot"),
    )
    # the solid line first: dashes and dots stay visible on it where the values are equal
    for mark, row, side in sorted(place_labels(marks, *span), key=lambda label: marks.index(label.mark)):
        line = {"color": mark.color, "width": 2.5, "dash": mark.dash}
        x = mark.value
        figure.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, yref="paper", line=line)
        # from the plot's top to the label's row, in pixels
        figure.add_shape(
            type="line", x0=x, x1=x, yref="paper", ysizemode="pixel", yanchor=1, y0=0, y1=ROW * row - 2, line=line
        )
        figure.add_annotation(
            x=x,
            y=1,
            yref="paper",
            yanchor="middle",
            yshift=ROW * row - ROW / 2,
            xanchor="left" if side == "right" else "right",
            xshift=4 if side == "right" else -4,
            text=f"{mark.title} {mark.value:.4g}",
            showarrow=False,
            font={"size": SMALL_SIZE},
        )
    if math.isfinite(summary.std) and summary.std > 0:
        _mark_deviation(figure, summary, span)


def _mark_deviation(figure: go.Figure, summary: CountStatistics, span: tuple[float, float]) -> None:
    """Add a band from mean − sd to mean + sd, cut at the plot's edge, and its bracket and label above all others."""
    low, high = max(summary.mean - summary.std, span[0]), min(summary.mean + summary.std, span[1])
    figure.add_shape(
        type="rect", x0=low, x1=high, y0=0, y1=1, yref="paper", fillcolor=faded(GREY, 0.14), line_width=0, layer="below"
    )
    bracket = {"type": "line", "yref": "paper", "ysizemode": "pixel", "yanchor": 1, "line": {"color": GREY, "width": 2}}
    height = 3 * ROW + 8
    figure.add_shape(**bracket, x0=low, x1=high, y0=height, y1=height)
    for end in (low, high):
        figure.add_shape(**bracket, x0=end, x1=end, y0=height - 5, y1=height + 5)
    middle = (low + high) / 2
    figure.add_annotation(
        x=middle,
        y=1,
        yref="paper",
        yanchor="middle",
        yshift=height + 14,
        xanchor="center",
        text=f"mean ± standard deviation {summary.std:.4g}",
        showarrow=False,
        font={"size": SMALL_SIZE},
    )


def histogram(counts: Sequence[int], density: bool) -> Histogram:
    """Count the images of each bin; the arguments and what it raises are `object_counts_figure`'s."""
    summary = describe_counts(counts)
    values = np.asarray(summary.counts)
    edges = bin_edges(values)
    numbers, _ = np.histogram(values, edges)
    area = len(values) * float(edges[1] - edges[0])
    return Histogram(summary, edges, numbers, 1 / area if density else 1.0, 1.0 if density else area)


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Return the edges of bins of equal whole width, half an object off the counts."""
    low, high = int(values.min()), int(values.max())
    spread = float(np.subtract(*np.percentile(values, (75, 25))))
    freedman_diaconis = 2 * spread / len(values) ** (1 / 3)
    sturges = (high - low) / (math.log2(len(values)) + 1)
    # the finer of the two, as NumPy's "auto" has it, but at most 40 bars, for counts with a few far from the rest
    width = max(1, round(min(freedman_diaconis, sturges)), -(-(high - low + 1) // 40))
    return np.arange(low, high + width + 1, width) - 0.5


def quantile_figure(counts: Sequence[int], distribution: str = "norm") -> go.Figure:
    """Draw the Q-Q plot of object counts: points near the line, and within its band, speak for the distribution.

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
