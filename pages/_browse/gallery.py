"""Many images at once: thumbnails with the words that models predict, page by page."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import streamlit as st

from odits.core.errors import OditsError
from odits.data.annotations import Mark
from odits.figures.words import BOXED, LEXICON, WordMark, word_mark
from pages._shared import state
from pages._shared.layout import plain
from pages._shared.pictures import Picture, plain_name
from pages._shared.thumbnails import small_jpeg

PER_PAGE = 24
SIDE = 320
"""The longer side of a thumbnail in pixels."""

SIGNS = {"right": "✓", "wrong": "✗", "unsure": "?"}
"""How a verdict is written after a word."""

_STYLE = f"""
<style>
.st-key-gallery {{
  display: grid !important; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: 1rem
}}
.st-key-gallery > div {{width: auto !important; min-width: 0}}
[class*="st-key-card-"] {{position: relative; height: 100%; gap: .4rem; padding: .6rem .7rem .7rem}}
[class*="st-key-card-"]:hover, [class*="st-key-card-"]:focus-within {{border-color: var(--st-primary-color, #2A86C8)}}
[class*="st-key-card-"] img {{
  height: 9.5rem; width: 100% !important; object-fit: contain; border-radius: 4px; background: rgba(128, 140, 152, .14)
}}
[class*="st-key-card-"] button {{min-height: 0; text-align: left; position: static}}
[class*="st-key-card-"] button p {{font-weight: 600; overflow-wrap: anywhere; text-align: left}}
/* the whole card is the button's */
[class*="st-key-card-"] [class*="st-key-open-"], [class*="st-key-open-"] :is(div, span, button) {{position: static}}
[class*="st-key-card-"] button::after {{content: ""; position: absolute; inset: 0; z-index: 1; cursor: pointer}}
[class*="st-key-card-"] :is([data-testid="stImage"], [data-testid="stImageContainer"]) {{width: 100% !important}}
[class*="st-key-card-"] [data-testid="stElementToolbar"] {{display: none}}
.st-key-wishes > div {{flex: 1 1 8.5rem; min-width: 0}}
.st-key-wishes > div:first-child {{flex-basis: 13.5rem}}
.odits-words {{
  list-style: none; margin: .1rem 0 0 !important; padding: 0 !important; font-size: .82rem; line-height: 1.5
}}
.odits-words li {{display: inline-block; margin: 0 .6rem 0 0; padding: 0; overflow-wrap: anywhere}}
.odits-words .boxed {{font-weight: 650; text-decoration: underline 2px {BOXED.color}; text-underline-offset: 3px}}
.odits-words .lexicon {{font-weight: 650; text-decoration: underline dotted 2px {LEXICON.color};
  text-underline-offset: 3px}}
.odits-words .boxed i {{color: {BOXED.color}}} .odits-words .lexicon i {{color: {LEXICON.color}}}
.odits-words i {{font-style: normal}}
.odits-words .other {{opacity: .82}}
.odits-words b {{font-weight: 700; padding: 0 .2em; border-radius: 3px; background: rgba(128, 140, 152, .22)}}
.odits-note {{font-size: .8rem; opacity: .8; margin: 0}}
.odits-hidden {{
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap
}}
.odits-legend {{font-size: .85rem}}
</style>
"""


class Card(NamedTuple):
    """What the gallery shows of one image.

    Attributes:
        picture: the image and its known words.
        words: the most probable words by model: the first is the one whose words are marked.
        notes: short lines below the name.
        marks: the annotator's marks of the first model's words.
    """

    picture: Picture
    words: Mapping[str, Sequence[str]]
    notes: Sequence[str] = ()
    marks: Mapping[str, Mark] = {}


def style() -> None:
    """The look of cards and words; once on a page that shows them."""
    st.html(_STYLE)


def legend() -> None:
    """What colours, lines and signs mean, in one line."""
    signs = ", ".join(f"<b>{sign}</b> marked {verdict}" for verdict, sign in SIGNS.items())
    st.html(
        f'<ul class="odits-words odits-legend" aria-label="Legend">'
        f'<li class="boxed"><i aria-hidden="true">{BOXED.sign}</i> {BOXED.title}</li>'
        f'<li class="lexicon"><i aria-hidden="true">{LEXICON.sign}</i> {LEXICON.title}</li>'
        f'<li class="other">no sign: any other word</li><li>{signs}</li></ul>'
    )


def words_html(words: Sequence[str], picture: Picture, marks: Mapping[str, Mark]) -> str:
    """Words in a row as HTML: each with its standing in colour, line and sign, read out too, and its mark."""
    return f'<ul class="odits-words">{"".join(_item(word, picture, marks.get(word)) for word in words)}</ul>'


def _item(word: str, picture: Picture, mark: Mark | None) -> str:
    standing = word_mark(word, picture.lexicon, picture.visible)
    sign = f'<i aria-hidden="true">{standing.sign}</i> ' if standing.sign else ""
    spoken = f'<span class="odits-hidden"> ({standing.title})</span>' if standing.sign else ""
    verdict = ""
    if mark is not None:
        verdict = (
            f' <b aria-hidden="true">{SIGNS[mark.verdict]}</b>'
            f'<span class="odits-hidden"> marked {html.escape(mark.verdict)}</span>'
        )
    return f'<li class="{_class(standing)}">{sign}{html.escape(word)}{spoken}{verdict}</li> '


def _class(standing: WordMark) -> str:
    return "boxed" if standing is BOXED else "lexicon" if standing is LEXICON else "other"


def show_cards(cards: Sequence[Card], open_one: Callable[[str], None]) -> None:
    """The cards in a grid; a click anywhere on one calls `open_one` with its image's name."""
    with st.container(key="gallery"):
        for place, card in enumerate(cards):
            with st.container(border=True, key=f"card-{place}"):
                _show(card, place, open_one)


def _show(card: Card, place: int, open_one: Callable[[str], None]) -> None:
    name = card.picture.name
    try:
        small = small_jpeg(card.picture.key, SIDE, card.picture.source, name)
        st.image(small, alt=f"The image {plain(name)}", width="stretch")
    except OditsError as error:
        st.caption(plain(str(error)))
    st.button(plain(plain_name(name)), key=f"open-{place}", type="tertiary", on_click=open_one, args=(name,))
    parts = [f'<p class="odits-note">{html.escape(note)}</p>' for note in card.notes]
    for number, (model, words) in enumerate(card.words.items()):
        if len(card.words) > 1:
            parts.append(f'<p class="odits-note"><b>{html.escape(model)}</b></p>')
        parts.append(words_html(words, card.picture, {} if number else card.marks))
    st.html("".join(parts))


def page_of(count: int) -> tuple[int, int]:
    """The page to show (from 0) and how many there are, from what the link or a button said."""
    pages = max(-(-count // PER_PAGE), 1)
    sheet = state.number("sheet", pages)
    state.put("sheet", sheet)
    return sheet - 1, pages


def pager(count: int, sheet: int, pages: int, key: str) -> None:
    """Previous and next page, and where one is; the arrow keys go there too."""
    first, last = sheet * PER_PAGE + 1, min((sheet + 1) * PER_PAGE, count)
    with st.container(horizontal=True, vertical_alignment="center", key=f"pager-{key}", gap="small"):
        if pages > 1:
            shortcuts = ("Left", "Right") if key == "top" else (None, None)
            for title, step, shortcut in zip(("Previous page", "Next page"), (-1, 1), shortcuts, strict=True):
                st.button(
                    title,
                    key=f"{title}-{key}",
                    shortcut=shortcut,
                    disabled=not 0 <= sheet + step < pages,
                    on_click=state.act,
                    args=("sheet", sheet + 1 + step),
                )
        st.caption(f"{first:,} to {last:,} of {count:,} images", width="content")
