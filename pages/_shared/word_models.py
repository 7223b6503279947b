"""Which word model a page asks, and what it predicts: models and predictions stay in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from odits.core.errors import OditsError
from odits.data import Vocabulary
from odits.data.predictions import WordPrediction
from odits.models import registry
from odits.models.reference import EMBEDDED_NAME
from odits.models.registry import (
    CLIP_FORMS,
    DEFAULT_MODEL,
    EMBEDDED,
    MODEL_FORMS,
    SPOTTING,
    WORD_MODELS,
    Kind,
    ModelRef,
    available,
    parse,
)
from pages._shared import jobs, state
from pages._shared.layout import NeededError, count_of, escape_markdown

if TYPE_CHECKING:
    from odits.data.predictions import View, WordModel

BY_NAME = ("ViT-B-32/openai", "ViT-B-32/laion2b_s34b_b79k", "ViT-B-16/openai", "ViT-L-14/openai")
"""open_clip's weights that are offered by name; any other can be typed."""
_OLDER = {"odits-signs": EMBEDDED, **{name.partition("/")[0]: name for name in reversed(BY_NAME)}}


def word_models(*kinds: Kind) -> list[ModelRef]:
    """List the word models on this machine, of every kind by default, the default model first."""
    return [ref for ref in available() if ref.kind in (kinds or WORD_MODELS)]


def choose_model(name: str = "model", default: str = DEFAULT_MODEL, kinds: Sequence[Kind] = WORD_MODELS) -> str:
    """Ask for a word model, and return its reference.

    Args:
        name: where the choice is kept, and what it is called in the URL; pages with the same name share it.
        default: the reference at first.
        kinds: what can be chosen.
    """
    _adopt_older_link(name)
    found = {ref.reference: ref for ref in word_models(*kinds)}
    titles = {reference: _title(ref) for reference, ref in found.items()}
    titles |= {name: f"CLIP {name}" for name in BY_NAME if "clip" in kinds}
    chosen = state.choose(
        "Model",
        list(titles),
        name,
        lambda reference: titles.get(reference, reference),
        default,
        accept_new_options=True,
        help=f"Type any other reference that the commands take: {MODEL_FORMS if 'spotting' in kinds else CLIP_FORMS}.",
    ).strip()
    if chosen in found and found[chosen].note:
        st.caption(found[chosen].note)
    return chosen


def _adopt_older_link(name: str) -> None:
    """Read a link of before, which named a model's architecture and its checkpoint apart."""
    older = name.replace("model", "checkpoint")
    model, checkpoint = str(state.get(name) or ""), str(state.get(older) or "")
    if checkpoint and not model.startswith(SPOTTING):
        state.put(name, checkpoint)
    elif model in _OLDER:
        state.put(name, _OLDER[model])
    if checkpoint:
        state.put(older, None)


def reads(reference: str) -> bool:
    """Return whether the model of a reference reads what is written."""
    try:
        return parse(reference).kind == "spotting"
    except OditsError:  # shown where the model is loaded
        return False


def _title(ref: ModelRef) -> str:
    """Name a model; the digest of its weights comes first where it is a file: boxes cut long names at their end."""
    return f"{ref.digest[:8]} · {ref.name}" if ref.path is not None and ref.reference != EMBEDDED else ref.name


def load(reference: str, *kinds: Kind) -> WordModel:
    """Load the word model of a reference, once; offer the download of weights that are not here.

    Raises:
        NeededError: the weights have to be downloaded first.
        OditsError: there is no such model, or it is none of these kinds.
    """
    need_weights(reference, *kinds)
    return load_quietly(reference)


def load_quietly(reference: str) -> WordModel:
    """Load the word model of a reference, once, without drawing anything: for jobs."""
    ref = parse(reference, *WORD_MODELS)
    return _load(ref.reference, ref.digest)


@st.cache_resource(max_entries=3, show_spinner=False)
def _load(reference: str, digest: str) -> WordModel:
    return registry.load(reference)


def need_weights(reference: str, *kinds: Kind) -> None:
    """Offer the download of a model's weights where they are not on this machine.

    Raises:
        NeededError: they are not.
        OditsError: there is no such model, or it is none of these kinds.
    """
    ref = parse(reference, *(kinds or WORD_MODELS))
    if not ref.published or ref.reference in _here():
        return
    if registry.is_here(ref):
        _here().add(ref.reference)
        return
    jobs.offer(
        jobs.Task(
            key=f"download-{ref.reference}",
            button=f"Download {ref.name}",
            title=f"Downloading {ref.name}",
            run=lambda job: registry.fetch(ref, job.report),
            note="Once: some hundred megabytes from the Hugging Face hub.",
            stopped="Stopped. The button goes on with the download from there.",
            icon=":material/download:",
        )
    )
    raise NeededError(f"The weights of {ref.name} are not on this machine yet.")


@st.cache_resource(show_spinner=False)
def _here() -> set[str]:
    """Hold the references whose weights were found: looking takes a moment."""
    return set()


def predict(
    reference: str, image: Image.Image, digest: str, vocabulary: Vocabulary, crop: bool = False
) -> WordPrediction:
    """Predict the words of an image, or of the crop of one object; the same is computed once."""
    model = load(reference)
    view: View = "crop" if crop else "scene"
    found = _probabilities(digest, model.checkpoint, vocabulary.digest, view, model, image, vocabulary)
    return WordPrediction(vocabulary, found, model.name, model.checkpoint)


@st.cache_data(max_entries=512, show_spinner=False)
def _probabilities(
    digest: str,
    checkpoint: str,
    vocabulary_digest: str,
    view: View,
    _model: WordModel,
    _image: Image.Image,
    _vocabulary: Vocabulary,
) -> np.ndarray:
    return _model.probabilities([_image], _vocabulary, view)[0]


def show_caption(prediction: WordPrediction) -> None:
    """Say which model, checkpoint and vocabulary a chart is about."""
    name = escape_markdown(prediction.model.replace(" (embedded)", ""))
    embedded = " (embedded)" if prediction.model == EMBEDDED_NAME else ""
    kind = "settings" if prediction.model.startswith("Word spotting") else "checkpoint"
    words = count_of(len(prediction.vocabulary), "word")
    st.markdown(
        f"**{name}**{embedded}  \n:small[{kind} `{prediction.checkpoint[:12]}` · "
        f"{escape_markdown(prediction.vocabulary.name)} ({words})]"
    )
