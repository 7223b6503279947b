"""A report as one HTML file, or as a PDF: nothing else is needed to read it, and no browser to make it."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from odits.core.percent import percent
from odits.core.text import literal
from odits.figures.report import Report, Table
from odits.figures.stage import LINKING, STYLE, Slide, short_number, slide_html
from odits.figures.static import DPI, Draw, Theme, canvas, literal_label, save, save_pages
from odits.figures.words import word_mark

PAGE = (1123, 794)
"""Width and height in pixels of a page: A4, landscape."""
ROWS = 24
"""Rows of a table on a page."""
_MARGIN, _TOP = 0.045, 0.93
_STYLE = """
:root {color-scheme: light dark}
body {margin: 0; background: light-dark(#FFFFFF, #12171C); color: light-dark(#16202A, #E8EDF2);
  font: 16px/1.5 "Source Sans Pro", "Segoe UI", Roboto, Arial, sans-serif}
main {max-width: 1180px; margin: 0 auto; padding: 1.5rem}
h1 {font-size: 1.7rem; overflow-wrap: anywhere} h2 {font-size: 1.25rem; margin: 2rem 0 .5rem}
.facts, .numbers {border-collapse: collapse; font-size: .92rem}
.facts th, .facts td, .numbers th, .numbers td {text-align: left; padding: .25rem .9rem .25rem 0; vertical-align: top;
  border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); overflow-wrap: anywhere}
.numbers td:not(:first-child) {font-variant-numeric: tabular-nums}
.wide {overflow-x: auto} pre {white-space: pre-wrap; overflow-wrap: anywhere; padding: .7rem; border-radius: 6px;
  background: color-mix(in srgb, currentColor 9%, transparent)}
