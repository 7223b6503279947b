"""The stage: one picture under several models, the same words in the same rows, as HTML that needs no network."""

from __future__ import annotations

import html
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from PIL import Image

from odits.core.percent import percent
from odits.core.text import literal
from odits.evaluation.alignment import AlignedRow, Cell, movers
from odits.figures.drawing import Outline
from odits.figures.theme import data_uri, jpeg
from odits.figures.words import LEXICON, READ, VISIBLE, WordMark, word_mark

PICTURE_SIDE = 960
"""Pixels of the picture's longer side."""
LONGEST_BAR = 96.0
"""Percent of its column that the longest bar takes: the next column's begins apart from it."""
CARRIERS = 3
"""Objects named below a model for one word."""


class Head(NamedTuple):
    """What stands above a column.

    Attributes:
        name: of the model, as short as it is called where it is chosen.
        checkpoint: the digest of its weights.
        whole: its whole name, shown when the column's head is pointed at.
    """

    name: str
    checkpoint: str
    whole: str = ""


class Carried(NamedTuple):
    """An object that carries a word under a model.

    Attributes:
        column: of the model.
        word: the word.
        label: what the object is called.
        adds: what the word's logit loses without it.
        outline: of the object in pixels of the picture.
    """

    column: int
    word: str
    label: str
    adds: float
    outline: Outline


@dataclass(frozen=True, eq=False)
class Slide:
    """One picture on the stage.

    Attributes:
        title: its name.
        image: RGB.
        heads: of the columns, two to four; one works too.
        rows: the words, aligned.
        lexicon: words known to belong to the picture.
        visible: words known to be visible in it.
        read: words that were read and stand in no list.
        carried: objects that carry words, of models that have objects.
        without: sentences about models that did not answer.
    """

    title: str
    image: Image.Image
    heads: tuple[Head, ...]
    rows: tuple[AlignedRow, ...]
    lexicon: tuple[str, ...] = ()
    visible: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    carried: tuple[Carried, ...] = ()
    without: tuple[str, ...] = field(default=())


def slide_html(slide: Slide, heading: str = "") -> str:
    """Return a slide as HTML: the picture, the table of words, and what carries them.

    Args:
        slide: what is shown.
        heading: before the picture's name, such as "2 of 5".
    """
    return (
        f'<section class="stage" aria-label="{_text(slide.title)}">'
        f"{_picture(slide, heading)}"
        f'<div class="stage-side"><table class="stage-words"><caption class="stage-hidden">The same words under '
        f"{len(slide.heads)} models</caption>{_head(slide)}<tbody>{_rows(slide)}</tbody></table>"
        f"{_below(slide)}</div></section>"
    )


def _text(text: str) -> str:
    return html.escape(literal(text), quote=True)


def _picture(slide: Slide, heading: str) -> str:
    width, height = slide.image.size
    places: dict[str, dict[str, None]] = {}
    for one in slide.carried:
        places.setdefault(_points(one.outline), {}).setdefault(one.word)
    shapes = "".join(
        f'<path d="{path}" data-words="{_text(json.dumps(list(words)))}"/>' for path, words in places.items() if path
    )
    overlay = f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{shapes}</svg>' if shapes else ""
    known = f"<span>{_legend(slide)}</span>"
    number = f'<span class="stage-number">{_text(heading)}</span> ' if heading else ""
    source = data_uri(jpeg(slide.image, PICTURE_SIDE))
    return (
        f'<figure class="stage-picture"><div class="stage-canvas" style="aspect-ratio:{width}/{height};'
        f'--ratio:{width / height:.4f}"><img src="{source}" alt="The picture {_text(slide.title)}">{overlay}</div>'
        f"<figcaption>{number}<b>{_text(slide.title)}</b>{known}</figcaption></figure>"
    )


def _points(outline: Outline) -> str:
    """Write an outline as an SVG path; None parts its rings."""
    parts: list[str] = []
    begin = True
    for x, y in zip(*outline, strict=True):
        if x is None or y is None:
            begin = True
            continue
        parts.append(f"{'M' if begin else 'L'}{x:.0f} {y:.0f}")
        begin = False
    return "".join(parts)


def _marks(slide: Slide) -> dict[str, WordMark]:
    return {row.word: word_mark(row.word, slide.lexicon, slide.visible, slide.read) for row in slide.rows}


def _legend(slide: Slide) -> str:
    there = set(_marks(slide).values())
    return " ".join(
        f'<i style="color:{mark.color}">{mark.sign}</i> {mark.title}'
        for mark in (VISIBLE, LEXICON, READ)
        if mark in there
    )


