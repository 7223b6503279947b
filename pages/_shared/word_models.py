"""Which word model a page asks, and what it predicts: models and predictions stay in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image

from odits.core.errors import OditsError
from odits.core.percent import percent
from odits.data import Vocabulary
from odits.data.predictions import WordPrediction
from odits.evaluation.model_figures import model_figures
from odits.models import registry
from odits.models.reference import EMBEDDED_NAME, STREET
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
from pages._shared import jobs, serving, state
from pages._shared.answers import Kind as AnswerKind
from pages._shared.answers import answer
from pages._shared.glossary import help_on
from pages._shared.layout import NeededError, count_of, escape_markdown
from pages._shared.loaded import loaded
from pages._shared.parameters import BY_NAME, OLDER_MODELS

if TYPE_CHECKING:
    from odits.data.predictions import View, WordModel
    from odits.models.reading.spotter import WordSpotter

_PREDICTIONS, _PROBABILITIES = AnswerKind("predictions", 32), AnswerKind("probabilities", 512)


def word_models(*kinds: Kind) -> list[ModelRef]:
    """List the word models on this machine, of every kind by default, the default model first."""
    return [ref for ref in available() if ref.kind in (kinds or WORD_MODELS)]


def choose_model(
    name: str = "model",
    default: str = DEFAULT_MODEL,
    kinds: Sequence[Kind] = WORD_MODELS,
    label: str = "Model",
    none: str = "",
) -> str:
    """Ask for a word model, and return its reference.

    Args:
        name: where the choice is kept, and what it is called in the URL; pages with the same name share it.
        default: the reference at first.
        kinds: what can be chosen.
        label: above the box.
        none: what it is called to choose no model, "" where one has to be chosen; the reference is "" then.
    """
    _adopt_older_link(name)
    found = {ref.reference: ref for ref in word_models(*kinds)}
    titles = {reference: _title(ref) for reference, ref in found.items()}
    if serving.weights_may_be_downloaded():
        titles |= {name: f"CLIP {name}" for name in BY_NAME if "clip" in kinds}
    titles |= {"": none} if none else {}
    chosen = state.choose(
        label,
        list(titles),
        name,
        lambda reference: titles.get(reference) or _typed_title(reference),
        default,
        accept_new_options=serving.paths_may_be_typed(),
        help=_help_on(kinds),
    ).strip()
    if chosen in found and found[chosen].note:
        st.caption(found[chosen].note)
    return chosen


def _typed_title(reference: str) -> str:
    """Name a model that is not among those offered; by its reference where that names a file or an architecture."""
    if not reference.startswith(SPOTTING):
        return reference
    try:
        return parse(reference).name
    except OditsError:  # shown where the model is loaded
        return reference


def _help_on(kinds: Sequence[Kind]) -> str:
    """Say what a word model is, and what may be typed in place of a choice."""
    forms = MODEL_FORMS if "spotting" in kinds else CLIP_FORMS
    typed = f"Type any other reference that the commands take: {forms}." if serving.paths_may_be_typed() else ""
    return help_on("word model", *(["ODITS", "word spotting"] if "spotting" in kinds else []), more=typed)


def _adopt_older_link(name: str) -> None:
    """Read a link of before, which named a model's architecture and its checkpoint apart."""
    older = name.replace("model", "checkpoint")
    model, checkpoint = str(state.get(name) or ""), str(state.get(older) or "")
    if checkpoint and not model.startswith(SPOTTING):
        state.put(name, checkpoint)
    elif model in OLDER_MODELS:
        state.put(name, OLDER_MODELS[model])
    if checkpoint:
        state.put(older, None)


def reads(reference: str) -> bool:
    """Return whether the model of a reference reads what is written."""
    try:
        ref = parse(reference)
    except OditsError:  # shown where the model is loaded
        return False
    return ref.kind == "spotting" or (ref.kind == "odits" and ref.header.get("reads") == "True")


def spotter_of(reference: str) -> WordSpotter | None:
    """Return what reads for the model of a reference: itself or a part of it; None where nothing does."""
    from odits.models.reading.spotter import WordSpotter

    model = load(reference)
    found = model if isinstance(model, WordSpotter) else getattr(getattr(model, "input_encoder", None), "spotter", None)
    return found if isinstance(found, WordSpotter) else None


