"""Charts of the page Explain as HTML tables: every number stands there as text, and the browser draws them at once.

Four interactive charts took the browser longer than all else on the page; as files they are still to be had (`Save`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from odits.core.percent import percent, percents
from odits.data import ImageRecord
from odits.data.predictions import WordPrediction
from odits.figures.explanation import SEQUENTIAL, sample_colors
from odits.figures.theme import BLUE, VERMILION, data_uri, jpeg
from odits.figures.words import LEXICON, READ, VISIBLE, WordMark, word_mark
from pages._shared.layout import escape_html

THUMBNAIL = 96
"""Pixels of an object's longer side before its row of the matrix."""
_ROOM = 5  # rem of a bar's cell that its number takes
_DARK = 0.36  # of luminance: below it white letters are read better than black ones

STYLE = f"""
<style>
.odits-chart {{overflow-x: auto; font-size: .875rem; line-height: 1.35}}
.odits-chart:focus-visible {{outline: 2px solid var(--st-primary-color, {BLUE})}}
.odits-chart table {{border-collapse: collapse; margin: 0; width: 100%; border: 0}}
.odits-chart :is(th, td) {{border: 0 !important; padding: .12rem .35rem; font-weight: 400; text-align: left;
  overflow-wrap: anywhere}}
.odits-chart tbody tr:hover {{background: rgba(128, 140, 152, .16)}}
.odits-chart b, .odits-chart u {{display: inline-block; height: 1rem; vertical-align: middle; min-width: 2px;
  forced-color-adjust: none; border-radius: 0 3px 3px 0}}
.odits-chart u {{border-radius: 3px 0 0 3px;
  background: repeating-linear-gradient(135deg, {BLUE} 0 3px, transparent 3px 6px); outline: 1px solid {BLUE}}}
.odits-chart i {{font-style: normal}}
.odits-chart span {{white-space: nowrap; padding: 0 .35rem; font-variant-numeric: tabular-nums}}
.odits-chart p {{margin: .3rem 0 0; font-size: .82rem}} .odits-chart p i {{padding-left: .7rem}}
.odits-bars th {{width: 38%; text-align: right !important}} .odits-bars td {{white-space: nowrap}}
.odits-signed :is(td, th) {{width: 34%}} .odits-signed td {{white-space: nowrap}}
.odits-signed td:nth-child(2) {{text-align: right; border-right: 1px solid rgba(128, 140, 152, .8) !important}}
.odits-signed td {{padding: .12rem 0}}
.odits-matrix table {{width: auto; min-width: min(100%, 46rem); border-collapse: separate; border-spacing: 1px}}
.odits-matrix thead th {{vertical-align: bottom; height: 1px; padding: .2rem 0}}
.odits-matrix thead th div {{writing-mode: vertical-rl; rotate: 180deg; max-height: 9.5rem; overflow: hidden;
  margin: 0 auto; white-space: nowrap; text-overflow: ellipsis; line-height: 1.2}}
.odits-matrix tbody th {{min-width: 11rem; max-width: 15rem}}
.odits-matrix th img {{width: 3rem; height: 1.9rem; object-fit: contain; vertical-align: middle; margin-right: .4rem}}
.odits-matrix td {{text-align: center !important; min-width: 2.4rem; padding: 0 .1rem; height: 2.1rem;
  font-size: .78rem; forced-color-adjust: none; white-space: nowrap}}
.odits-hidden {{position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)}}
</style>
"""


def words_html(prediction: WordPrediction, picture: ImageRecord, count: int, label: str) -> str:
    """Return the most probable words as bars, each with its mark and its probability.

    Args:
        prediction: of the words.
        picture: whose words are known.
        count: of words.
        label: says what the chart shows.
    """
    top = prediction.top(count)
    most = max((item.probability for item in top), default=1.0) or 1.0
    marks = [word_mark(item.word, picture.lexicon, picture.visible, prediction.vocabulary.extra) for item in top]
    shares = percents([item.probability for item in top])
    rows = "".join(
        f'<tr><th scope="row">{_sign(mark)}{escape_html(item.word)}</th><td>'
        f'<b style="{_width(item.probability / most)};background:{mark.color}"></b>'
        f"<span>{escape_html(share)}</span></td></tr>"
        for item, mark, share in zip(top, marks, shares, strict=True)
    )
    known = [mark for mark in (VISIBLE, LEXICON, READ) if mark in marks]
    legend = "".join(f'<i style="color:{mark.color}">{mark.sign}</i> {mark.title}' for mark in known)
    return _chart("odits-bars", rows, label, f"<p aria-hidden='true'>{legend}</p>" if legend else "")


