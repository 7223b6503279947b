"""Plots of dots, lines and bars in panels, on paper: drawn from the interactive figure's own data, axes and names."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, MultipleLocator, NullLocator

from odits.core.errors import OditsError
from odits.figures.static import DPI, Theme, dress, literal_label

WIDTH, WIDE = 760, 1020
"""Pixels of a figure, and of one with names of bars between its panels."""
LEFT, RIGHT, TOP, BOTTOM = 84, 24, 36, 60
"""Pixels around the panels, without the legend."""
_LETTER, _LINE, _TICK = 7, 22, 66
"""Pixels of a letter, of a line of the legend, and from one tick of a horizontal axis to the next."""
_DASHES = {"dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3)), "longdashdot": (0, (8, 3, 1, 3))}
_MARKERS = {"square": "s", "diamond": "D", "cross": "P", "x": "X", "triangle-up": "^", "star": "*"}


def panels_figure(figure: go.Figure, theme: Theme) -> Figure:
    """Draw an interactive figure of dots, lines and bars on paper, panel by panel.

    Args:
        figure: with traces of the kinds scatter and bar, in any number of panels.
        theme: the colours.

    Raises:
        OditsError: it has traces of another kind.
    """
    places = _panels(figure)
    names = list(dict.fromkeys(_name(trace) for trace in figure.data if _in_legend(figure, trace)))
    labels = [_plain(text) for axis in figure.select_yaxes() for text in axis.ticktext or ()]
    width = WIDE if labels and len(places) > 2 else WIDTH
    left = max(LEFT, 40 + _LETTER * max(map(len, labels), default=0))
    columns = max(1, min(len(names), 4, width // (60 + _LETTER * max(map(len, names), default=1))))
    below = BOTTOM + (_LINE * -(-len(names) // columns) if len(names) > 1 else 0)
    height = max(int(figure.layout.height or 400), TOP + below + 120)
    drawn = Figure((width / DPI, height / DPI), dpi=DPI, facecolor=theme.paper)
    inner = (left / width, below / height, (width - left - RIGHT) / width, (height - TOP - below) / height)
    plots: dict[tuple[str, str], Axes] = {}
    for (x, y), traces in places.items():
        across, up = _domain(figure, x), _domain(figure, y)
        axes = plots[x, y] = drawn.add_axes(
            (
                inner[0] + across[0] * inner[2],
                inner[1] + up[0] * inner[3],
                (across[1] - across[0]) * inner[2],
                (up[1] - up[0]) * inner[3],
            )
        )
        dress(axes, theme)
        _scale(axes, figure, x, y)
        _draw(axes, figure, traces)
        across_px = width * inner[2] * (across[1] - across[0])
        for side, name in (("x", x), ("y", y)):
            whole = all(float(value).is_integer() for trace in traces for value in _numbers(trace[side]))
            ticks = MaxNLocator(5 if side == "y" else min(7, max(2, int(across_px / _TICK))), integer=whole)
            _axis(axes, side, _of(figure, name), theme, ticks)
    _share(figure, plots)
    for note in figure.layout.annotations:
        if note.xref == "paper" and note.yref == "paper":
            at = inner[0] + note.x * inner[2], inner[1] + note.y * inner[3] + 4 / height
            drawn.text(
                *at,
                literal_label(_plain(note.text)),
                color=theme.ink,
                fontsize=11,
                ha=note.xanchor or "center",
                va="bottom",
            )
    if len(names) > 1:
        _legend(drawn, list(plots.values()), theme, columns)
    return drawn


def data_of(figure: go.Figure) -> list[dict[str, object]]:
    """Return the data of a figure of dots, lines and bars: a row for each point, with its panel and its series.

    Example:
        >>> figure = go.Figure(go.Bar(x=["a", "b"], y=[1, 2], name="n")).update_yaxes(title="images")
        >>> data_of(figure)[0]
        {'series': 'n', 'value': 'a', 'images': 1}
    """
    titles = [_plain(note.text) for note in figure.layout.annotations if note.xref == "paper"]
    places = _panels(figure)
    rows: list[dict[str, object]] = []
    for number, ((x, y), traces) in enumerate(places.items()):
        panel = {"panel": titles[number]} if len(titles) == len(places) else {}
        columns = [_title(figure, x), _title(figure, y)]
        if columns[0] == columns[1]:
            columns = [f"{columns[0]} ({name})" for name in ("x", "y")]
        for trace in traces:
            values = (_named(_of(figure, name), _values(trace[side])) for side, name in (("x", x), ("y", y)))
            for pair in zip(*values, strict=True):
                series = {"series": _name(trace)} if _name(trace) else {}
                rows.append({**panel, **series, **dict(zip(columns, pair, strict=True))})
    return rows


def texts_of(figure: go.Figure) -> list[str]:
    """Return what is written in a figure: names of series, of panels and of ticks."""
    ticks = [text for axis in (*figure.select_xaxes(), *figure.select_yaxes()) for text in axis.ticktext or ()]
    return [_plain(text) for text in (*(note.text for note in figure.layout.annotations), *ticks)] + [
        _name(trace) for trace in figure.data
    ]


def _panels(figure: go.Figure) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for trace in figure.data:
        if trace.type not in ("scatter", "bar"):
            raise OditsError(f"A figure of the kind {trace.type} can't be drawn on paper.")
        found.setdefault((trace.xaxis or "x", trace.yaxis or "y"), []).append(trace)
    return found


def _of(figure: go.Figure, name: str) -> Any:
    return figure.layout[f"{name[0]}axis{name[1:]}"]


def _domain(figure: go.Figure, name: str) -> tuple[float, float]:
    low, high = _of(figure, name).domain or (0.0, 1.0)
    return float(low), float(high)


def _title(figure: go.Figure, name: str) -> str:
    """Return the title of an axis; panels side by side have it once."""
    axes = list(figure.select_xaxes() if name[0] == "x" else figure.select_yaxes())
    axis = _of(figure, name)
    found = axis.title.text or next((one.title.text for one in axes if one.title.text), None)
    return _plain(found) or ("name" if axis.ticktext else "value")


def _plain(text: str | None) -> str:
    return html.unescape(re.sub(r"</?(?:b|i|br)>", "", text or ""))


def _name(trace: Any) -> str:
    return _plain(trace.name)


def _in_legend(figure: go.Figure, trace: Any) -> bool:
    return figure.layout.showlegend is not False and trace.showlegend is not False and bool(trace.name)


def _values(values: Any) -> list[Any]:
    return np.asarray(values).tolist() if values is not None else []


def _numbers(values: Any) -> list[float]:
    return [value for value in _values(values) if isinstance(value, (int, float)) and np.isfinite(value)]


def _named(axis: Any, values: Sequence[Any]) -> list[Any]:
    """Return values with the names that the axis has for them."""
    if not axis.ticktext or axis.type == "log":
        return list(values)
    names: Mapping[Any, str] = dict(zip(axis.tickvals, map(_plain, axis.ticktext), strict=True))
    return [names.get(value, value) for value in values]


def _color(color: str | None) -> Any:
    """Return "rgba(1, 2, 3, 0.5)" as Matplotlib takes it, and any other colour as it is."""
    found = re.fullmatch(r"rgba?\(([^)]*)\)", color or "")
    if not found:
        return color
    red, green, blue, *rest = (float(part) for part in found[1].split(","))
    return red / 255, green / 255, blue / 255, *(rest or [1.0])


def _scale(axes: Axes, figure: go.Figure, x: str, y: str) -> None:
    if _of(figure, x).type == "log":
        axes.set_xscale("log")
    if _of(figure, y).type == "log":
        axes.set_yscale("log")


def _draw(axes: Axes, figure: go.Figure, traces: Sequence[Any]) -> None:
    bars = [trace for trace in traces if trace.type == "bar"]
    beside = len(bars) if figure.layout.barmode == "group" else 1
    heights: dict[float, float] = {}
    for number, trace in enumerate(bars):
        _bars(axes, trace, number if beside > 1 else 0, beside, heights)
    for trace in traces:
        if trace.type == "scatter":
            _dots(axes, figure, trace)


def _bars(axes: Axes, trace: Any, number: int, of: int, heights: dict[float, float]) -> None:
    """Draw bars beside each other, or on top of those that are there already."""
    flat = trace.orientation == "h"
    at = np.asarray(trace.y if flat else trace.x, float)
    long = np.asarray(trace.x if flat else trace.y, float)
    room = np.diff(np.unique(at)).min(initial=1.0) * 0.8 if trace.width is None else np.asarray(trace.width, float)
    wide = np.broadcast_to(room / of, at.shape)
    base = np.array([heights.get(place, 0.0) for place in at.tolist()]) if of == 1 else np.zeros(len(at))
    look = {
        "color": _color(trace.marker.color),
        "label": literal_label(_name(trace)) or None,
        "hatch": "///" if trace.marker.pattern.shape == "/" else "",
        "edgecolor": axes.get_facecolor(),
        "linewidth": 0,
    }
    middle = at + wide * (number - (of - 1) / 2)
    if flat:
        axes.barh(middle, long, wide, left=base, **look)
    else:
        axes.bar(middle, long, wide, bottom=base, **look)
    heights.update(zip(at.tolist(), (base + long).tolist(), strict=True))


def _dots(axes: Axes, figure: go.Figure, trace: Any) -> None:
    """Draw a line, dots, or both, with their intervals."""
    mode = trace.mode or "lines"
    color = _color((trace.marker.color if mode == "markers" else trace.line.color) or trace.marker.color)
    error = None
    if trace.error_y.array is not None:
        error = [np.asarray(trace.error_y.arrayminus, float), np.asarray(trace.error_y.array, float)]
    axes.errorbar(
        np.asarray(trace.x, float),
        np.asarray(trace.y, float),
        yerr=error,
        color=color,
        linestyle=_DASHES.get(trace.line.dash, "-") if "lines" in mode else "",
        linewidth=float(trace.line.width or 2),
        marker=_MARKERS.get(trace.marker.symbol, "o") if "markers" in mode else "",
        markersize=float(trace.marker.size or 6) * 0.75,
        capsize=2 if error else 0,
        elinewidth=1,
        label=literal_label(_name(trace)) if _in_legend(figure, trace) else None,
    )


def _axis(axes: Axes, side: str, axis: Any, theme: Theme, ticks: MaxNLocator) -> None:
    """Set the range, the ticks and the title of an axis as the interactive figure has them."""
    own = axes.xaxis if side == "x" else axes.yaxis
    if axis.range:
        low, high = (10.0**end if axis.type == "log" else end for end in axis.range)
        (axes.set_xlim if side == "x" else axes.set_ylim)(low, high)
    elif axis.rangemode == "tozero":
        axes.set_xlim(left=0) if side == "x" else axes.set_ylim(bottom=0)
    if axis.title.text:
        own.set_label_text(literal_label(_plain(axis.title.text)))
    if axis.tickvals is not None and axis.ticktext is not None:
        own.set_ticks(list(axis.tickvals), [literal_label(_plain(text)) for text in axis.ticktext])
        own.set_minor_locator(NullLocator())
    elif axis.tickvals is not None:
        own.set_major_locator(FixedLocator(list(axis.tickvals)))
        own.set_minor_locator(NullLocator())
        own.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    elif axis.type != "log":
        own.set_major_locator(MultipleLocator(axis.dtick) if axis.dtick else ticks)
        if axis.tickformat:
            form = ",.6g" if axis.tickformat == "," else axis.tickformat
            own.set_major_formatter(FuncFormatter(lambda value, _: format(value, form)))
    if axis.showticklabels is False:
        own.set_tick_params(labelleft=False, labelbottom=False)
    if axis.showgrid is not False and (side == "y" or axis.showgrid):
        axes.grid(axis=side, color=theme.grid, linewidth=0.8)  # type: ignore[arg-type]


def _share(figure: go.Figure, plots: Mapping[tuple[str, str], Axes]) -> None:
    """Give axes that belong together the same range."""
    for place in (0, 1):
        groups: dict[str, list[Axes]] = {}
        for pair, axes in plots.items():
            groups.setdefault(_of(figure, pair[place]).matches or pair[place], []).append(axes)
        for together in groups.values():
            ends = [axes.get_ylim() if place else axes.get_xlim() for axes in together]
            low, high = min(one[0] for one in ends), max(one[1] for one in ends)
            if low > high:  # an axis that runs backwards
                continue
            for axes in together:
                axes.set_ylim(low, high) if place else axes.set_xlim(low, high)


def _legend(drawn: Figure, plots: Sequence[Axes], theme: Theme, columns: int) -> None:
    """Write one legend for all panels, each name once."""
    named: dict[str, Any] = {}
    for axes in plots:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    look: dict[str, Any] = {"frameon": False, "fontsize": 10, "labelcolor": theme.ink}
    drawn.legend(list(named.values()), list(named), loc="lower center", ncols=columns, **look)
