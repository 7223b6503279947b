"""The most probable words of one or several pictures as bars, on paper (Fig. 2.7 of the thesis)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from odits.core.percent import percents
from odits.data.predictions import WordProbability
from odits.figures.static import Theme, canvas, legend, literal_label
from odits.figures.words import LEXICON, MAX_LABEL, OTHER, READ, VISIBLE, word_mark

HATCHES = {VISIBLE: "", LEXICON: "///", READ: "..", OTHER: ""}
ROW, WIDTH = 30, 640
"""Pixels of a bar with the room around it, and of a figure."""


class WordBars(NamedTuple):
    """The words of one picture.

    Attributes:
        title: above the bars: the picture, the model.
        words: with probabilities in 0..1, best first.
        lexicon: words known to belong to the picture.
        visible: words known to be visible in it.
        read: words that were read and stand in no list.
    """

    title: str
    words: Sequence[WordProbability]
    lexicon: Collection[str] = ()
    visible: Collection[str] = ()
    read: Collection[str] = ()

    def texts(self) -> list[str]:
        """Return all that is written."""
        return [self.title, *(item.word for item in self.words)]


def words_figure(pictures: Sequence[WordBars], theme: Theme, axis: str = "probability") -> Figure:
    """Draw the words of pictures, one below the other.

    Args:
        pictures: at least one.
        theme: its colours.
        axis: what the horizontal axes say.
    """
    heights = [ROW * max(len(one.words), 1) + 86 for one in pictures]
    figure, plots = canvas(WIDTH, sum(heights) + 30, theme, rows=len(pictures))
    for axes, one in zip(plots, pictures, strict=True):
        _bars(axes, one, theme)
        axes.set_xlabel(axis)
    legend(figure, plots[0], theme)
    return figure


def _bars(axes: Axes, one: WordBars, theme: Theme) -> None:
    marks = [word_mark(item.word, one.lexicon, one.visible, one.read) for item in one.words]
    known = bool(one.lexicon) or bool(one.visible) or READ in marks
    most = max((item.probability for item in one.words), default=1.0) or 1.0
    shares = percents([item.probability for item in one.words])
    for row, (item, mark, share) in enumerate(zip(one.words, marks, shares, strict=True)):
        label = f"{mark.sign} {mark.title}".strip() if known else None
        axes.barh(row, item.probability, 0.7, color=mark.color, label=label, hatch=HATCHES[mark], edgecolor=theme.paper)
        axes.text(item.probability + 0.012 * most, row, share, va="center", color=theme.ink, fontsize=10)
    names = [_label(item.word, mark.sign) for item, mark in zip(one.words, marks, strict=True)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.set_xlim(0, 1.2 * most)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    axes.grid(axis="x", color=theme.grid, linewidth=0.8)
    axes.set_title(literal_label(one.title), fontsize=11, loc="left", color=theme.ink)


def _label(word: str, sign: str) -> str:
    longest = 2 * MAX_LABEL
    short = word if len(word) <= longest else word[: longest - 1] + "…"
    return literal_label(f"{sign} {short}".strip())
