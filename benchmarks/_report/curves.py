"""Costs against sizes: the exponent of their growth, a table, and a figure on log axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks._report.paper import busy_note, table
from odits.figures.static import Format, Theme, canvas, literal_label, save

LIMIT = 1.1
"""The exponent above which a cost grows faster than its size, beyond what noise makes of a straight line."""
FIGURE = "growth.svg"
"""The figure's file, beside the page that shows it."""
COLUMNS, WIDTH, HEIGHT = 3, 330, 260
"""Plots side by side, and pixels of each."""
_LINE, _POINT = "#9AA5B1", "#0B6E99"


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Fit b of cost = a · size^b by least squares on log axes.

    Args:
        sizes: (N,), positive, at least two different ones.
        costs: (N,), positive.

    Example:
        >>> round(exponent([1, 2, 4, 8], [3, 12, 48, 192]), 6)
        2.0
    """
    return float(np.polyfit(np.log(np.asarray(sizes, float)), np.log(np.asarray(costs, float)), 1)[0])


def curve(
    name: str, size: str, unit: str, sizes: Sequence[float], costs: Sequence[float], why: str = ""
) -> dict[str, Any]:
    """Return a cost against its sizes with the fitted exponent, of all sizes and of the two largest.

    Args:
        name: of the cost.
        size: what its sizes count.
        unit: of the cost.
        sizes: (N,), growing.
        costs: (N,).
        why: what the mathematics says where more than `LIMIT` is to be expected.
    """
    return {
        "name": name,
        "size": size,
        "unit": unit,
        "sizes": list(sizes),
        "costs": list(costs),
        "exponent": exponent(sizes, costs),
        "exponent_of_the_largest": exponent(sizes[-2:], costs[-2:]),
        "within": exponent(sizes, costs) <= LIMIT,
        "why": why,
    }


def markdown(document: Mapping[str, Any], figure: str = FIGURE) -> str:
    """Write the section on growth: the figure, and a table of exponents."""
    if "problem" in document:
        return f"Not measured: {document['problem']}"
    rows = []
    for row in document["rows"]:
        first, last = row["sizes"][0], row["sizes"][-1]
        costs = f"{row['costs'][0]:.3g} to {row['costs'][-1]:.3g} {row['unit']}"
        ends = f"{row['exponent_of_the_largest']:.2f}"
        rows.append((row["name"], f"{first:,} to {last:,} {row['size']}", costs, f"{row['exponent']:.2f}", ends))
    alt = "; ".join(f"{row['name']} against {row['size']}, exponent {row['exponent']:.2f}" for row in document["rows"])
    note = busy_note(document["machine"])
    lines = [
        f"![Costs on logarithmic axes: {alt}.]({figure})",
        "",
        *([*note[1:], ""] if note else []),
        table(("cost", "sizes", "from the smallest to the largest", "exponent", "of the two largest"), rows),
    ]
    above = [row for row in document["rows"] if not row["within"]]
    if above:
        lines += ["", f"Above {LIMIT}:", ""]
        lines += [f"- {row['name']}: {row['why'] or 'nothing in its mathematics asks for it.'}" for row in above]
    return "\n".join(lines)


def figure_file(document: Mapping[str, Any], form: Format) -> bytes:
    """Draw all costs against their sizes as a file."""
    return save(partial(draw, document["rows"]), form)


def draw(rows: Sequence[Mapping[str, Any]], theme: Theme) -> Figure:
    """Draw each cost against its size on log axes, with the fitted line."""
    down = -(-len(rows) // COLUMNS)
    figure, plots = canvas(COLUMNS * WIDTH, down * HEIGHT, theme, COLUMNS, down)
    for axes in plots[len(rows) :]:
        axes.set_axis_off()
    for axes, row in zip(plots, rows, strict=False):
        sizes, costs = np.asarray(row["sizes"], float), np.asarray(row["costs"], float)
        fitted = np.exp(np.polyval(np.polyfit(np.log(sizes), np.log(costs), 1), np.log(sizes)))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.plot(sizes, fitted, color=_LINE, linewidth=1.5)
        axes.plot(sizes, costs, "o", color=_POINT, markersize=5)
        axes.set_ylim(min(costs.min(), fitted.min()) / 2, max(costs.max(), fitted.max()) * 2)
        axes.grid(visible=True, color=theme.grid, linewidth=0.6)
        for axis, values in ((axes.xaxis, sizes), (axes.yaxis, costs)):
            # a short axis has ticks between the powers of ten too
            axis.set_major_locator(LogLocator(10, subs=(1.0,) if values.max() > 30 * values.min() else (1.0, 3.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:,g}"))
            axis.set_minor_formatter(NullFormatter())
        title = f"{row['name']}: exponent {row['exponent']:.2f}"
        axes.set_title(literal_label(title), fontsize=10, color=theme.ink)
        axes.set_xlabel(literal_label(row["size"]), fontsize=10)
        axes.set_ylabel(literal_label(row["unit"]), fontsize=10)
    return figure
