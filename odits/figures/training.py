"""Training curves of several runs together: the three losses, and the machine's load (Fig. 2.5 of the thesis)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple, Protocol

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from odits.figures.theme import FONT_SIZE, PALETTE, escape_html, styled

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up")
MARKED = 60
"""A longer curve is drawn without a marker at each of its points."""
LONGEST_NAME = 44
PANEL_HEIGHT = 190


class Point(Protocol):
    """A point of a curve, such as `odits.tracking.store.Point`."""

    @property
    def step(self) -> float:
        """The epoch or step."""

    @property
    def value(self) -> float:
        """The value there."""

    @property
    def time(self) -> datetime | None:
        """When it was logged."""


Curves = Mapping[str, Sequence[Point]]
"""The metrics of one run by name, as `CheckpointStore.curves` returns them."""


class Panel(NamedTuple):
    """One plot: its title, and the names of the metrics that it shows."""

    title: str
    names: str


class Line(NamedTuple):
    """One line of a plot: the number of its run, and its points."""

    run: int
    x: list[float]
    y: list[float]


LOSSES = (
    Panel("Image loss", r"(.*[/_ ])?(loss[/_ ]image|image[/_ ]loss)"),
    Panel("Text loss", r"(.*[/_ ])?(loss[/_ ]text|text[/_ ]loss)"),
    Panel("Total loss", r"(.*[/_ ])?(loss[/_ ]total|total[/_ ]loss|loss)"),
)
"""This program's names, and those that trainings which came from elsewhere are likely to use."""

LOADS = (
    Panel("Processor (%)", r"system/cpu_utilization_percentage|monitoring/(.*/)?cpu"),
    Panel("Memory (GB)", r"system/system_memory_usage_megabytes|monitoring/(.*/)?memory"),
    Panel("GPU (%)", r"system/gpu_\d+_utilization_percentage|monitoring/(.*/)?gpu"),
    Panel("GPU memory (GB)", r"system/gpu_\d+_memory_usage_megabytes|monitoring/(.*/)?gpu_memory"),
)
"""MLflow's system metrics, which this program uses, and Neptune's."""


def losses_figure(runs: Mapping[str, Curves]) -> go.Figure | None:
    """Draw the image, text and total losses by epoch, a line a run; None where no run has any.

    Args:
        runs: the curves of each run by its name.
    """
    lines = {
        panel: [
            Line(number, [point.step for point in points], [point.value for point in points])
            for number, curves in enumerate(runs.values())
            for _, points in _chosen(panel, LOSSES, curves)
        ]
        for panel in LOSSES
    }
    return _figure(lines, list(runs), "epoch", "epoch %{x:g}: %{y:.4f}")


def load_figure(runs: Mapping[str, Curves]) -> go.Figure | None:
    """Draw processor, memory and, if any, GPU by minutes since the run's first sample; None without samples.

    Args:
        runs: the curves of each run by its name.
    """
    lines: dict[Panel, list[Line]] = {panel: [] for panel in LOADS}
    for number, curves in enumerate(runs.values()):
        found = [(panel, name, points) for panel in LOADS for name, points in _chosen(panel, LOADS, curves)]
        start = min((point.time for _, _, points in found for point in points if point.time), default=None)
        for panel, name, points in found:
            unit = 1e-3 if "megabytes" in name else 1.0  # Neptune logs gigabytes
            lines[panel].append(Line(number, _minutes(points, start), [unit * point.value for point in points]))
    figure = _figure(lines, list(runs), "minutes", "%{x:.1f} min: %{y:.3~g}")
    return figure.update_yaxes(rangemode="tozero") if figure is not None else None


def _chosen(panel: Panel, panels: Sequence[Panel], curves: Curves) -> Iterable[tuple[str, Sequence[Point]]]:
    """Yield the curves that belong into a panel and into none before it."""
    for name, points in curves.items():
        first = next((one for one in panels if re.fullmatch(one.names, name, re.IGNORECASE)), None)
        if first is panel and points:
            yield name, points


def _minutes(points: Sequence[Point], start: datetime | None) -> list[float]:
    """Return the minutes since the start, or the steps where no time was logged.

    Samples that were sent together carry the time of sending: they are spread over the time since what was sent before.
    """
    if start is None or any(point.time is None for point in points):
        return [point.step for point in points]
    sent = [(point.time - start).total_seconds() / 60 for point in points if point.time is not None]
    found: list[float] = []
    for minute, group in groupby(sent, key=lambda value: round(value, 2)):
        count, before = len(list(group)), found[-1] if found else 0.0
        found += [before + (minute - before) * (number + 1) / count for number in range(count)]
    return found


def _figure(lines: Mapping[Panel, list[Line]], names: Sequence[str], x: str, hover: str) -> go.Figure | None:
    """Draw the panels that have lines, one below the other; a run has one look and one place in the legend."""
    panels = [panel for panel, found in lines.items() if found]
    if not panels:
        return None
    titles = [f"<b>{panel.title}</b>" for panel in panels]
    figure = make_subplots(
        len(panels), 1, shared_xaxes=True, vertical_spacing=0.28 / len(panels), subplot_titles=titles
    )
    in_legend: set[int] = set()
    for row, panel in enumerate(panels, 1):
        for line in lines[panel]:
            name = names[line.run]
            short = escape_html(name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…")
            color = PALETTE[line.run % len(PALETTE)]
            few = len(line.x) <= MARKED
            figure.add_scatter(
                row=row,
                col=1,
                x=line.x,
                y=line.y,
                name=short,
                legendgroup=str(line.run),
                showlegend=line.run not in in_legend,
                mode="lines+markers" if few else "lines",
                line={"color": color, "width": 2, "dash": DASHES[line.run % len(DASHES)]},
                marker={"color": color, "size": 6, "symbol": SYMBOLS[line.run % len(SYMBOLS)]},
                hovertemplate=f"<b>{short}</b><br>{hover}<extra></extra>",
            )
            in_legend.add(line.run)
    figure.update_xaxes(title=x, row=len(panels), col=1)
    legend = 22 * len(in_legend) if len(in_legend) > 1 else 0
    styled(figure, PANEL_HEIGHT * len(panels) + 60 + legend, legend=len(in_legend) > 1)
    figure.update_layout(margin={"t": 30, "b": 44 + legend})
    # the titles stand at the left, where a panel is read first
    figure.update_annotations(font={"size": FONT_SIZE}, x=0, xanchor="left")
    return figure
