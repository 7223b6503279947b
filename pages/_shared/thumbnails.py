"""Small pictures and lists of words as HTML, for rows of many images."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Collection, Sequence
from pathlib import Path

import streamlit as st

from odits.core.errors import OditsError
from odits.data import open_image
from odits.figures.words import BOXED, LEXICON, percent, word_mark
from pages._shared.pictures import path_key

SIDE = 360
"""Pixels of a small picture in a row: twice what it takes on the page, for dense screens."""


@st.cache_data(max_entries=4096, show_spinner=False)
def small_jpeg(key: str, side: int, _source: Path | bytes, _name: str) -> bytes:
    """A JPEG of a picture, at most `side` pixels long; made once for each `key` and side. Raises ImageError."""
    small = open_image(_source, _name)
    small.thumbnail((side, side), reducing_gap=2.0)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def small_picture(path: Path, name: str) -> str:
    """An <img> of the picture in a file; a short remark in its place where it can't be read."""
    try:
        data = base64.b64encode(small_jpeg(path_key(path), SIDE, path, name)).decode()
    except OditsError:
        return f"<em>{html.escape(name)} can't be read</em>"
    return f'<img src="data:image/jpeg;base64,{data}" alt="The image {html.escape(name, quote=True)}">'


def word_list(
    words: Sequence[str], probabilities: Sequence[float], lexicon: Collection[str] = (), boxed: Collection[str] = ()
) -> str:
    """A list of words, best first, each with its mark (■ visible, ◆ in the lexicon) and its probability."""
    items = []
    for word, probability in zip(words, probabilities, strict=True):
        mark = word_mark(word, lexicon, boxed)
        sign = (
            f'<span style="color:{mark.color}" title="{mark.title}" aria-label="{mark.title}">{mark.sign}</span>'
            if mark.sign
            else '<span aria-hidden="true">·</span>'
        )
        strong = "b" if mark.sign else "span"
        items.append(
            f"<li>{sign}<{strong}>{html.escape(word)}</{strong}><small>{_share(float(probability))}</small></li>"
        )
    return f'<ol class="odits-top">{"".join(items)}</ol>'


def _share(probability: float) -> str:
    """A probability in a list: what is nearly nothing needs no digits."""
    return percent(probability) if probability >= 1e-4 else "under 0.01 %"


def legend() -> str:
    """What the marks mean."""
    return f"{BOXED.sign} {BOXED.title}, {LEXICON.sign} {LEXICON.title}"
