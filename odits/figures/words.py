"""The most probable words of an image as a bar chart (Fig. 2.7 of the thesis)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from odits.data.predictions import WordProbability
from odits.figures.theme import BLUE, GREY, VERMILION, plain, styled

MAX_LABEL = 18
"""Characters of a word shown beside its bar; the hover text has all of it."""


class WordMark(NamedTuple):
    """How words of one standing are drawn: by colour, by pattern, and by a sign before the word."""

    title: str
    sign: str
    color: str
    pattern: str


BOXED = WordMark("visible in the picture", "■", VERMILION, "")
LEXICON = WordMark("in its lexicon", "◆", BLUE, "/")
OTHER = WordMark("other", "", GREY, "")


def word_mark(word: str, lexicon: Collection[str] = (), boxed: Collection[str] = ()) -> WordMark:
    """The standing of a word: boxed before lexicon before other; case makes no difference."""
    key = word.casefold()
    if key in {other.casefold() for other in boxed}:
        return BOXED
    return LEXICON if key in {other.casefold() for other in lexicon} else OTHER


def top_words_figure(
    words: Sequence[WordProbability],
    lexicon: Collection[str] = (),
    boxed: Collection[str] = (),
    limit: float | None = None,
) -> go.Figure:
    """Horizontal bars of words and their probabilities, the most probable on top.

    Args:
        words: words with probabilities in 0..1, best first.
        lexicon: words known to belong to the image: blue, striped, with a diamond before the word.
        boxed: words known to be visible in the image: orange, solid, with a square before the word.
        limit: the probability at the right end of the axis; charts to be compared share it. By default the largest.
    """
    marks = [word_mark(item.word, lexicon, boxed) for item in words]
    known = bool(lexicon) or bool(boxed)
    shown = {BOXED: bool(boxed), LEXICON: bool(lexicon), OTHER: known}
    figure = go.Figure()
    for mark in (BOXED, LEXICON, OTHER):
        rows = [row for row, found in enumerate(marks) if found is mark]
        if rows or shown[mark]:
            _add_bars(figure, words, rows, mark, known)
    most = limit if limit is not None else max((item.probability for item in words), default=1.0)
    figure.update_layout(bargap=0.3, barmode="overlay", margin={"t": 8, "b": 84 if known else 8})
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(words))),
        ticktext=[_label(item.word, mark) for item, mark in zip(words, marks, strict=True)],
        range=[max(len(words), 1) - 0.5, -0.5],
        showgrid=False,
        ticklabelstandoff=6,
        fixedrange=True,
    )
    # room for the number after the longest bar
    span = [0, min(1.22 * most, 1.22) or 1.0]
    figure.update_xaxes(title="probability", tickformat=".3~%", range=span, nticks=6, showgrid=True, fixedrange=True)
    return styled(figure, 64 + 33 * max(len(words), 1) + (46 if known else 0), legend=known)


def percent(probability: float) -> str:
    """A probability to three digits, however small: "61.4 %", "0.0312 %"."""
    return f"{100 * probability:.3g} %" if probability >= 1e-6 or not probability else f"{100 * probability:.1e} %"


def _add_bars(
    figure: go.Figure, words: Sequence[WordProbability], rows: Sequence[int], mark: WordMark, known: bool
) -> None:
    """Adds the bars of one standing; an empty set still gets its place in the legend."""
    standing = f", {mark.title}" if known else ""
    y: list[int | None] = list(rows)
    x: list[float | None] = [words[row].probability for row in rows]
    figure.add_bar(
        orientation="h",
        y=y or [None],
        x=x or [None],
        name=f"{mark.sign} {mark.title}".strip(),
        text=[percent(words[row].probability) for row in rows],
        textposition="outside",
        cliponaxis=False,
        marker={
            "color": mark.color,
            "cornerradius": 3,
            "line": {"width": 1.5, "color": mark.color},
            "pattern": {"shape": mark.pattern, "fillmode": "replace", "size": 6, "solidity": 0.45},
        },
        customdata=[[row + 1, plain(words[row].word)] for row in rows],
        hovertemplate="<b>%{customdata[1]}</b><br>probability %{x:.7f}<br>rank %{customdata[0]}"
        f"{standing}<extra></extra>",
    )


def _label(word: str, mark: WordMark) -> str:
    short = plain(word if len(word) <= MAX_LABEL else word[: MAX_LABEL - 1] + "…")
    return f"{mark.sign} {short}" if mark.sign else short