def contributions_html(labels: Sequence[str], values: np.ndarray, label: str) -> str:
    """Return contributions as bars to the right (adds) and, striped, to the left (takes away), the first on top.

    Args:
        labels: of the objects.
        values: (P,) what the word's logit loses without each.
        label: says what the chart shows.
    """
    most, both = float(np.abs(values).max(initial=0.0)) or 1.0, bool((values < 0).any())
    rows = []
    for name, value in zip(labels, np.asarray(values, float).tolist(), strict=True):
        width, number = _width(abs(value) / most), f"<span>{value:+.2f}</span>"
        left, right = "", f'<b style="{width};background:{VERMILION}"></b>{number}'
        if value < 0:
            left, right = f'{number}<u style="{width}"></u>', ""
        rows.append(
            f'<tr><th scope="row">{escape_html(name)}</th>{f"<td>{left}</td>" if both else ""}<td>{right}</td></tr>'
        )
    sides = ": to the right it adds, striped to the left it takes away" if both else " that the object adds"
    kind = "odits-signed" if both else "odits-bars"
    return _chart(kind, "".join(rows), label, f"<p>change of the word's logit{sides}</p>")


def _width(share: float) -> str:
    """Return the style of a bar that is as long as a share of the longest."""
    return f"width:calc((100% - {_ROOM}rem) * {share:.4f})"


def matrix_html(
    similarity: np.ndarray, objects: Sequence[str], words: Sequence[str], crops: Sequence[Image.Image], label: str
) -> str:
    """Return the object-text matrix (thesis 3.1) as a table whose cells are coloured: rows are objects.

    Args:
        similarity: (P, q) in 0..1.
        objects: names of the rows.
        words: names of the columns.
        crops: what each object looks like.
        label: says what the chart shows.
    """
    most = max(float(similarity.max(initial=0.0)), 1e-6)
    head = "".join(f'<th scope="col" title="{escape_html(word)}"><div>{escape_html(word)}</div></th>' for word in words)
    rows = []
    for name, values, crop in zip(objects, similarity, crops, strict=True):
        image = f'<img src="{data_uri(jpeg(crop, THUMBNAIL))}" alt="">'
        colors = sample_colors(SEQUENTIAL, values / most)
        cells = "".join(
            f'<td style="background-color:{color};color:{_readable_on(color)}" '
            f'title="{escape_html(name)}, {escape_html(word)}: {escape_html(percent(share))}">{_brief(share)}</td>'
            for color, word, share in zip(colors, words, values.tolist(), strict=True)
        )
        rows.append(f'<tr><th scope="row">{image}{escape_html(name)}</th>{cells}</tr>')
    heading = f'<thead><tr><th scope="col"><span class="odits-hidden">object</span></th>{head}</tr></thead>'
    return _chart("odits-matrix", "".join(rows), label, head=heading)


def _chart(kind: str, rows: str, label: str, below: str = "", head: str = "") -> str:
    """Return a table that scrolls by itself where the window is narrow, by keyboard too."""
    name = escape_html(label)
    return (
        f'<div class="odits-chart {kind}" role="group" tabindex="0" aria-label="{name}">'
        f'<table aria-label="{name}">{head}<tbody>{rows}</tbody></table>{below}</div>'
    )


def _sign(mark: WordMark) -> str:
    if not mark.sign:
        return ""
    return (
        f'<i style="color:{mark.color}" aria-hidden="true" title="{mark.title}">{mark.sign}</i> '
        f'<span class="odits-hidden">({mark.title}) </span>'
    )


def _brief(share: float) -> str:
    """Write a share in whole per cent; below half a per cent nothing, for it is pointed at to be read."""
    return f"{100 * share:.0f}" if share >= 0.005 else "<span class='odits-hidden'>0</span>"


def _readable_on(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return "#FFFFFF" if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < _DARK / 2 else "#000000"