figure.drawing {margin: 0; background: #FFFFFF; border-radius: 6px; padding: .5rem; display: inline-block}
figure.drawing img {max-width: 100%; height: auto; display: block}
.stage-root {margin: 0 0 2rem}
@media print {h2 {break-after: avoid} .stage, figure {break-inside: avoid}}
"""


def _text(text: str) -> str:
    return html.escape(literal(text), quote=True)


def report_html(report: Report) -> bytes:
    """Return a report as one HTML file: figures and pictures are inside, and nothing is fetched."""
    import base64

    facts = "".join(
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in report.facts
    )
    parts = [
        f"<h1>{_text(report.title)}</h1><table class='facts'><tbody>{facts}</tbody></table>",
        f"<h2>The command that makes it again</h2><pre>{_text(report.command)}</pre>",
    ]
    if report.remarks:
        parts.append("<h2>Remarks</h2><ul>" + "".join(f"<li>{_text(one)}</li>" for one in report.remarks) + "</ul>")
    for drawing in report.drawings:
        source = base64.b64encode(save(drawing.draw, "svg")).decode()
        image = f'<img src="data:image/svg+xml;base64,{source}" alt="{_text(drawing.alt)}">'
        parts.append(f'<h2>{_text(drawing.title)}</h2><figure class="drawing">{image}</figure>')
    parts += [_table_html(table) for table in report.tables]
    if report.slides:
        parts.append("<h2>Chosen pictures</h2>")
    parts += [f'<div class="stage-root">{slide_html(slide)}</div>' for slide in report.slides]
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    script = f"{LINKING} document.querySelectorAll('.stage-root').forEach(linkWords);"
    document = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(report.title)}</title><style>{STYLE}{_STYLE}</style></head><body><main>{''.join(parts)}</main>"
        f"<script>{script}</script></body></html>"
    )
    return document.encode("utf-8", "replace")


def _table_html(table: Table) -> str:
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in table.columns)
    rows = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    note = f"<p>{_text(table.note)}</p>" if table.note else ""
    return (
        f'<h2>{_text(table.title)}</h2><div class="wide"><table class="numbers"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def report_pdf(report: Report, theme: str = "light") -> bytes:
    """Return a report as a PDF with embedded fonts, A4 landscape."""
    facts = [f"{name}: {value}" for name, value in report.facts]
    first = ["The command that makes it again:", report.command, "", *facts]
    draws: list[Draw] = [partial(_text_page, report.title, lines) for lines in _pages_of(first)]
    if report.remarks:
        draws += [partial(_text_page, "Remarks", lines) for lines in _pages_of(report.remarks)]
    draws += [partial(_figure_page, drawing.title, drawing.draw) for drawing in report.drawings]
    for table in report.tables:
        for start in range(0, max(len(table.rows), 1), ROWS):
            draws.append(partial(_table_page, table, start))
    draws += [partial(_slide_page, slide) for slide in report.slides]
    return save_pages(draws, theme, report.title)


def _pages_of(texts: Sequence[str], width: int = 118, lines: int = 30) -> list[list[str]]:
    """Break texts into lines, and these into pages."""
    broken = [line for text in texts for line in textwrap.wrap(text, width, subsequent_indent="    ") or [""]]
    return [broken[start : start + lines] for start in range(0, max(len(broken), 1), lines)]


def _page(title: str, theme: Theme) -> Figure:
    """Return an empty page with its title."""
    figure, (axes,) = canvas(*PAGE, theme)
    axes.set_axis_off()
    figure.set_layout_engine(None)
    axes.set_position((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    _title(figure, title, theme)
    return figure


def _title(figure: Figure, title: str, theme: Theme) -> None:
    short = title if len(title) <= 92 else f"{title[:91]}…"
    size = 15 if len(short) <= 68 else 11  # as wide as the page
    figure.text(_MARGIN, _TOP, literal_label(short), fontsize=size, fontweight="bold", color=theme.ink)


def _text_page(title: str, lines: Sequence[str], theme: Theme) -> Figure:
    figure = _page(title, theme)
    for number, line in enumerate(lines):
        figure.text(_MARGIN, _TOP - 0.055 - 0.027 * number, literal_label(line), fontsize=10.5, color=theme.ink)
    return figure


def _figure_page(title: str, draw: Draw, theme: Theme) -> Figure:
    """Put a figure on a page: as wide as the page, no higher than it was drawn."""
    figure = draw(theme)
    height = min(0.84, float(figure.get_size_inches()[1]) * DPI / PAGE[1])
    figure.set_size_inches(PAGE[0] / DPI, PAGE[1] / DPI)
    engine: Any = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(_MARGIN, _TOP - 0.03 - height, 1 - 2 * _MARGIN, height))
    for one in figure.legends:  # it stands at the foot of the page otherwise
        one.set_bbox_to_anchor((0.5, max(0.005, _TOP - 0.075 - height)), transform=figure.transFigure)
    _title(figure, title, theme)
    return figure


def _table_page(table: Table, start: int, theme: Theme) -> Figure:
    """Write some rows of a table; columns are as wide as what they hold."""
    figure = _page(table.title, theme)
    rows = [table.columns, *table.rows[start : start + ROWS]]
    widths = [max(len(row[column]) for row in rows) + 3 for column in range(len(table.columns))]
    ends = [
        min(sum(widths[:column]) * 0.0072, 0.0 + sum(widths[:column]) / sum(widths) * 0.9)
        for column in range(len(widths))
    ]
    for number, row in enumerate(rows):
        y = _TOP - 0.065 - 0.031 * number
        for column, cell in enumerate(row):
            longest = 48 if column == 0 else 30
            shown = cell if len(cell) <= longest else f"{cell[: longest - 1]}…"
            weight = "bold" if number == 0 else "normal"
            figure.text(
                _MARGIN + ends[column], y, literal_label(shown), fontsize=9.5, fontweight=weight, color=theme.ink
            )
    more = (
        f"{start + 1:,} to {min(start + ROWS, len(table.rows)):,} of {len(table.rows):,}. "
        if len(table.rows) > ROWS
        else ""
    )
    figure.text(_MARGIN, 0.04, literal_label(more + table.note), fontsize=9.5, color=theme.ink)
    return figure


def _slide_page(slide: Slide, theme: Theme) -> Figure:
    """Draw a picture and beside it the words of each model, the same in the same rows."""
    figure = _page(slide.title, theme)
    width, height = slide.image.size
    small = slide.image.copy()
    small.thumbnail((900, 900))
    picture = figure.add_axes((_MARGIN, 0.42, 0.27, 0.45), anchor="NW")
    picture.imshow(small, aspect="equal", extent=(0, width, height, 0))
    picture.set_axis_off()
    marks = [word_mark(row.word, slide.lexicon, slide.visible, slide.read) for row in slide.rows]
    left, each = 0.47, (1 - _MARGIN - 0.47) / len(slide.heads)
    for number, head in enumerate(slide.heads):
        axes = figure.add_axes((left + number * each, 0.1, each * 0.94, 0.72))
        axes.set_axis_off()
        shares = [row.cells[number].probability or 0.0 for row in slide.rows]
        most = max(shares, default=0.0) or 1.0
        axes.barh(
            range(len(shares)),
            [share / most for share in shares],
            0.72,
            color=[mark.color for mark in marks],
            alpha=0.35,
        )
        axes.set(xlim=(0, 1), ylim=(len(shares) - 0.5, -0.5))
        name = textwrap.wrap(head.name, max(12, int(each * 105)))[:2]
        figure.text(
            left + number * each,
            0.84,
            "\n".join(map(literal_label, name)),
            fontsize=10,
            fontweight="bold",
            color=theme.ink,
        )
        for place, (row, mark) in enumerate(zip(slide.rows, marks, strict=True)):
            if number == 0:
                word = f"{mark.sign} {row.word}".strip()
                axes.text(-0.03, place, literal_label(word[:26]), ha="right", va="center", fontsize=10, color=theme.ink)
            cell = row.cells[number]
            moved = "" if not cell.rose else f" {'▲' if cell.rose > 0 else '▼'}{short_number(abs(cell.rose))}"
            said = (
                "not asked"
                if cell.rank is None
                else f"{percent(cell.probability or 0)}  #{short_number(cell.rank)}{moved}"
            )
            axes.text(0.02, place, said, va="center", fontsize=9.5, color=theme.ink)
    note = "■ in the picture, ◆ in its lexicon. Bars: share of a column's highest; # the rank, ▲▼ against the first."
    figure.text(_MARGIN, 0.04, note, fontsize=9.5, color=theme.ink)
    return figure