def _title(ref: ModelRef) -> str:
    """Name a model; the digest of its weights comes first where it is a file: boxes cut long names at their end."""
    shipped = ref.path is None or ref.reference in (EMBEDDED, STREET)
    return ref.name if shipped else f"{ref.digest[:8]} · {ref.name}"


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
    model: WordModel = loaded(parse(reference, *WORD_MODELS))
    return model


def need_weights(reference: str, *kinds: Kind) -> None:
    """Offer the download of a model's weights where they are not on this machine.

    Raises:
        NeededError: they are not.
        OditsError: there is no such model, or it is none of these kinds.
    """
    ref = parse(reference, *(kinds or WORD_MODELS))
    serving.require_offered(ref)
    if not ref.published or ref.reference in _here():
        return
    if registry.is_here(ref):
        _here().add(ref.reference)
        return
    if not serving.weights_may_be_downloaded():
        raise NeededError(f"The weights of {ref.name} are not on this server.")
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
    need_weights(reference)
    return predict_quietly(reference, image, digest, vocabulary, crop)


def predict_quietly(
    reference: str, image: Image.Image, digest: str, vocabulary: Vocabulary, crop: bool = False
) -> WordPrediction:
    """Predict as `predict` does, without drawing anything: for jobs. Raises OditsError."""
    model = load_quietly(reference)
    key = digest, model.checkpoint, vocabulary.digest
    if hasattr(model, "input_encoder"):  # its prediction says more than probabilities
        return answer(_PREDICTIONS, key, lambda: _predict(model, image, vocabulary))
    view: View = "crop" if crop else "scene"
    found = answer(_PROBABILITIES, (*key, view), lambda: model.probabilities([image], vocabulary, view)[0])
    return WordPrediction(vocabulary, found, model.name, model.checkpoint, engine=getattr(model, "engine", ""))


def _predict(model: WordModel, image: Image.Image, vocabulary: Vocabulary) -> WordPrediction:
    from odits.models.fusion.model import OditsModel
    from odits.models.fusion.places import PlaceEncoder

    if isinstance(model, OditsModel) and isinstance(model.input_encoder, PlaceEncoder):
        # the same words as with the segmenter's objects, which say nothing about words, and sooner
        inputs = model.input_encoder.encode(image, vocabulary, segmented=False)
        return model.predict_input(inputs, vocabulary)
    return model.predict(image, vocabulary)


def show_caption(prediction: WordPrediction) -> None:
    """Say which model, checkpoint and vocabulary a chart is about."""
    name = escape_markdown(prediction.model.replace(" (embedded)", ""))
    embedded = " (embedded)" if prediction.model == EMBEDDED_NAME else ""
    kind = "settings" if prediction.model.startswith("Word spotting") else "checkpoint"
    words = count_of(len(prediction.vocabulary), "word")
    vocabulary = f"{escape_markdown(prediction.vocabulary.name)} ({words})"
    measured = measured_figures(prediction.checkpoint)
    engine = f" · encoded by {prediction.engine}" if prediction.engine else ""
    st.markdown(
        f"**{name}**{embedded} :small[· {kind} `{prediction.checkpoint[:12]}` · {vocabulary}{engine}]"
        + (f"  \n:small[{measured}]" if measured else ""),
        help=when_to_choose(prediction.checkpoint) or None,
    )


def measured_figures(checkpoint: str) -> str:
    """Say on what a model was measured, and its figures; "" of one that was not, such as a checkpoint of one's own."""
    found = next((one for one in model_figures().values() if one.checkpoint == checkpoint), None)
    if found is None:
        return ""
    titles = {"precision@10": "precision at 10", "average precision": "average precision"}
    svt = [f"{title}: {percent(found.svt[key])}" for key, title in titles.items() if key in found.svt]
    parts = [f"on SVT's photographs {', '.join(svt)}"] if svt else []
    if "in the top ten" in found.scenes:
        parts.append(f"on drawn scenes {percent(found.scenes['in the top ten'])} of the written words in the top ten")
    return escape_markdown("Measured " + " · ".join(parts)) if parts else ""


def when_to_choose(checkpoint: str) -> str:
    """Say in a sentence when to choose a model; "" of one that was not measured."""
    return next((one.when for one in model_figures().values() if one.checkpoint == checkpoint), "")
