"""Models beside each other by their metrics, and their differences with intervals, on paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from odits.figures.differences import KINDS, ForestRow, kind_of
from odits.figures.evaluations import ORIGINS, Row
from odits.figures.panels import shortened
from odits.figures.static import Theme, canvas, legend, literal_label

ROW, COLUMN, COLUMNS = 26, 250, 3
"""Pixels of a line and of a plot; plots in a row."""
_MARKERS = {"circle": "o", "circle-open": "o", "diamond": "D", "diamond-open": "D", "star": "*", "line-ns": "|"}
_NAMES = 210


def comparison_figure(rows: Sequence[Row], metrics: Sequence[str], theme: Theme) -> Figure:
    """Draw the dots of each metric, a model a line, the first model on top.

    Args:
        rows: the models.
        metrics: those of which no row has a value are left out.
        theme: the colours.
    """
    shown = [name for name in metrics if any(row.values.get(name) is not None for row in rows)] or list(metrics[:1])

    def draw(axes: Axes, name: str) -> None:
        for place, row in enumerate(rows):
            value = row.values.get(name)
            if value is not None:
                origin = row.origin
                hollow = origin.symbol.endswith("open")
                axes.plot(
                    value,
                    place,
                    linestyle="",
                    marker=_MARKERS[origin.symbol],
                    markersize=9,
                    markerfacecolor=theme.paper if hollow else origin.color,
                    color=origin.color,
                    markeredgewidth=1.5,
                    label=origin.title if sum(row.origin is one for one in ORIGINS) else None,
                )

    return _panels([row.name for row in rows], shown, theme, draw)


def forest_figure(rows: Sequence[ForestRow], theme: Theme, axis: str = "difference") -> Figure:
    """Draw differences with their 95 % intervals, a plot for each panel and a line for each name.

    Args:
        rows: at least one.
        theme: the colours.
        axis: what the horizontal axes say.
    """
    panels = list(dict.fromkeys(row.panel for row in rows))
    names = list(dict.fromkeys(row.name for row in rows))
    kinds = {title: (color, symbol) for title, color, symbol in KINDS}

    def draw(axes: Axes, panel: str) -> None:
        axes.axvline(0, color=theme.ink, linewidth=1, linestyle=":")
        for row in rows:
            if row.panel != panel or row.change is None:
                continue
            title = kind_of(row)
            color, symbol = kinds[title]
            change = row.change
            axes.errorbar(
                change.difference,
                names.index(row.name),
                xerr=[[change.difference - change.low], [change.high - change.difference]],
                fmt=_MARKERS[symbol],
                color=color,
                markerfacecolor=theme.paper if symbol.endswith("open") else color,
                capsize=3,
                markersize=7,
                label=title,
            )

    return _panels(names, panels, theme, draw, axis)


def _panels(
    names: Sequence[str], panels: Sequence[str], theme: Theme, draw: Callable[[Axes, str], None], axis: str = ""
) -> Figure:
    """Draw plots with the same names beside them, `COLUMNS` in a row, the axis below the last, and one legend."""
    columns = min(len(panels), COLUMNS)
    lines = -(-len(panels) // columns)
    height = lines * (ROW * len(names) + 80) + 40
    figure, plots = canvas(_NAMES + COLUMN * columns, height, theme, columns, lines)
    for place, axes in enumerate(plots):
        if place >= len(panels):
            axes.set_visible(False)
            continue
        draw(axes, panels[place])
        axes.set_title(literal_label(panels[place]), fontsize=11, fontweight="bold", color=theme.ink)
        if place >= len(panels) - columns:
            axes.set_xlabel(literal_label(axis))
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_yticks(range(len(names)), [literal_label(shortened(name, 30, 12)) for name in names])
        axes.tick_params(axis="y", labelleft=place % columns == 0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(color=theme.grid, linewidth=0.8)
    _legend_of_all(figure, plots, theme)
    return figure


def _legend_of_all(figure: Figure, plots: Sequence[Axes], theme: Theme) -> None:
    """Write one legend for all plots: each entry once, whichever plot has it."""
    first = plots[0]
    known = set(first.get_legend_handles_labels()[1])
    for axes in plots[1:]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in known:
                known.add(label)
                first.plot([], [], linestyle="", marker="o", color=_color_of(handle), label=label)
    if len(known) > 1:
        legend(figure, first, theme, 4)


def _color_of(handle: object) -> object:
    line = handle[0] if isinstance(handle, tuple) else handle
    return line.get_color() if hasattr(line, "get_color") else "grey"