def _head(slide: Slide) -> str:
    first = '<th scope="col">word</th>'
    names = "".join(
        f'<th scope="col" title="{_text(head.whole or head.name)}"><b>{_text(head.name)}</b>'
        f"<small>{_text(head.checkpoint[:8])}{'' if number else ', the first'}</small></th>"
        for number, head in enumerate(slide.heads)
    )
    return f"<thead><tr>{first}{names}</tr></thead>"


def _rows(slide: Slide) -> str:
    marks = _marks(slide)
    highest = [
        max((row.cells[number].probability or 0.0 for row in slide.rows), default=0.0)
        for number in range(len(slide.heads))
    ]
    lines = []
    for row in slide.rows:
        mark = marks[row.word]
        sign = f'<i aria-hidden="true">{mark.sign}</i> ' if mark.sign else ""
        spoken = f'<span class="stage-hidden"> ({mark.title})</span>' if mark.sign else ""
        cells = "".join(
            _cell(cell, most, number) for number, (cell, most) in enumerate(zip(row.cells, highest, strict=True))
        )
        lines.append(
            f'<tr tabindex="0" data-word="{_text(row.word)}" style="--mark:{mark.color}">'
            f'<th scope="row">{sign}<span>{_text(row.word)}</span>{spoken}</th>{cells}</tr>'
        )
    return "".join(lines)


def _cell(cell: Cell, most: float, number: int) -> str:
    if cell.probability is None or cell.rank is None:
        return '<td class="stage-none">not asked</td>'
    width = LONGEST_BAR * cell.probability / most if most else 0
    moved = _moved(cell, number)
    rank = f'<span class="stage-rank" title="rank {cell.rank:,}">{short_number(cell.rank)}'
    return (
        f'<td><div class="stage-bar" style="width:{width:.1f}%"></div><div class="stage-cell">'
        f'<span class="stage-share">'
        f"{_text(percent(cell.probability))}</span> {rank}{moved}</span></div></td>"
    )


def short_number(number: int) -> str:
    """Write a whole number in at most four letters.

    Example:
        >>> [short_number(number) for number in (7, 999, 2186, 19322, 100_000)]
        ['7', '999', '2.2k', '19k', '100k']
    """
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 9950 else f"{number / 1000:.0f}k"


def _moved(cell: Cell, number: int) -> str:
    """Write how far a word moved against the first model, in signs and in words."""
    if not number or cell.rose is None:
        return ""
    if not cell.rose:
        return ' <span class="stage-same"><span aria-hidden="true">=</span></span>'
    up = cell.rose > 0
    return (
        f' <span class="stage-{"rose" if up else "fell"}"><span aria-hidden="true">{"▲" if up else "▼"}</span>'
        f'<span class="stage-hidden">{"rose" if up else "fell"} by </span>{short_number(abs(cell.rose))}</span>'
    )


def _below(slide: Slide) -> str:
    """Write below each model what rose and fell, and which objects carry its words."""
    cells = []
    for number, head in enumerate(slide.heads):
        lines = [] if number == 0 else [_movers(slide.rows, number)]
        carried = [one for one in slide.carried if one.column == number]
        for word in dict.fromkeys(one.word for one in carried):
            named = ", ".join(f"{_text(one.label)} {one.adds:+.1f}" for one in carried if one.word == word)
            lines.append(f'<p data-word="{_text(word)}"><b>{_text(word)}</b> ← {named}</p>')
        cells.append(f'<div class="stage-note"><h3 class="stage-hidden">{_text(head.name)}</h3>{"".join(lines)}</div>')
    said = "".join(f'<p class="stage-without">{_text(sentence)}</p>' for sentence in slide.without)
    return f'<div class="stage-below" style="--columns:{len(slide.heads)}"><div></div>{"".join(cells)}</div>{said}'


def _movers(rows: Sequence[AlignedRow], number: int) -> str:
    rose, fell = movers(rows, number)
    parts = [
        f"<span>{title} {', '.join(f'<b>{_text(row.word)}</b> {row.cells[number].rose:+,}' for row in found)}</span>"
        for title, found in (("rose:", rose), ("fell:", fell))
        if found
    ]
    return f'<p class="stage-movers">{"; ".join(parts) or "the same order as the first"}</p>'


