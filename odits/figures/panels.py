"""Plots side by side that share the names of their lines: metrics of models, differences between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from odits.figures.theme import FONT_SIZE, SMALL_SIZE, escape_html, styled

COLUMNS = 2
"""Plots in a row: more would have no room for their titles in a window of 800 pixels."""
GAP, TOP, BOTTOM = 62, 28, 84
"""Pixels between rows of plots, above the first and below the last: ticks, titles and the legend stand there."""


class Panels:
    """A plot for each title, so many in a row, and in each a line for each label.

    Args:
        titles: of the plots.
        labels: beside the first axis of a row, as HTML, the topmost first.
        row_height: pixels of a line.

    Attributes:
        figure: to draw in.
        lines: rows of plots.
    """

    def __init__(self, titles: Sequence[str], labels: Sequence[str], row_height: int) -> None:
        self._titles, self._labels = titles, labels
        self._columns = min(len(titles), COLUMNS)
        self.lines = -(-len(titles) // self._columns)
        self._height = self.lines * (row_height * len(labels) + GAP) - GAP
        self.figure: go.Figure = make_subplots(
            self.lines,
            self._columns,
            shared_yaxes=True,
            horizontal_spacing=0.05,
            vertical_spacing=GAP / self._height if self.lines > 1 else 0,
            subplot_titles=[f"<b>{escape_html(title)}</b>" for title in titles],
        )

    def places(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Yield each title, and where its plot is: "row" and "col", as the figure takes them."""
        for place, title in enumerate(self._titles):
            yield title, {"row": place // self._columns + 1, "col": place % self._columns + 1}

    def finished(self, legend: bool, least: int = 0, ticks: int = 4) -> go.Figure:
        """Return the figure with its axes, its height in pixels, `least` at least, and a legend where it is wanted.

        Args:
            legend: whether it has one.
            least: pixels of its height, at least.
            ticks: of each axis of numbers, at most.
        """
        self.figure.update_yaxes(
            type="category",  # names that look like numbers or dates are names
            categoryorder="array",
            categoryarray=self._labels[::-1],
            range=[-0.6, len(self._labels) - 0.4],
            showgrid=True,
            tickfont={"size": SMALL_SIZE},
        )
        self.figure.update_xaxes(showgrid=True, nticks=ticks)
        styled(self.figure, max(self._height + TOP + BOTTOM, least), legend=legend)
        self.figure.update_annotations(font={"size": FONT_SIZE})
        # as wide as the figure: below the plots alone it would take several lines in a narrow window
        return self.figure.update_layout(margin={"t": TOP, "b": BOTTOM, "r": 20}, legend={"xref": "container"})


def shortened(name: str, longest: int, start: int) -> str:
    """Shorten a name in its middle: its beginning tells the model, its end the epoch.

    Args:
        name: of a model.
        longest: characters that are kept, the mark of what is left out included.
        start: how many of them are its first ones.

    Example:
        >>> shortened("ODITS Signs, fine-tuned, epoch 5", 16, 6)
        'ODITS …, epoch 5'
    """
    return name if len(name) <= longest else f"{name[:start]}…{name[start + 1 - longest :]}"
