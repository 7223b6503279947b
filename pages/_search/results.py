"""What a search shows: sentences, cards (words outlined, the place enlarged, why it was found), and a table."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image, ImageDraw

from odits.core.errors import OditsError
from odits.core.percent import percent
from odits.data import open_image
from odits.figures.theme import data_uri, jpeg
from odits.figures.words import FOUND_COLOR
from odits.search.index import IndexedImage, is_unchanged
from odits.search.query import Query
from odits.search.ranking import Hit, Searcher, search
from pages._shared import state
from pages._shared.layout import escape_html, escape_markdown, file_stem, table_download

if TYPE_CHECKING:
    from odits.search.image_ranking import Standing

SIDE, CROP = 480, (480, 132)
"""Pixels of a picture's longer side, and of an enlarged place; twice what they take on the page."""
SHOWN = 12
MOST = 240
"""Images that reading lists."""
SURE = 0.5
"""The probability from which an image surely shows the words."""

_STYLE = f"""
<style>
.odits-hits {{display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: 1rem; margin: 0}}
.odits-hits.narrow {{grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr))}}
.odits-hit {{border: 1px solid rgba(128, 140, 152, .35); border-radius: .5rem; padding: .7rem; min-width: 0}}
.odits-hit > a, .odits-hit > span.frame {{display: block}}
.odits-hit .picture {{
  width: 100%; height: 10rem; object-fit: contain; border-radius: 4px; background: rgba(128, 140, 152, .14)
}}
.odits-hit .place {{display: block; max-width: 100%; max-height: 4.1rem; border-radius: 4px; margin-top: .5rem}}
.odits-hit h4 {{font-size: .95rem; margin: .5rem 0 0; padding: 0; overflow-wrap: anywhere; font-weight: 600}}
.odits-hit h4 a {{color: inherit}}
.odits-hit p {{font-size: .85rem; margin: .25rem 0 0; overflow-wrap: anywhere; line-height: 1.45}}
.odits-hit .sure {{font-weight: 650}}
.odits-hit .bar {{height: 5px; border-radius: 3px; background: rgba(128, 140, 152, .25); margin-top: .35rem}}
.odits-hit .bar i {{display: block; height: 100%; border-radius: 3px; background: {FOUND_COLOR}}}
.odits-hit .faint {{opacity: .8}}
.st-key-query-row > div {{min-width: 0}}
.st-key-query-row > div:first-child {{flex: 1 1 16rem}}
/* as high as the field beside them, so that all labels stand in one line */
.st-key-query-row [role="radio"] {{min-height: 2.5rem}}
</style>
"""


class Result(NamedTuple):
    """An image to show: what reading found in it, and where it stands in both rankings where those are known."""

    image: IndexedImage
    hit: Hit | None
    standing: Standing | None = None


def style() -> None:
    """Give the cards their look; once on the page."""
    st.html(_STYLE)


def _show_cards(results: Sequence[Result], link: str | None, narrow: bool = False) -> None:
    """Show the results as cards, in their order.

    Args:
        results: best first.
        link: address of the page that shows an image, which its name is added to; None where no page does.
        narrow: whether there is half the room.
    """
    cards = "".join(_card(rank, result, link) for rank, result in enumerate(results, start=1))
    st.html(f'<div class="odits-hits{" narrow" if narrow else ""}">{cards}</div>')


def show_list(results: Sequence[Result], query: Query, link: str | None, key: str, narrow: bool = False) -> None:
    """Show cards, more of them at a button, and the table to download."""
    asked = str(state.get("show") or "")
    shown = int(asked) if asked.isdecimal() and len(asked) < 6 else SHOWN
    _show_cards(results[:shown], link, narrow)
    with st.container(horizontal=True, vertical_alignment="center", key=f"more-{key}"):
        if len(results) > shown:
            st.button(
                "Show more",
                key=f"show-more-{key}",
                icon=":material/expand_more:",
                on_click=state.act,
                args=("show", shown + 2 * SHOWN),
            )
            st.caption(f"{shown:,} of {len(results):,}", width="content")
        stem = file_stem(f"search-{'-'.join(query.words)}-{key}")
        table_download(table_of(results, query), stem, f"table-{key}", "Results")


