"""Names for the objects, given on demand: ImageNet's classes, or words by the word model or by GroundingDINO."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from odits.core.errors import OditsError
from odits.data import Vocabulary
from odits.data.predictions import Segmenter
from odits.models.segmentation.naming import Namer, ObjectNames, WordNamer
from pages._shared import jobs, serving, state, word_models
from pages._shared.layout import count_of, escape_markdown
from pages._shared.pictures import Opened

if TYPE_CHECKING:
    import supervision as sv


LINK = ("namer", "dino")
_PHOTO, _CLIP, _DINO = "imagenet", "clip", "grounding-dino"
_TITLES = {
    _PHOTO: "EfficientNet-Lite2 (classes, groups, surfaces)",
    _CLIP: "The model on the left",
    _DINO: "GroundingDINO",
}


@st.cache_resource(show_spinner=False)
def _names() -> dict[tuple[str, str], tuple[tuple[str, str], ObjectNames]]:
    """Hold the last names of an image's objects, by (image, segmenter), with the (namer, vocabulary) they are from."""
    return {}


def names_for(opened: Opened, segmenter: Segmenter, detections: sv.Detections) -> ObjectNames | None:
    """Return the names that these objects were given, if any; else the texts that they were found for."""
    found = _names().get((opened.digest, segmenter.key))
    if found and len(found[1].names) == len(detections):
        return found[1]
    from odits.objects.detections import texts_of

    texts = texts_of(detections)
    return ObjectNames(texts, detections.confidence, "the text asked for", "the text asked for") if texts else None


def offer_names(
    opened: Opened, detections: sv.Detections, segmenter: Segmenter, reference: str, vocabulary: Vocabulary
) -> None:
    """Offer to name the objects, with a choice of the model that does."""
    if not len(detections):
        return
    key = f"names-{opened.digest}-{segmenter.key}"
    with st.expander("Names of the objects", icon=":material/label:", expanded=jobs.active(key)):
        titles = {name: title for name, title in _TITLES.items() if name != _DINO or serving.paths_may_be_typed()}
        namer = state.choose("Named by", list(titles), "namer", titles.__getitem__)
        weights = ""
        if namer == _DINO:
            from odits.models.segmentation.naming import GROUNDING_DINO

            weights = st.text_input(
                "GroundingDINO's weights",
                help="A name on the Hugging Face hub, or the path of a folder with config.json and model.safetensors.",
                **state.bind("dino", state.get("dino") or GROUNDING_DINO),
            ).strip()
        words = count_of(len(vocabulary), "word")
        slow = "GroundingDINO takes many passes for a long vocabulary." if namer == _DINO else ""
        if namer == _PHOTO:
            st.caption(
                "An object of a photograph gets the name of one of ImageNet's 1,000 classes; where none is sure, of a "
                "group of them (a vehicle) or of a surface (sky, greenery, ground, plain grey surface); or none."
            )
        else:
            name = escape_markdown(vocabulary.name)
            st.caption(f"Each object gets a name from the vocabulary {name} ({words}). {slow}")
        if namer == _CLIP:
            word_models.need_weights(reference)
        task = jobs.Task(
            key=key,
            button="Name the objects",
            title=f"Naming {count_of(len(detections), 'object')}",
            run=lambda job: _name(job, opened, detections, segmenter.key, (namer, weights, reference), vocabulary),
            stopped="Stopped: the objects keep the names they had.",
            icon=":material/label:",
            for_all=True,
        )
        jobs.offer(task)
        named = names_for(opened, segmenter, detections)
        if named:
            count = sum(bool(name) for name in named.names)
            st.caption(
                f"{count} of {len(named.names)} objects were named by **{escape_markdown(named.model)}** from "
                f"{escape_markdown(named.vocabulary)}."
            )


def _name(
    job: jobs.Job,
    opened: Opened,
    detections: sv.Detections,
    segmenter: str,
    choice: tuple[str, str, str],
    vocabulary: Vocabulary,
) -> None:
    """Name the objects; by the word model also where GroundingDINO's weights are not to be had, which is said."""
    namer_kind, weights, reference = choice
    namer: Namer | None = _photo() if namer_kind == _PHOTO else None
    if namer_kind == _DINO:
        try:
            namer = _dino(weights)
        except OditsError as error:
            job.message = f"{error} The model on the left named the objects instead."
    if namer is None:
        namer = WordNamer(word_models.load_quietly(reference))
    names, place, source = _names(), (opened.digest, segmenter), (namer.key, vocabulary.digest)
    if place in names and names[place][0] == source:
        return  # the same names again
    found = namer.names(opened.image, detections, vocabulary, job.report)
    if len(names) >= 64 and place not in names:
        names.pop(next(iter(names)))
    names[place] = (source, found)


@st.cache_resource(max_entries=1, show_spinner=False)
def _photo() -> Namer:
    from odits.models.segmentation.naming import PhotoNamer

    return PhotoNamer()


@st.cache_resource(max_entries=1, show_spinner=False)
def _dino(reference: str) -> Namer:
    from odits.models.segmentation.naming import GroundingDinoNamer

    return GroundingDinoNamer(reference)
