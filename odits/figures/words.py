"""The words of an image: the most probable as a bar chart (Fig. 2.7), and those that were read, over the picture."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from odits.core.percent import percent, percents
from odits.data.predictions import WordProbability
from odits.data.records import BoxedWord
from odits.data.vocabulary import fold_word
from odits.figures.theme import BLUE, GREEN, GREY, VERMILION, escape_html, lay_out_picture, note, styled
from odits.models.reading.spotter import FoundWord

MAX_LABEL = 18
"""Characters of a line of the word beside its bar, of which there are two at most; the hover text has all of it."""
_LETTER_WIDTH = 7.5  # pixels, about
_LOWEST = 130  # pixels: of a bar or two with an axis


class WordMark(NamedTuple):
    """How words of one kind are drawn: by colour, by pattern, and by a sign before the word."""

    title: str
    sign: str
    color: str
    pattern: str


VISIBLE = WordMark("in the picture", "■", VERMILION, "")
LEXICON = WordMark("in the neighbourhood", "◆", BLUE, "/")
READ = WordMark("read, in no list", "●", GREEN, ".")
OTHER = WordMark("other", "", GREY, "")
MARKS_HELP = (
    "In the picture: people drew a box around the word. In the neighbourhood: it belongs to the image's lexicon, the "
    "words of businesses near by, whether the picture shows them or not. Read, in no list: it was read in the picture "
    "and stands in no list of words."
)
"""What the marks mean, for people who do not know the data set."""


def word_mark(
    word: str, lexicon: Collection[str] = (), boxed: Collection[str] = (), read: Collection[str] = ()
) -> WordMark:
    """Return how a word is marked: visible, lexicon, read, other, in this order; case and accents do not count."""
    key = fold_word(word)
    if key in _folded(tuple(boxed)):
        return VISIBLE
    if key in _folded(tuple(lexicon)):
        return LEXICON
    return READ if word in read else OTHER


@lru_cache(maxsize=256)
def _folded(words: tuple[str, ...]) -> frozenset[str]:
    """Return what the words are compared by; a page asks for thousands of words and one list."""
    return frozenset(map(fold_word, words))


def top_words_figure(
    words: Sequence[WordProbability],
    lexicon: Collection[str] = (),
    boxed: Collection[str] = (),
    limit: float | None = None,
    read: Collection[str] = (),
    title: str = "probability",
    row_height: int = 33,
) -> go.Figure:
    """Draw horizontal bars of words and their probabilities, the most probable on top.

    Args:
        words: words with probabilities in 0..1, best first.
        lexicon: words known to belong to the image: blue, striped, with a diamond before the word.
        boxed: words known to be visible in the image: orange, solid, with a square before the word.
        limit: the probability at the right end of the axis; charts to be compared share it. By default the largest.
        read: words that were read and are in no list: green, dotted, with a circle before the word.
        title: what the axis says.
        row_height: pixels of a bar and the room around it.
    """
    marks = [word_mark(item.word, lexicon, boxed, read) for item in words]
    known = bool(lexicon) or bool(boxed) or READ in marks
    shown = {VISIBLE: bool(boxed), LEXICON: bool(lexicon), READ: False, OTHER: known}
    figure = go.Figure()
    for mark in (VISIBLE, LEXICON, READ, OTHER):
        rows = [row for row, found in enumerate(marks) if found is mark]
        if rows or shown[mark]:
            _add_bars(figure, words, rows, mark, known)
    most = limit if limit is not None else max((item.probability for item in words), default=1.0)
    labels = [_label(item.word, mark) for item, mark in zip(words, marks, strict=True)]
    # room of its own for the words: what plotly measures is wrong where the column has no width yet
    left = 16 + _LETTER_WIDTH * max((min(len(item.word), MAX_LABEL) + 2 for item in words), default=0)
    figure.update_layout(barmode="overlay", margin={"t": 8, "b": 84 if known else 8, "l": left})
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(words))),
        ticktext=labels,
        range=[max(len(words), 1) - 0.5, -0.5],
        showgrid=False,
        ticklabelstandoff=6,
        fixedrange=True,
    )
    # room for the number after the longest bar
    span = [0, 1.22 * most or 1.0]
    figure.update_xaxes(title=title, tickformat=".3~%", range=span, nticks=6, showgrid=True, fixedrange=True)
    height = max(64 + row_height * len(words) + (46 if known else 0), _LOWEST)
    return styled(figure, height, legend=known)


def _add_bars(
    figure: go.Figure, words: Sequence[WordProbability], rows: Sequence[int], mark: WordMark, known: bool
) -> None:
    """Add the bars of one kind of word; an empty set still gets its place in the legend."""
    kind = f", {mark.title}" if known else ""
    shares = percents([item.probability for item in words])
    y: list[int | None] = list(rows)
    x: list[float | None] = [words[row].probability for row in rows]
    figure.add_bar(
        orientation="h",
        width=0.7,  # else it is that of the nearest two bars of the same kind
        y=y or [None],
        x=x or [None],
        name=f"{mark.sign} {mark.title}".strip(),
        text=[escape_html(shares[row]) for row in rows],
        textposition="outside",
        cliponaxis=False,
        marker={
            "color": mark.color,
            "cornerradius": 3,
            "line": {"width": 1.5, "color": mark.color},
            "pattern": {"shape": mark.pattern, "fillmode": "replace", "size": 6, "solidity": 0.45},
        },
        customdata=[[row + 1, escape_html(words[row].word)] for row in rows],
        hovertemplate="<b>%{customdata[1]}</b><br>probability %{x:.7f}<br>rank %{customdata[0]}"
        f"{kind}<extra></extra>",
    )


def _label(word: str, mark: WordMark) -> str:
    lines = [word]
    if len(word) > MAX_LABEL:
        lines = [word[: MAX_LABEL - 1] + "-", word[MAX_LABEL - 1 :]]
    if len(lines[-1]) > MAX_LABEL:
        lines[-1] = lines[-1][: MAX_LABEL - 1] + "…"
    short = "<br>".join(map(escape_html, lines))
    return f"{mark.sign} {short}" if mark.sign else short


CARRIER_COLOR, PLACE_COLOR = "#F0E442", "#56B4E9"
_SHOWN = 0.1  # of the largest contribution: what adds less is no carrier
_LEAST = 0.05  # of a logit


def carriers_of_word(contributed: np.ndarray, most: int = 3) -> list[int]:
    """Return which objects carry a word, the strongest first: those that add a tenth of the strongest or more.

    Args:
        contributed: (P,) what the word's logit loses without each object.
        most: objects at most.

    Example:
        >>> carriers_of_word(np.array([0.0, 5.0, 0.4, 6.0]))
        [3, 1]
    """
    order = np.argsort(-contributed, kind="stable")[:most].tolist()
    least = max(_LEAST, _SHOWN * float(contributed.max(initial=0.0)))
    return [index for index in order if contributed[index] >= least]


FOUND_COLOR, UNMATCHED_COLOR, BOXED_COLOR = "#56B4E9", "#F0E442", "#D55E00"
"""Okabe and Ito's: told apart by colour-blind eyes, and on dark and bright pictures; the lines differ too."""


