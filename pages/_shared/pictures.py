"""One image as the pages know it: opened, made small, chosen among others, and shown."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st
from PIL import Image

from odits.core.errors import OditsError
from odits.core.text import literal
from odits.data import ImageRecord, image_digest
from odits.figures.theme import jpeg
from pages._shared import state
from pages._shared.layout import escape_html

THUMBNAIL = 360
"""Pixels of a thumbnail's longer side: twice what it takes on the page, for dense screens."""


class Opened(NamedTuple):
    """A decoded picture and the digest that caches key on."""

    image: Image.Image
    digest: str


def open_picture(picture: ImageRecord) -> Opened:
    """Decode a picture; the last few stay in memory. Raises ImageError."""
    return _opened(picture.stamp, picture)


@st.cache_resource(max_entries=4, show_spinner=False)
def _opened(stamp: str, _picture: ImageRecord) -> Opened:
    image = _picture.open()
    return Opened(image, image_digest(image))


def thumbnail(picture: ImageRecord) -> bytes:
    """Return a JPEG of a picture, at most `THUMBNAIL` pixels long; made once. Raises ImageError."""
    return _thumbnail(picture.stamp, picture)


@st.cache_data(max_entries=4096, show_spinner=False)
def _thumbnail(stamp: str, _picture: ImageRecord) -> bytes:
    return jpeg(_picture.open(), THUMBNAIL)


def thumbnail_html(picture: ImageRecord) -> str:
    """Return an <img> of the picture; a short remark in its place where it can't be read."""
    try:
        data = base64.b64encode(thumbnail(picture)).decode()
    except OditsError:
        return f"<em>{escape_html(picture.name)} can't be read</em>"
    return f'<img src="data:image/jpeg;base64,{data}" alt="The image {escape_html(picture.name)}">'


@st.cache_data(max_entries=64, show_spinner=False)
def preview(digest: str, _image: Image.Image) -> bytes:
    """Return a JPEG of an image as large as a page shows one, at most 1400 pixels long; made once for each digest."""
    return jpeg(_image, 1400, quality=90)


def show_picture(opened: Opened, picture: ImageRecord, key: str) -> None:
    """Show the picture itself, never higher than the window."""
    with st.container(key=f"fit-{key}"):
        st.image(preview(opened.digest, opened.image), alt=f"The image {literal(picture.name)}")


def short_name(name: str) -> str:
    """Return a file's name without its folder."""
    return name.rsplit("/", 1)[-1]


def choose_picture(pictures: Sequence[ImageRecord]) -> ImageRecord | None:
    """Ask which picture to look at, with previous and next by button and arrow key; None where there is none."""
    if not pictures:
        if state.get("images") == "upload":
            st.info("Add one or several images.", icon=":material/upload:")
        else:
            st.info("There are no images here. Choose others on the left.", icon=":material/image_search:")
        return None
    names = [picture.name for picture in pictures]
    asked = state.get("image")
    if asked not in names:
        asked = names[0]
    index = names.index(asked)
    with st.container(horizontal=True, vertical_alignment="center", key="stepper", gap="small"):
        for title, shortcut, target in (("Previous", "Left", index - 1), ("Next", "Right", index + 1)):
            st.button(
                title,
                shortcut=shortcut,
                key=title.lower(),
                disabled=not 0 <= target < len(names),
                on_click=state.act,
                args=("image", names[target % len(names)]),
            )
        chosen = st.selectbox(
            "Image",
            names,
            label_visibility="collapsed",
            width="stretch",
            format_func=lambda name: literal(short_name(name)),
            **state.bind("image", asked, f"-{asked}"),
        )
        st.caption(f"{index + 1} of {len(names)}", width="content")
    return pictures[names.index(chosen)]


def pictures_beside(pictures: Sequence[ImageRecord], picture: ImageRecord) -> list[ImageRecord]:
    """Return the next and the previous picture, those that there are: what somebody will most likely turn to.

    Example:
        >>> one, two, three = (ImageRecord(f"{number}.jpg", b"") for number in range(3))
        >>> [beside.name for beside in pictures_beside([one, two, three], two)]
        ['2.jpg', '0.jpg']
    """
    place = next(number for number, one in enumerate(pictures) if one.name == picture.name)
    return [*pictures[place + 1 : place + 2], *pictures[max(place - 1, 0) : place]]