def table_of(results: Sequence[Result], query: Query) -> pd.DataFrame:
    """Return the results as a table, a row an image."""
    rows: list[dict[str, Any]] = []
    for rank, (image, hit, standing) in enumerate(results, start=1):
        row: dict[str, Any] = {"rank": rank, "image": image.name, "path": image.path}
        row["probability"] = hit.probability if hit else None
        if standing is not None:
            row |= {"rank by reading": standing.reading_rank or None, "rank by CLIP": standing.image_rank}
        for number, word in enumerate(query.words):
            match = hit.matches[number] if hit else None
            corners = "" if match is None else " ".join(f"{x:.1f},{y:.1f}" for x, y in match.corners)
            row |= {
                f"{word}: read": match.text if match else "",
                f"{word}: why": match.why if match else "",
                f"{word}: corners": corners,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def show_caption(hits: Sequence[Hit], query: Query) -> None:
    """Say how many images show the words."""
    words = escape_markdown(" and ".join(query.words))
    sure = sum(hit.probability >= SURE for hit in hits)
    more = len(hits) - sure
    unsure = f"{more} more may do so" if sure else f"{more} may do so, none surely"
    if len(hits) >= MOST:
        unsure = "more may do so"
    first = f"**{sure:,}** {'image shows' if sure == 1 else 'images show'} {words}" if sure else f"**{words}**"
    st.markdown(f"{first}; {unsure}." if more else f"{first}.")


def show_none(searcher: Searcher, query: Query) -> None:
    """Say that no image shows the words, and what comes nearest."""
    words = escape_markdown(" and ".join(query.words))
    near: list[str] = []
    for word in query.words:
        looser = search(searcher, Query((word,), True, 2), 5)
        near += [hit.matches[0].text.strip() for hit in looser]
    shown = ", ".join(f"“{escape_markdown(text)}”" for text in list(dict.fromkeys(filter(None, near)))[:6])
    hint = f" The nearest readings are {shown}." if shown else ""
    loosen = "" if query.part and query.tolerance == 2 else " Allow wrong letters or parts of words to find more."
    together = "" if len(query.words) == 1 else " together"
    st.info(f"No image shows {words}{together}.{hint}{loosen}", icon=":material/search_off:")


def _card(rank: int, result: Result, link: str | None) -> str:
    image, hit = result.image, result.hit
    outlines = tuple(tuple(map(tuple, match.corners.tolist())) for match in hit.matches) if hit else ()
    said = [_why(match.word, match.why, len(hit.matches) > 1) for match in hit.matches] if hit else []
    name = escape_html(image.name)
    title = name
    if link:
        address = link + quote(image.name, safe="", errors="replace")
        title = f'<a href="{html.escape(address, quote=True)}">{name}</a>'
    if not is_unchanged(image):
        picture = '<p class="faint">The file was changed or removed since it was indexed.</p>'
    else:
        try:
            whole, places = _drawn(image.path, image.stamp, outlines)
            alt = f"{image.name} with {', '.join(match.word for match in hit.matches)} outlined" if hit else image.name
            picture = _picture(whole, "picture", alt)
            picture += "".join(_picture(place, "place", "The place enlarged") for place in places)
        except OditsError as error:
            picture = f'<p class="faint">{escape_html(str(error))}</p>'
    lines = [f'<p class="sure">{escape_html(percent(hit.probability))} sure</p>{_bar(hit.probability)}'] if hit else []
    lines += [f"<p>{line}</p>" for line in said]
    if result.standing is not None:
        read = f"{result.standing.reading_rank}. by reading" if result.standing.reading_rank else "not read there"
        lines.append(f'<p class="faint">{read} · {result.standing.image_rank:,}. by CLIP</p>')
    return f'<div class="odits-hit">{picture}<h4>{rank}. {title}</h4>{"".join(lines)}</div>'


def _why(word: str, why: str, several: bool) -> str:
    return escape_html(f"{word}: {why}" if several else why[:1].upper() + why[1:])


def _bar(share: float) -> str:
    return f'<div class="bar" aria-hidden="true"><i style="width:{100 * share:.1f}%"></i></div>'


def _picture(data: bytes, kind: str, alt: str) -> str:
    return f'<img class="{kind}" src="{data_uri(data)}" alt="{escape_html(alt)}">'


Outlines = tuple[tuple[tuple[float, ...], ...], ...]


@st.cache_data(max_entries=600, show_spinner=False)
def _drawn(path: str, stamp: str, outlines: Outlines) -> tuple[bytes, list[bytes]]:
    """Draw the small picture with words outlined, and each word's place enlarged, as JPEGs. Raises ImageError."""
    image = open_image(Path(path))
    places = [jpeg(place_of(image, np.array(corners)), max(CROP)) for corners in outlines[:3]]
    small = image.copy()
    small.thumbnail((SIDE, SIDE), reducing_gap=2.0)
    scale = small.width / image.width
    draw = ImageDraw.Draw(small)
    for corners in outlines:
        points = [(x * scale, y * scale) for x, y in [*corners, corners[0]]]
        for color, width in (("#10161C", 7), (FOUND_COLOR, 4)):  # a dark rim: seen on bright pictures too
            draw.line(points, color, width, joint="curve")
    return jpeg(small, SIDE), places


def place_of(image: Image.Image, corners: np.ndarray) -> Image.Image:
    """Cut out the upright surroundings of a place, corners (4, 2), and enlarge them to at most `CROP`."""
    (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
    margin = 0.3 * max(4.0, min(x1 - x0, y1 - y0))
    box = (
        int(max(0, x0 - margin)),
        int(max(0, y0 - margin)),
        int(min(image.width, np.ceil(x1 + margin))),
        int(min(image.height, np.ceil(y1 + margin))),
    )
    cut = image.crop((box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1)))
    scale = min(CROP[0] / cut.width, CROP[1] / cut.height)
    return cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))), Image.Resampling.BICUBIC)
