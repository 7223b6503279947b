"""What objects contribute to a word, as bars, and what they are in words, as a matrix: on paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from odits.figures.explanation import SEQUENTIAL
from odits.figures.static import Theme, canvas, dress, literal_label
from odits.figures.static_pictures import Panel, sheet
from odits.figures.theme import BLUE, VERMILION

ROW, COLUMN, WIDTH = 28, 46, 640
"""Pixels of a bar or an object, of a word of the matrix, and of a figure at least."""
_LONGEST, _LETTER = 30, 7  # letters of a name, and pixels of a letter


def bars_figure(labels: Sequence[str], values: np.ndarray, theme: Theme, title: str = "") -> Figure:
    """Draw horizontal bars of contributions, the first on top; red adds, blue and striped takes away.

    Args:
        labels: of the objects.
        values: (P,) what the word's logit loses without each.
        theme: the colours.
        title: above the bars.
    """
    figure, (axes,) = canvas(WIDTH, _height(labels), theme)
    _bars(axes, labels, values, theme, title)
    return figure


def explained_figure(
    picture: Panel, labels: Sequence[str], values: np.ndarray, theme: Theme, title: str = ""
) -> Figure:
    """Draw a picture whose objects are coloured by what they contribute, and below it the strongest as bars.

    Args:
        picture: with its objects.
        labels: of the strongest objects.
        values: (P,) what the word's logit loses without each.
        theme: the colours.
        title: above the bars.
    """
    across, tall = picture.size
    height = _height(labels)
    figure = sheet(across, tall + height, theme)
    above, below = figure.subfigures(2, 1, height_ratios=[tall, height], squeeze=False).ravel()
    picture.draw(above, theme, across)
    left = 36 + _LETTER * max((len(_short(label)) for label in labels), default=0)
    axes = below.add_axes((left / across, 52 / height, (across - left - 24) / across, (height - 92) / height))
    dress(axes, theme)
    _bars(axes, labels, values, theme, title)
    return figure


def _height(labels: Sequence[str]) -> int:
    """Return the pixels of bars with their title and axis."""
    return 100 + ROW * max(len(labels), 2)


def _bars(axes: Axes, labels: Sequence[str], values: np.ndarray, theme: Theme, title: str) -> None:
    for place, value in enumerate(np.asarray(values, float).tolist()):
        adds = value >= 0
        axes.barh(
            place, value, 0.7, color=VERMILION if adds else BLUE, hatch="" if adds else "///", edgecolor=theme.paper
        )
    axes.axvline(0, color=theme.ink, linewidth=0.8)
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
    axes.set_ylim(max(len(labels), 1) - 0.5, -0.5)
    axes.set_xlabel("change of the word's logit")
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    axes.set_title(literal_label(title), fontsize=11, loc="left", color=theme.ink)


def matrix_figure(similarity: np.ndarray, objects: Sequence[str], words: Sequence[str], theme: Theme) -> Figure:
    """Draw the object-text similarity matrix (thesis 3.1) as a heat map: rows are objects, columns words.

    Args:
        similarity: (P, q) in 0..1.
        objects: names of the rows.
        words: names of the columns.
        theme: the colours.
    """
    longest = 7 * max(map(len, words), default=0)
    width = max(WIDTH, 300 + COLUMN * len(words))
    figure, (axes,) = canvas(width, 100 + min(longest, 120) + ROW * max(len(objects), 2), theme)
    most = max(float(similarity.max(initial=0.0)), 1e-6)
    cells = axes.pcolormesh(
        np.asarray(similarity, float), cmap=SEQUENTIAL.lower(), vmin=0, vmax=most, edgecolors=theme.paper, linewidth=1
    )
    axes.set_yticks(np.arange(len(objects)) + 0.5, [_short(name) for name in objects])
    axes.set_xticks(
        np.arange(len(words)) + 0.5,
        [_short(word, 16) for word in words],
        rotation=40,
        ha="right",
        rotation_mode="anchor",
    )
    axes.tick_params("x", rotation=40)
    for text in axes.get_xticklabels():
        text.set(ha="right", rotation_mode="anchor")
    axes.set_ylim(len(objects), 0)
    bar = figure.colorbar(cells, ax=axes, format=lambda share, _: f"{100 * share:.3g} %", fraction=0.04, pad=0.02)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.tick_params(colors=theme.ink, labelsize=10, length=0)
    bar.set_label("probability", color=theme.ink)
    return figure


def _short(text: str, longest: int = _LONGEST) -> str:
    return literal_label(text if len(text) <= longest else f"{text[: longest - 1]}…")
