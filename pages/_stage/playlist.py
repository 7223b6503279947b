"""The list of chosen pictures: a link, and a file that plays again without a network."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from odits import __version__
from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.data import Dataset, ImageRecord
from odits.figures.stage import Slide, stage_document
from pages._shared import jobs, state
from pages._shared.layout import count_of, escape_markdown
from pages._shared.parameters import LONGEST
from pages._shared.vocabularies import session_free
from pages._stage.slides import slide_of

SEPARATOR = "\n"
"""Stands between the names of the list; no name of a picture has one."""


def chosen_names() -> list[str]:
    """Return the names of the chosen pictures, in their order."""
    return [name for name in dict.fromkeys(str(state.get("list") or "").split(SEPARATOR)) if name]


def _keep(name: str, wanted: bool) -> None:
    names = [one for one in chosen_names() if one != name] + ([name] if wanted else [])
    state.act("list", SEPARATOR.join(names))


def offer_list(
    picture: ImageRecord,
    listed: Sequence[ImageRecord],
    references: Sequence[str],
    words: tuple[str, Dataset | None],
) -> None:
    """Draw what adds a picture to the list or takes it out, and what saves the list as a file.

    Args:
        picture: on the stage.
        listed: the chosen pictures.
        references: of the models.
        words: kind of vocabulary, and the data set that is open.
    """
    inside = picture.name in chosen_names()
    with st.container(horizontal=True, vertical_alignment="center", key="stage-list"):
        st.button(
            "Take out of the list" if inside else "Add to the list",
            icon=":material/playlist_remove:" if inside else ":material/playlist_add:",
            key="stage-keep",
            on_click=_keep,
            args=(picture.name, not inside),
        )
        if listed:
            st.button("Empty the list", key="stage-empty", type="tertiary", on_click=state.act, args=("list", ""))
            st.caption(
                f"{count_of(len(listed), 'picture')} chosen: the address of this page is the link to them, and the "
                "arrow keys stay among them.",
                width="stretch",
            )
        else:
            st.caption("A list of chosen pictures is a link, and a file that plays again offline.", width="stretch")
    if not listed:
        return
    if len(str(state.get("list"))) > LONGEST:
        st.info("The list is too long for an address: save it as a file.", icon=":material/link_off:")
    offer_file(listed, references, words)


def offer_file(listed: Sequence[ImageRecord], references: Sequence[str], words: tuple[str, Dataset | None]) -> None:
    """Offer to make the file that plays again, and then to save it. Raises OditsError."""
    kind, dataset = words
    words_of, fixed = session_free(kind, dataset, references)
    asked = (*(one.stamp for one in listed), *references, kind, fixed.digest if fixed is not None else "")
    key = f"stage-file-{sha256_of(SEPARATOR.join(asked))[:12]}"

    def work(job: jobs.Job) -> bytes:
        slides: list[Slide] = []
        problems: list[str] = []
        for number, one in enumerate(listed):
            job.report(number, len(listed))
            try:
                slides.append(slide_of(references, one, words_of(one)))
            except OditsError as error:
                problems.append(str(error))
        if not slides:
            raise OditsError("None of the chosen pictures could be shown.")
        job.problems = problems
        about = f"ODITS Explorer {__version__}; models: " + ", ".join(
            f"{head.name} ({head.checkpoint[:12]})" for head in slides[0].heads
        )
        return stage_document(slides, f"Stage: {count_of(len(slides), 'picture')}", about).encode("utf-8", "replace")

    made = jobs.result_of(key)
    jobs.offer(
        jobs.Task(
            key=key,
            button="Make a file that plays offline",
            title="Asking the models about the chosen pictures",
            run=work,
            note="One HTML file with pictures, words and objects; needs no network.",
            icon=":material/slideshow:",
            primary=False,
            for_all=True,
        ),
        needed=made is None,
    )
    if made is not None:
        st.download_button(
            escape_markdown(f"Save {count_of(len(listed), 'picture')} as HTML"),
            made,
            "stage.html",
            "text/html",
            icon=":material/download:",
            key="stage-save",
            on_click="ignore",
        )