STYLE = """
.stage-root {--ink: var(--st-text-color, light-dark(#16202A, #E8EDF2)); --paper: var(--st-background-color,
  light-dark(#FFFFFF, #12171C)); --soft: color-mix(in srgb, var(--ink) 14%, transparent);
  --quiet: color-mix(in srgb, var(--ink) 76%, transparent); --size: clamp(14px, 1.05vw, 24px); color: var(--ink);
  font: var(--size)/1.35 var(--st-font, "Source Sans Pro", "Segoe UI", Roboto, Arial, sans-serif)}
.stage-root.filling {position: fixed; inset: 0; z-index: 1000000; background: var(--paper); padding: 1rem 1.5rem;
  overflow: auto; --size: clamp(15px, 1.35vw, 30px)}
.stage-root.large {--size: clamp(26px, 2.35vw, 52px)}
.stage-hidden {position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)}
.stage {display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 7fr); gap: 1rem; align-items: start}
.stage-picture {margin: 0; min-width: 0; position: sticky; top: 0}
.stage-canvas {position: relative; max-width: 100%; max-height: 62vh; width: min(100%, 62vh * var(--ratio))}
.large .stage-canvas {max-height: 46vh; width: min(100%, 46vh * var(--ratio))}
.stage-canvas img, .stage-canvas svg {position: absolute; inset: 0; width: 100%; height: 100%; border-radius: 6px}
.stage-canvas path {fill: transparent; stroke: #56B4E9; stroke-width: 2; vector-effect: non-scaling-stroke}
.stage-canvas path.lit {fill: rgba(240, 228, 66, .4); stroke: #F0E442; stroke-width: 4}
.stage-picture figcaption {display: flex; flex-wrap: wrap; gap: .1rem .8rem; font-size: .9em; overflow-wrap: anywhere;
  padding-top: .3rem}
.stage-picture i, .stage-words i {font-style: normal}
.stage-words {width: 100%; border-collapse: collapse; table-layout: fixed; margin: 0}
.stage-words th, .stage-words td {text-align: left; padding: .22em .4em; border: 0;
  border-bottom: 1px solid var(--soft); vertical-align: middle; position: relative; font-weight: 400;
  overflow-wrap: anywhere}
.stage-words thead th {vertical-align: bottom; border-bottom: 2px solid var(--quiet)}
.stage-words small {display: block}
.stage-words thead b {display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 5; overflow: hidden}
.stage-words td {white-space: nowrap}
.stage-words small {color: var(--quiet); font-size: .82em; overflow-wrap: anywhere}
.stage-words tbody th {font-weight: 650; line-height: 1.15}
.stage-words tbody i {color: var(--mark)}
/* a sign stands beside its word, however wide the word is */
.stage-words tbody th:has(> i) {padding-left: 1.45em} .stage-words tbody th > i {position: absolute; left: .4em}
.stage-bar {position: absolute; left: 0; top: 12%; bottom: 12%; background: var(--mark); opacity: .3;
  border-radius: 0 4px 4px 0; border-left: 3px solid var(--mark); box-sizing: border-box}
.stage-share {position: relative; font-size: .94em; font-variant-numeric: tabular-nums}
.stage-rank {position: relative; float: right; font-size: .8em; font-variant-numeric: tabular-nums; line-height: 1.6}
.stage-cell {container-type: inline-size}
@container (max-width: 7.8em) {.stage-rank {float: none; display: block; line-height: 1.25}}
.stage-rank::before {content: "#"; opacity: .7}
.stage-rose {color: light-dark(#1B6B3C, #6FCF97)} .stage-fell {color: light-dark(#A8440A, #F2A66B)}
.stage-none {color: var(--quiet); font-size: .86em}
.stage-words tr.lit th, .stage-words tr.lit td {background: var(--soft)}
.stage-words tr:focus-visible {outline: 3px solid var(--st-primary-color, #2A86C8); outline-offset: -3px}
.stage-below {display: grid; grid-template-columns: repeat(calc(var(--columns) + 1), minmax(0, 1fr)); font-size: .86em}
.stage-note {padding: .35em .5em} .stage-note p {margin: 0 0 .3em; overflow-wrap: anywhere}
.stage-note p.lit {background: var(--soft)}
.stage-movers {color: var(--quiet)}
.large .stage-below {display: none}
.large .stage-words th:first-child {width: 26%} .large .stage-share {font-size: .86em}
.large .stage-words thead b {font-size: .8em; line-height: 1.2} .large .stage-words small {font-size: .62em}
.large .stage-rank {font-size: .66em}
.large .stage-words :is(th, td) {padding: .1em .3em} .large .stage-words tbody th:has(> i) {padding-left: 1.2em}
.large .stage-words tbody th > i {left: .2em}
.stage-without {font-size: .9em; margin: .3em .5em}
@media (max-width: 900px) {.stage {grid-template-columns: minmax(0, 1fr)} .stage-picture {position: static}
  .stage-canvas {width: min(100%, 34vh * var(--ratio))}}
@media (forced-colors: active) {.stage-bar {border: 1px solid CanvasText} .stage-words tr.lit th {outline: 2px solid
  Highlight}}
"""
"""The look of a stage; its root has the class `stage-root`, and `large` for text that is read at three metres."""

