"""Contributions and the object-text matrix as HTML tables: numbers stand there as text, and the browser draws at once.

Interactive charts took the browser longer than all else on the page; as files they are still to be had (`Save`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from odits.core.percent import percent
from odits.figures.explanation import SEQUENTIAL, sample_colors
from odits.figures.theme import BLUE, VERMILION, data_uri, jpeg
from pages._shared.bars import chart_html, width_of
from pages._shared.layout import escape_html

THUMBNAIL = 96
"""Pixels of an object's longer side before its row of the matrix."""
_DARK = 0.36  # of luminance: below it white letters are read better than black ones

STYLE = """
<style>
.odits-signed :is(td, th) {width: 34%} .odits-signed td {white-space: nowrap}
.odits-signed td:nth-child(2) {text-align: right; border-right: 1px solid rgba(128, 140, 152, .8) !important}
.odits-signed td {padding: .12rem 0}
.odits-matrix table {width: auto; min-width: min(100%, 46rem); border-collapse: separate; border-spacing: 1px}
.odits-matrix thead th {vertical-align: bottom; height: 1px; padding: .2rem 0}
.odits-matrix thead th div {writing-mode: vertical-rl; rotate: 180deg; max-height: 9.5rem; overflow: hidden;
  margin: 0 auto; white-space: nowrap; text-overflow: ellipsis; line-height: 1.2}
.odits-matrix tbody th {min-width: 11rem; max-width: 15rem}
.odits-matrix th img {width: 3rem; height: 1.9rem; object-fit: contain; vertical-align: middle; margin-right: .4rem}
.odits-matrix td {text-align: center !important; min-width: 2.4rem; padding: 0 .1rem; height: 2.1rem;
  font-size: .78rem; forced-color-adjust: none; white-space: nowrap}
</style>
"""


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
        width, number = width_of(abs(value) / most), f"<span>{value:+.2f}</span>"
        left, right = "", f'<b style="{width};--mark:{VERMILION}"></b>{number}'
        if value < 0:
            left, right = f'{number}<u style="{width};--mark:{BLUE}"></u>', ""
        rows.append(
            f'<tr><th scope="row">{escape_html(name)}</th>{f"<td>{left}</td>" if both else ""}<td>{right}</td></tr>'
        )
    sides = ": to the right it adds, striped to the left it takes away" if both else " that the object adds"
    kind = "odits-signed" if both else "odits-bars"
    return chart_html(kind, rows, label, f"<p>change of the word's logit{sides}</p>")


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
    every = np.array(sample_colors(SEQUENTIAL, similarity.ravel() / most)).reshape(similarity.shape)
    rows = []
    for name, values, colors, crop in zip(objects, similarity, every.tolist(), crops, strict=True):
        image = f'<img src="{data_uri(jpeg(crop, THUMBNAIL))}" alt="">'
        cells = "".join(
            f'<td style="background-color:{color};color:{_readable_on(color)}" '
            f'title="{escape_html(name)}, {escape_html(word)}: {escape_html(percent(share))}">{_brief(share)}</td>'
            for color, word, share in zip(colors, words, values.tolist(), strict=True)
        )
        rows.append(f'<tr><th scope="row">{image}{escape_html(name)}</th>{cells}</tr>')
    heading = f'<thead><tr><th scope="col"><span class="odits-hidden">object</span></th>{head}</tr></thead>'
    return chart_html("odits-matrix", rows, label, head=heading)


def _brief(share: float) -> str:
    """Write a share in whole per cent; below half a per cent nothing, for it is pointed at to be read."""
    return f"{100 * share:.0f}" if share >= 0.005 else "<span class='odits-hidden'>0</span>"


def _readable_on(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return "#FFFFFF" if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < _DARK / 2 else "#000000"