def read_words_figure(
    image: Image.Image,
    found: Sequence[FoundWord],
    boxed: Sequence[BoxedWord] = (),
    unmatched: Sequence[FoundWord] = (),
) -> go.Figure:
    """Draw the image with found words outlined and labelled; hovering tells the probability and what was read.

    Args:
        image: RGB.
        found: words that were found; solid.
        boxed: words that people boxed; dashed.
        unmatched: found words that people did not box; dotted.
    """
    figure = go.Figure()
    _add_outlines(figure, [one.corners for one in found], f"found ({len(found)})", FOUND_COLOR, "solid")
    if unmatched:
        title = f"found, marked by nobody ({len(unmatched)})"
        _add_outlines(figure, [one.corners for one in unmatched], title, UNMATCHED_COLOR, "dot")
    if boxed:
        corners = [np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) for x0, y0, x1, y1 in (box.box for box in boxed)]
        _add_outlines(figure, corners, f"marked by people ({len(boxed)})", BOXED_COLOR, "dash")
    for one in (*found, *unmatched):
        _add_label(figure, one)
    lay_out_picture(figure, image)
    if not found and not unmatched:
        note(figure, "None of the words was found in this picture")
    return figure


def _add_outlines(figure: go.Figure, outlines: Sequence[np.ndarray], title: str, color: str, dash: str) -> None:
    x: list[float | None] = []
    y: list[float | None] = []
    for corners in outlines:
        closed = np.vstack([corners, corners[:1]]).astype(float)
        x += [*closed[:, 0].round(1).tolist(), None]
        y += [*closed[:, 1].round(1).tolist(), None]
    line = {"color": color, "width": 3, "dash": dash}
    figure.add_scatter(x=x or [None], y=y or [None], mode="lines", line=line, name=title, hoverinfo="skip")


def _add_label(figure: go.Figure, one: FoundWord) -> None:
    """Write the word above its place, and add an invisible point in it to hover over."""
    x0, y0, x1, _ = one.box
    figure.add_annotation(
        x=x0,
        y=y0,
        text=escape_html(one.word),
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        font={"size": 12, "color": "#FFFFFF"},
        bgcolor="rgba(0,0,0,0.7)",
        borderpad=2,
    )
    middle = one.corners.mean(0)
    figure.add_scatter(
        x=[float(middle[0])],
        y=[float(middle[1])],
        mode="markers",
        marker={"size": max(12.0, min(60.0, (x1 - x0) / 4)), "opacity": 0},
        showlegend=False,
        customdata=[[escape_html(one.word), escape_html(percent(one.probability)), escape_html(one.line.text)]],
        hovertemplate="<b>%{customdata[0]}</b>, %{customdata[1]}<br>read: %{customdata[2]}<extra></extra>",
    )
