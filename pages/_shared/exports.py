"""What the pages save for other tools: one menu, with a button a format."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from odits.data.exports import ENDINGS, TITLES, Files
from pages._shared import state
from pages._shared.layout import file_stem

HELP = {
    "label-studio": "Tasks with predictions, and the labelling configuration beside them (ZIP)",
    "cvat": "CVAT for images 1.1 (XML)",
    "csv": "A table; cells that a spreadsheet would run as formulas have an apostrophe before them",
    "parquet": "A table for pandas, Arrow and the like",
}
_MIME = {"cvat": "application/xml", "csv": "text/csv"}


def export_menu(
    key: str, stem: str, make: Callable[[str, str, str | None], Files], what: str, shapes: Sequence[str] = ()
) -> None:
    """Draw a menu of downloads for Label Studio, CVAT, CSV and Parquet; a file is made when it is asked for.

    Args:
        key: tells this menu from others on the page.
        stem: of the files' names.
        make: makes the files of a format, with a shape, and with what stands before a picture's name.
        what: is saved, such as "objects", for people.
        shapes: in which objects can be drawn; empty where there are none.
    """
    stem = file_stem(stem)
    with st.popover("For other tools", icon=":material/ios_share:", key=f"{key}-tools"):
        st.caption(f"The {what} with the pictures by their names; the pictures themselves are not copied.")
        shape = ""
        if shapes:
            shape = state.choose("Drawn as", list(shapes), f"{key}-shape", str.capitalize)
        prefix = st.text_input(
            "Before each picture's name",
            placeholder="https://… or a folder",
            help="Empty: the names alone; for Label Studio its local files (/data/local-files/?d=).",
            **state.bind(f"{key}-prefix", str(state.get(f"{key}-prefix") or "")),
        )
        with st.container(horizontal=True, key=f"{key}-formats"):
            for format in ENDINGS:
                _button(key, stem, format, partial(make, format, shape, prefix.strip() or None))


def _button(key: str, stem: str, format: str, make: Callable[[], Files]) -> None:
    ending = ".zip" if format == "label-studio" else ENDINGS[format]
    st.download_button(
        TITLES[format],
        lambda: _one_file(stem, make()),
        f"{stem}-{format}{ending}",
        _MIME.get(format, "application/octet-stream"),
        icon=":material/download:",
        key=f"{key}-as-{format}",
        on_click="ignore",
        help=HELP[format],
    )


def _one_file(stem: str, files: Files) -> bytes:
    """Return the only file, or a ZIP of them."""
    if len(files) == 1:
        return next(iter(files.values()))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for ending, content in files.items():
            archive.writestr(f"{stem}{ending}", content)
    return stream.getvalue()
