"""What another spotter found, from its result file: taken in, named, and kept for every picture."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from odits.core.errors import OditsError
from pages._shared.layout import complain, plain

if TYPE_CHECKING:
    from odits.models.reading.reader import TextLine

_KEPT, _ROUND = "odits-spotter-results", "odits-spotter-round"


class Results(NamedTuple):
    """A result file.

    Attributes:
        name: what the spotter is called.
        digest: of the file; caches key on it.
        lines: by the stem of the image's file name.
    """

    name: str
    digest: str
    lines: dict[str, list[TextLine]]

    def of(self, picture: str) -> list[TextLine]:
        """The lines of a picture; none where the file has none of it."""
        return self.lines.get(Path(picture).stem, [])


def choose_results() -> Results | None:
    """The result file that the user has given, or None."""
    kept: Results | None = st.session_state.get(_KEPT)
    with st.expander("Compare with another spotter", icon=":material/compare:", expanded=kept is not None):
        if kept is None:
            key = f"{_KEPT}-{st.session_state.get(_ROUND, 0)}"
            st.file_uploader(
                "Result file of DeepSolo or ESTextSpotter (JSON with polys, rec and score)",
                "json",
                key=key,
                on_change=_take_in,
                args=(key,),
                help="Each entry names its image by image_name, or by image_id with a COCO list of images.",
            )
            problem = st.session_state.pop(f"{_KEPT}-problem", None)
            if problem:
                complain(problem)
            return None
        with st.container(horizontal=True, vertical_alignment="bottom", key="results-kept"):
            name = st.text_input("Called", kept.name, key="results-name").strip() or kept.name
            st.button("Remove", icon=":material/delete:", key="results-remove", on_click=_remove)
        count = len(kept.lines)
        st.caption(
            f"It has words in {count:,} {'image' if count == 1 else 'images'}. A result file holds no probabilities of "
            "letters, so its words are taken as written. Over all images: `python -m odits spot --results FILE`."
        )
        return kept._replace(name=plain(name))


def _take_in(key: str) -> None:
    from odits.models.reading.result_files import read_results

    file = st.session_state[key]
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    if file is None:
        return
    content = file.getvalue()
    try:
        lines = read_results(content, file.name)
    except OditsError as error:
        st.session_state[f"{_KEPT}-problem"] = str(error)
        return
    digest = hashlib.sha256(content).hexdigest()
    st.session_state[_KEPT] = Results(Path(file.name).stem, digest, lines)


def _remove() -> None:
    st.session_state.pop(_KEPT, None)
