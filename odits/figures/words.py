"""The most probable words of an image as a bar chart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from odits.predictions import WordProbability

MAX_LABEL = 18
"""Characters of a word shown beside its bar; the hover text has all of it."""


class WordMark(NamedTuple):
    """How words of one standing are drawn: by colour, by pattern and by a sign before the word."""

    title: str
    sign: str
    color: str
    pattern: str


# Okabe and Ito's colours, safe for colour-blind eyes; each is legible on white and on the dark theme's background.
BOXED = WordMark("Visible in the picture", "■", "#D55E00", "")
LEXICON = WordMark("In the picture's lexicon", "◆", "#2A86C8", "/")
OTHER = WordMark("Any other word", "", "#8A97A3", "")


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
        lexicon: words known to belong to the image; they are striped, blue and marked with a diamond.
        boxed: words known to be visible in the image; they are solid, orange and marked with a square.
        limit: the probability at the right end of the axis; charts to be compared share it. By default the largest.
    """
    marks = [word_mark(word, lexicon, boxed) for word, _ in words]
    figure = go.Figure()
    known = bool(lexicon) or bool(boxed)
    for mark in (BOXED, LEXICON, OTHER):
        rows = [row for row, found in enumerate(marks) if found is mark]
        if not rows and not known:
            continue
        figure.add_bar(
            orientation="h",
            y=rows or [None],
            x=[words[row].probability for row in rows] or [None],
            name=mark.title,
            text=[f"{words[row].probability:.1%}" for row in rows],
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": mark.color,
                "cornerradius": 3,
                "line": {"width": 1, "color": mark.color},
                "pattern": {"shape": mark.pattern, "fillmode": "replace", "size": 6, "solidity": 0.45},
            },
            customdata=[[row + 1, words[row].word, mark.title.lower()] for row in rows],
            hovertemplate="<b>%{customdata[1]}</b><br>rank %{customdata[0]}, %{customdata[2]}"
            "<br>probability %{x:.7f}<extra></extra>",
        )
    most = limit if limit is not None else max((word.probability for word in words), default=1.0)
    figure.update_layout(
        height=90 + 34 * max(len(words), 1),
        bargap=0.3,
        margin={"l": 8, "r": 8, "t": 36, "b": 40},
        showlegend=known,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "xanchor": "left", "title": None},
        barmode="overlay",
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(words))),
        ticktext=[_label(word.word, mark) for word, mark in zip(words, marks, strict=True)],
        range=[len(words) - 0.5, -0.5],
        automargin=True,
        showgrid=False,
        zeroline=False,
        ticklabelstandoff=6,
        fixedrange=True,
    )
    figure.update_xaxes(
        title="probability",
        tickformat=".0%" if most > 0.05 else ".1%",
        range=[0, 1.18 * most or 1.0],
        fixedrange=True,
        nticks=6,
    )
    return figure


def _label(word: str, mark: WordMark) -> str:
    short = word if len(word) <= MAX_LABEL else word[: MAX_LABEL - 1] + "…"
    escaped = short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{mark.sign} {escaped}" if mark.sign else escaped
