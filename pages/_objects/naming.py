"""Names for the objects, when somebody asks for them: who gives them, how far that is, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from odits.data import Vocabulary
from odits.data.predictions import Segmenter
from odits.models.segmentation.naming import Namer, ObjectNames, WordNamer
from pages._shared import jobs, state, word_models
from pages._shared.layout import plain
from pages._shared.pictures import Opened

if TYPE_CHECKING:
    import supervision as sv

LINK = ("namer", "dino")
_JOB = "name-objects"
_CLIP, _DINO = "clip", "grounding-dino"
_TITLES = {_CLIP: "The model on the left (CLIP)", _DINO: "GroundingDINO"}


@st.cache_resource(show_spinner=False)
def _kept() -> dict[tuple[str, str], tuple[tuple[str, str], ObjectNames]]:
    """The last names of an image's objects, by (image, segmenter), with who was asked for what."""
    return {}


def names_for(opened: Opened, segmenter: Segmenter, count: int) -> ObjectNames | None:
    """The names that these objects were given, if any."""
    found = _kept().get((opened.digest, segmenter.key))
    return found[1] if found and len(found[1].names) == count else None


def offer_names(
    opened: Opened, detections: sv.Detections, segmenter: Segmenter, reference: str, vocabulary: Vocabulary
) -> None:
    """A button that names the objects, with a choice of who does; progress and a stop while they are named."""
    if not len(detections):
        return
    named = names_for(opened, segmenter, len(detections))
    with st.expander("Names of the objects", icon=":material/label:", expanded=jobs.running(_JOB)):
        who = state.choose("Named by", list(_TITLES), "namer", _TITLES.__getitem__)
        path = ""
        if who == _DINO:
            from odits.models.segmentation.naming import DEFAULT

            path = st.text_input(
                "GroundingDINO's weights",
                help="A name on the Hugging Face hub, or the path of a folder with config.json and model.safetensors.",
                **state.bind("dino", state.get("dino") or DEFAULT),
            )
        st.caption(
            f"Each object gets a name from the vocabulary {plain(vocabulary.name)} ({len(vocabulary):,} words). "
            + ("GroundingDINO takes many passes for a long vocabulary." if who == _DINO else "")
        )
        if st.button(
            "Name the objects",
            type="primary",
            icon=":material/label:",
            disabled=jobs.running(_JOB),
            help="Another image's objects are being named." if jobs.running(_JOB) else None,
        ):
            with st.spinner("Loading the model …"):
                namer = _namer(who, path.strip(), reference)
            _start(opened, detections, segmenter, namer, vocabulary)
        jobs.show(_JOB, "Stopped: the objects keep the names they had.")
        named = names_for(opened, segmenter, len(detections))
        if named:
            count = sum(bool(name) for name in named.names)
            st.caption(
                f"{count} of {len(named.names)} objects were named by **{plain(named.speaker)}** from "
                f"{plain(named.vocabulary)}."
            )


def _namer(who: str, path: str, reference: str) -> Namer:
    """Who is to name them: CLIP also where GroundingDINO's weights are not to be had, which is said."""
    if who == _DINO:
        from odits.core.errors import OditsError

        try:
            return _dino(path)
        except OditsError as error:
            st.warning(plain(f"{error} The model on the left names the objects instead."), icon=":material/info:")
    return WordNamer(word_models.load(reference))


@st.cache_resource(max_entries=1, show_spinner=False)
def _dino(reference: str) -> Namer:
    from odits.models.segmentation.naming import GroundingDinoNamer

    return GroundingDinoNamer(reference)


def _start(
    opened: Opened, detections: sv.Detections, segmenter: Segmenter, namer: Namer, vocabulary: Vocabulary
) -> None:
    kept, place = _kept(), (opened.digest, segmenter.key)
    asked = (namer.key, vocabulary.digest)
    if place in kept and kept[place][0] == asked:
        return  # the same names again

    def work(job: jobs.Job) -> None:
        found = namer.names(opened.image, detections, vocabulary, job.report)
        if len(kept) >= 64 and place not in kept:
            kept.pop(next(iter(kept)))
        kept[place] = (asked, found)

    jobs.start(_JOB, f"Naming {len(detections)} objects", work)
