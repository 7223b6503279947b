"""Results as cards: the picture with the words outlined, the place enlarged, and why it was found."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
import numpy as np
import streamlit as st
from PIL import Image, ImageDraw
from odits.core.errors import OditsError
from odits.data import open_image
from odits.figures.words import FOUND
from odits.figures.words import percent
from odits.search.image_ranking import Standing
from odits.search.index import IndexedImage, stamp_of
from odits.search.ranking import Hit


SIDE, CROP = 480, (480, 132)
"""Pixels of a picture's longer side, and of an enlarged place; twice what they take on the page."""

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
.odits-hit .bar i {{display: block; height: 100%; border-radius: 3px; background: {FOUND}}}
.odits-hit .faint {{opacity: .8}}
.st-key-query-row > div {{min-width: 0}}
.st-key-query-row > div:first-child {{flex: 1 1 16rem}}
</style>
"""


class Result(NamedTuple):
    """An image to show: what reading found in it, and where it stands in both rankings where those are known."""

    image: IndexedImage
    hit: Hit | None
    standing: Standing | None = None


def style() -> None:
    """The look of the cards; once on the page."""
    st.html(_STYLE)


def show_results(results: Sequence[Result], link: str | None, narrow: bool = False) -> None:
    """The results as cards, in their order.

    Args:
        link: address of the page that shows an image, which its name is added to; None where no page does.
        narrow: whether there is half the room.
    """
    cards = "".join(_card(rank, result, link) for rank, result in enumerate(results, start=1))
    st.html(f'<div class="odits-hits{" narrow" if narrow else ""}">{cards}</div>')


def _card(rank: int, result: Result, link: str | None) -> str:
    image, hit = result.image, result.hit
    outlines = tuple(tuple(map(tuple, match.corners.tolist())) for match in hit.matches) if hit else ()
    said = [_why(match.word, match.why, len(hit.matches) > 1) for match in hit.matches] if hit else []
    name = html.escape(image.name)
    title = f'<a href="{html.escape(link + _quoted(image.name), quote=True)}">{name}</a>' if link else name
    if stamp_of(Path(image.path)) != image.stamp:
        picture = '<p class="faint">The file was changed or removed since it was indexed.</p>'
    else:
        try:
            whole, places = _drawn(image.path, image.stamp, outlines)
            alt = f"{image.name} with {', '.join(match.word for match in hit.matches)} outlined" if hit else image.name
            picture = _picture(whole, "picture", alt)
            picture += "".join(_picture(place, "place", "The place enlarged") for place in places)
        except OditsError as error:
            picture = f'<p class="faint">{html.escape(str(error))}</p>'
    lines = [f'<p class="sure">{percent(hit.probability)} sure</p>{_bar(hit.probability)}'] if hit else []
    lines += [f"<p>{line}</p>" for line in said]
    if result.standing is not None:
        read = f"{result.standing.read}. by reading" if result.standing.read else "not read there"
        lines.append(f'<p class="faint">{read} · {result.standing.seen:,}. by CLIP</p>')
    return f'<div class="odits-hit">{picture}<h4>{rank}. {title}</h4>{"".join(lines)}</div>'


def _why(word: str, why: str, several: bool) -> str:
    return html.escape(f"{word}: {why}" if several else why[:1].upper() + why[1:])


def _bar(share: float) -> str:
    return f'<div class="bar" aria-hidden="true"><i style="width:{100 * share:.1f}%"></i></div>'


def _picture(data: bytes, kind: str, alt: str) -> str:
    encoded = base64.b64encode(data).decode()
    return f'<img class="{kind}" src="data:image/jpeg;base64,{encoded}" alt="{html.escape(alt, quote=True)}">'


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")


Outlines = tuple[tuple[tuple[float, ...], ...], ...]


@st.cache_data(max_entries=600, show_spinner=False)
def _drawn(path: str, stamp: str, outlines: Outlines) -> tuple[bytes, list[bytes]]:
    """The small picture with words outlined, and each word's place enlarged, as JPEGs. Raises ImageError."""
    image = open_image(Path(path))
    places = [_jpeg(place_of(image, np.array(corners))) for corners in outlines[:3]]
    small = image.copy()
    small.thumbnail((SIDE, SIDE), reducing_gap=2.0)
    scale = small.width / image.width
    draw = ImageDraw.Draw(small)
    for corners in outlines:
        points = [(x * scale, y * scale) for x, y in [*corners, corners[0]]]
        for color, width in (("#10161C", 7), (FOUND, 4)):  # a dark rim: seen on bright pictures too
            draw.line(points, color, width, joint="curve")
    return _jpeg(small), places


def place_of(image: Image.Image, corners: np.ndarray) -> Image.Image:
    """The upright surroundings of a place, corners (4, 2), enlarged to at most `CROP`."""
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


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=84)
    return buffer.getvalue()