LINKING = """
const light = (root, word) => {
  for (const one of root.querySelectorAll("[data-word]"))
    one.classList.toggle("lit", word !== null && one.dataset.word === word);
  for (const one of root.querySelectorAll("[data-words]"))
    one.classList.toggle("lit", word !== null && JSON.parse(one.dataset.words).includes(word));
};
const linkWords = (root) => {
  const wordOf = (event) => event.target.closest?.("[data-word]")?.dataset.word ?? null;
  root.addEventListener("mouseover", (event) => light(root, wordOf(event)));
  root.addEventListener("mouseleave", () => light(root, null));
  root.addEventListener("focusin", (event) => light(root, wordOf(event)));
  root.addEventListener("focusout", () => light(root, null));
};
"""
"""JavaScript: a word that is pointed at, or has the focus, is brought out in every column and over the picture."""

_PLAYER = """
const slides = [...document.querySelectorAll(".slide")];
const root = document.querySelector(".stage-root");
const number = document.querySelector("#number");
let current = 0;
const show = (index) => {
  current = Math.min(Math.max(index, 0), slides.length - 1);
  slides.forEach((slide, place) => { slide.hidden = place !== current; });
  number.textContent = `${current + 1} of ${slides.length}`;
  document.querySelector("#previous").disabled = current === 0;
  document.querySelector("#next").disabled = current === slides.length - 1;
  history.replaceState(null, "", `#${current + 1}`);
};
const full = () =>
  document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.();
const large = () => root.classList.toggle("large");
const dark = () => {
  const now = getComputedStyle(document.documentElement).colorScheme;
  const isDark = now === "dark" || (now !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.style.colorScheme = isDark ? "light" : "dark";
};
const keys = { ArrowRight: () => show(current + 1), PageDown: () => show(current + 1), " ": () => show(current + 1),
  ArrowLeft: () => show(current - 1), PageUp: () => show(current - 1), Home: () => show(0),
  End: () => show(slides.length - 1), f: full, l: large, d: dark };
document.addEventListener("keydown", (event) => {
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && event.target.closest("button")) return;
  event.preventDefault();
  act();
});
const buttons = { previous: () => show(current - 1), next: () => show(current + 1), full, large, dark };
for (const [name, act] of Object.entries(buttons))
  document.querySelector(`#${name}`).addEventListener("click", act);
linkWords(root);
show((parseInt(location.hash.slice(1), 10) || 1) - 1);
"""

_DOCUMENT_STYLE = """
:root {color-scheme: light dark}
body {margin: 0; background: light-dark(#FFFFFF, #12171C)}
.stage-root {padding: .8rem 1.4rem}
header, footer {display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; margin-bottom: .7rem; font-size: 15px}
header h1 {font-size: 1.1rem; margin: 0 auto 0 0; font-weight: 650; overflow-wrap: anywhere}
button {font: inherit; color: inherit; background: transparent; border: 1px solid currentColor; border-radius: 6px;
  padding: .25rem .7rem; cursor: pointer} button:disabled {opacity: .45; cursor: default}
footer {margin: .8rem 0 0; opacity: .85}
@media print {header button {display: none} .slide[hidden] {display: block !important; break-before: page}}
"""


def stage_document(slides: Collection[Slide], title: str, about: str = "") -> str:
    """Return slides as one HTML file that plays again without a network: keys, linked words, large text, full screen.

    Args:
        slides: at least one.
        title: of the file.
        about: below the slides, such as what made them.
    """
    shown = "".join(f'<div class="slide" hidden>{slide_html(slide)}</div>' for slide in slides)
    buttons = "".join(
        f'<button id="{name}" type="button">{label}</button>'
        for name, label in (
            ("previous", "◀ Previous"),
            ("next", "Next ▶"),
            ("large", "Large text (L)"),
            ("dark", "Light or dark (D)"),
            ("full", "Full screen (F)"),
        )
    )
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}{_DOCUMENT_STYLE}</style></head><body>"
        f'<main class="stage-root"><header><h1>{_text(title)}</h1><span id="number" aria-live="polite"></span>{buttons}'
        f"</header>{shown}<footer>{_text(about)}</footer></main>"
        f"<script>{LINKING}{_PLAYER}</script></body></html>"
    )
