"""Object counts on paper: their histogram (Figs. 3.4 and 3.5 of the thesis) and their Q-Q plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from matplotlib.figure import Figure

from odits.counting.quantiles import BAND, quantiles
from odits.counting.statistics import DISTRIBUTIONS, StatisticsError, density_curve
from odits.figures.counts import histogram
from odits.figures.static import Theme, canvas, legend
from odits.figures.theme import AMBER, BLUE, GREEN, GREY, PURPLE, VERMILION

WIDTH, HEIGHT = 720, 470


def counts_figure(counts: Sequence[int], theme: Theme, density: bool = False) -> Figure:
    """Draw the histogram of object counts with its density curve, mean, median, mode and standard deviation.

    Args:
        counts: objects of each image, at least one image.
        theme: the colours.
        density: shares per object rather than numbers of images.

    Raises:
        StatisticsError: there are no counts, or one is negative or not a whole number.
    """
    summary, edges, numbers, scale, of_curve = histogram(counts, density)
    figure, (axes,) = canvas(WIDTH, HEIGHT, theme)
    if math.isfinite(summary.std) and summary.std > 0:
        low, high = summary.mean - summary.std, summary.mean + summary.std
        title = f"mean ± standard deviation {summary.std:.4g}"
        axes.axvspan(max(low, 0.0), high, color=GREY, alpha=0.14, linewidth=0, label=title)
    axes.bar(
        (edges[:-1] + edges[1:]) / 2, numbers * scale, np.diff(edges) * 0.94, color=BLUE, alpha=0.6, label="images"
    )
    with suppress(StatisticsError):  # all counts are equal: the one bar says all there is
        x, y = density_curve(summary.counts)
        axes.plot(x, y * of_curve, color=VERMILION, linewidth=2, label="density curve (KDE)")
    for title, value, color, dash in (
        ("mean", summary.mean, GREEN, "-"),
        ("median", summary.median, PURPLE, "--"),
        ("mode", float(summary.mode), AMBER, ":"),
    ):
        axes.axvline(value, color=color, linestyle=dash, linewidth=2, label=f"{title} {value:.4g}")
    axes.set_xlabel("objects in an image")
    axes.set_ylabel("density" if density else "images")
    axes.grid(axis="y", color=theme.grid, linewidth=0.8)
    legend(figure, axes, theme)
    return figure


def quantile_figure(counts: Sequence[int], distribution: str, theme: Theme) -> Figure:
    """Draw the Q-Q plot of object counts: points near the line, and within its band, speak for the distribution.

    Raises:
        StatisticsError: fewer than two different counts, or counts for which the distribution leaves no room.
    """
    found = quantiles(counts, distribution)
    figure, (axes,) = canvas(560, 430, theme)
    band = f"{BAND:.0%} of the points, if it is the right one"
    axes.fill_between(found.expected, found.low, found.high, color=GREY, alpha=0.18, linewidth=0, label=band)
    ends = [float(found.expected[0]), float(found.expected[-1])]
    axes.plot(ends, ends, color=VERMILION, linewidth=1.6, label="as expected")
    axes.plot(found.expected, found.observed, linestyle="", marker="o", color=BLUE, markersize=4, label="images")
    axes.set_xlabel(f"objects expected by the {DISTRIBUTIONS[distribution].title.split(' ', 1)[1]}")
    axes.set_ylabel("objects counted")
    axes.grid(color=theme.grid, linewidth=0.8)
    legend(figure, axes, theme, 2)
    return figure
