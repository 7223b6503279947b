"""The pictures to begin with: the demo images as thumbnails, and beside them files, the clipboard and the camera."""

from __future__ import annotations

from typing import Any

import streamlit as st

from odits.core.errors import OditsError
from odits.data import ImageRecord
from odits.figures.theme import data_uri, jpeg
from pages._shared import state
from pages._shared.datasets import add_uploads, demo_dataset, offer_uploads, show_upload_problems
from pages._shared.layout import escape_markdown, file_stem

_CAMERA = "odits-camera"
_SIDE = 160  # pixels of a thumbnail's longer side
_STYLE = """
[data-testid="stMainBlockContainer"]:has(.st-key-strip) {padding-top: 1rem}
[data-testid="stMainBlockContainer"]:has(.st-key-strip) > [data-testid="stVerticalBlock"] {gap: .5rem}
[data-testid="stApp"]:has(.st-key-strip) [data-testid="stHeader"] {background: transparent}
body:has(.st-key-strip):has([data-testid="stExpandSidebarButton"]) .st-key-page-heading {padding-left: 1.5rem}
body:has(.st-key-strip) .st-key-page-guide {margin-block: -.65rem}
body:has(.st-key-strip) .st-key-page-heading {margin-bottom: -.5rem}
body:has(.st-key-strip) :is([data-testid="stHeader"], [data-testid="stHeader"] *) {pointer-events: none}
[data-testid="stApp"]:has(.st-key-strip) [data-testid="stHeader"] button {pointer-events: auto}
[data-testid="stMainBlockContainer"]:has(.st-key-strip) h1 {font-size: 1.4rem; padding: 0 0 .1rem}
.st-key-strip {row-gap: .4rem}
.st-key-strip [class*="st-key-thumb-"] button {
  width: 4.4rem; height: 3.3rem; min-height: 0; padding: 0; overflow: hidden; border-width: 3px;
  background-size: cover; background-position: center;
}
.st-key-strip [class*="st-key-thumb-"] button p {color: transparent; font-size: .4rem}
.st-key-add-images [data-testid="stFileUploaderDropzone"] {
  padding: .3rem .5rem; min-height: 0; flex-direction: row; align-items: center; gap: .5rem;
}
.st-key-add-images [data-testid="stFileUploaderDropzoneInstructions"] {margin: 0; min-width: 0; font-size: 0}
.st-key-add-images [data-testid="stFileUploaderDropzoneInstructions"] > * {display: none}
.st-key-add-images [data-testid="stFileUploaderDropzoneInstructions"]::after {
  content: "or drop, or paste"; font-size: .85rem; opacity: .8; white-space: nowrap;
}
.st-key-paste {position: absolute; width: 1px; height: 1px; overflow: hidden}
"""
_PASTE = """
export default function ({ parentElement }) {
  const onPaste = (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    const target = document.querySelector('.st-key-add-images input[type="file"]');
    if (!files.length || !target) return;
    event.preventDefault();
    const transfer = new DataTransfer();
    files.forEach((file) => transfer.items.add(file));
    target.files = transfer.files;
    target.dispatchEvent(new Event("change", { bubbles: true }));
  };
  document.addEventListener("paste", onPaste);
  (parentElement.host ?? parentElement).dataset.listens = "true"; // a browser test pastes no sooner
  return () => document.removeEventListener("paste", onPaste);
}
"""


@st.cache_resource(show_spinner=False)
def _paste_component() -> Any:
    return st.components.v2.component("odits_paste", js=_PASTE)


def offer_pictures() -> None:
    """Show what can be looked at next: thumbnails of the demo images, and ways to add a picture of one's own."""
    demo = demo_dataset()
    pictures = tuple(demo.records) if demo is not None else ()
    st.html(f"<style>{_STYLE}{''.join(_background(picture) for picture in pictures)}</style>")
    shown = state.get("image") if state.get("images") == "demo" else None
    with st.container(horizontal=True, vertical_alignment="center", key="strip", gap="small"):
        for picture in pictures:
            st.button(
                escape_markdown(picture.name),
                key=_key(picture),
                type="primary" if picture.name == shown else "secondary",
                on_click=_look_at,
                args=(picture.name,),
            )
        with st.container(key="add-images", width=262):
            offer_uploads()
        st.button(
            "Camera",
            icon=":material/photo_camera:",
            on_click=_turn_camera,
            key="camera",
            help="Takes a picture. One that is in the clipboard can be pasted anywhere on this page.",
        )
        with st.container(key="paste", height=1, border=False):
            _paste_component()(key="paste-component")
    if st.session_state.get(_CAMERA):
        st.camera_input("Take a picture", key="camera-picture", on_change=_take_picture, width=420)
    show_upload_problems()


def _key(picture: ImageRecord) -> str:
    return f"thumb-{file_stem(picture.name).replace('.', '-')}"


@st.cache_data(max_entries=64, show_spinner=False)
def _small(stamp: str, _picture: ImageRecord) -> str:
    return data_uri(jpeg(_picture.open(), _SIDE))


def _background(picture: ImageRecord) -> str:
    try:
        source = _small(picture.stamp, picture)
    except OditsError:  # said when it is looked at
        return ""
    return f'.st-key-{_key(picture)} button {{background-image: url("{source}") !important}}\n'


def _look_at(name: str) -> None:
    state.act("images", "demo")
    state.act("image", name)


def _turn_camera() -> None:
    st.session_state[_CAMERA] = not st.session_state.get(_CAMERA)


def _take_picture() -> None:
    file = st.session_state.get("camera-picture")
    if file is not None:
        add_uploads([("camera.jpg", file.getvalue())])
        st.session_state[_CAMERA] = False
