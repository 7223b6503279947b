"""Many images at once: thumbnails with the words that models predict, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import streamlit as st

from odits.core.errors import OditsError
from odits.core.text import literal
from odits.data import ImageRecord
from odits.data.marks import Mark
from pages._shared import state
from pages._shared.layout import escape_html, escape_markdown
from pages._shared.pictures import short_name, thumbnail
from pages._shared.words import words_in_a_row

PER_PAGE = 24

_STYLE = """
<style>
.st-key-gallery {
  display: grid !important; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: 1rem
}
.st-key-gallery > div {width: auto !important; min-width: 0}
[class*="st-key-card-"] {position: relative; height: 100%; gap: .4rem; padding: .6rem .7rem .7rem}
[class*="st-key-card-"]:hover, [class*="st-key-card-"]:focus-within {border-color: var(--st-primary-color, #2A86C8)}
[class*="st-key-card-"] img {
  height: 9.5rem; width: 100% !important; object-fit: contain; border-radius: 4px; background: rgba(128, 140, 152, .14)
}
[class*="st-key-card-"] button {min-height: 0; text-align: left; position: static}
[class*="st-key-card-"] button p {font-weight: 600; overflow-wrap: anywhere; text-align: left}
/* the whole card is the button's */
[class*="st-key-card-"] [class*="st-key-open-"], [class*="st-key-open-"] :is(div, span, button) {position: static}
[class*="st-key-card-"] button::after {content: ""; position: absolute; inset: 0; z-index: 1; cursor: pointer}
[class*="st-key-card-"] :is([data-testid="stImage"], [data-testid="stImageContainer"]) {width: 100% !important}
[class*="st-key-card-"] [data-testid="stElementToolbar"] {display: none}
.st-key-gallery-filter > div {flex: 1 1 8.5rem; min-width: 0}
.st-key-gallery-filter > div:first-child {flex-basis: 13.5rem}
.st-key-gallery-filter > div:last-child {max-width: 22rem}
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

    picture: ImageRecord
    words: Mapping[str, Sequence[str]]
    notes: Sequence[str] = ()
    marks: Mapping[str, Mark] = {}


def style() -> None:
    """Give cards and filters their look; once on a page that shows them."""
    st.html(_STYLE)


def show_cards(cards: Sequence[Card], open_one: Callable[[str], None]) -> None:
    """Show the cards in a grid; a click anywhere on one calls `open_one` with its image's name."""
    with st.container(key="gallery"):
        for place, card in enumerate(cards):
            with st.container(border=True, key=f"card-{place}"):
                _show(card, place, open_one)


def _show(card: Card, place: int, open_one: Callable[[str], None]) -> None:
    name = card.picture.name
    try:
        st.image(thumbnail(card.picture), alt=f"The image {literal(name)}", width="stretch")
    except OditsError as error:
        st.caption(escape_markdown(str(error)))
    label = escape_markdown(short_name(name))
    st.button(label, key=f"open-{place}", type="tertiary", on_click=open_one, args=(name,))
    lines = [f'<p class="odits-note">{escape_html(note)}</p>' for note in card.notes]
    for number, (model, words) in enumerate(card.words.items()):
        if len(card.words) > 1:
            lines.append(f'<p class="odits-note"><b>{escape_html(model)}</b></p>')
        lines.append(words_in_a_row(words, card.picture, {} if number else card.marks))
    st.html("".join(lines))


def page_of(count: int) -> tuple[int, int]:
    """Return the page to show (from 0) and how many there are, from what the link or a button said."""
    pages = max(-(-count // PER_PAGE), 1)
    sheet = state.number("sheet", pages)
    state.put("sheet", sheet)
    return sheet - 1, pages


def pager(count: int, sheet: int, pages: int, key: str) -> None:
    """Draw previous and next page, and where one is; the arrow keys go there too."""
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
