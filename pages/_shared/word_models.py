"""Which model speaks, and what it said: models and results are kept, so that a second look costs nothing."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from PIL import Image

from odits.core.errors import OditsError
from odits.data import Vocabulary
from odits.data.predictions import WordPrediction
from odits.models.registry import EMBEDDED, SHIPPED_NAME, SPOTTING, VITSTR, CheckpointInfo, find_checkpoints, load_any
from pages._shared import state
from pages._shared.layout import plain

if TYPE_CHECKING:
    from odits.data.predictions import View, WordModel

SIGNS = "odits-signs"
BY_NAME = {"ViT-B-32": ("openai", "laion2b_s34b_b79k"), "ViT-B-16": ("openai",), "ViT-L-14": ("openai",)}
"""open_clip's architectures and weights offered by name; any other can be typed."""


def checkpoints() -> list[CheckpointInfo]:
    """Checkpoints on this machine; none where not even the embedded one is there."""
    try:
        return find_checkpoints()
    except OditsError:
        return []


def choose_model(suffix: str = "", default: str = SIGNS, spotting: bool = False) -> str:
    """The reference of the checkpoint that is to speak.

    Args:
        suffix: distinguishes the choice beside another one on the same page.
        default: the architecture at first.
        spotting: whether the model that reads can be chosen.
    """
    found = checkpoints()
    reading = [SPOTTING, *([VITSTR] if find_spec("doctr") else [])] if spotting else []
    others = (info.architecture for info in found if info.architecture)
    architectures = list(dict.fromkeys([SIGNS, *reading, *BY_NAME, *others]))
    architecture = state.choose(
        "Model",
        architectures,
        f"model{suffix}",
        _architecture_title,
        default,
        accept_new_options=True,
        help="Type any other architecture that open_clip knows.",
    )
    if architecture == SPOTTING:
        return SPOTTING
    if architecture == VITSTR:
        file = st.text_input(
            "ViTSTR's weights",
            placeholder="docTR's own",
            help="The path of a weights file; without one docTR's own are taken, or downloaded.",
            **state.bind(f"recogniser{suffix}", str(state.get(f"recogniser{suffix}") or "")),
        ).strip()
        return f"{VITSTR}:{file}" if file else VITSTR
    titles = {info.reference: _checkpoint_title(info) for info in found if info.architecture == architecture}
    if architecture == SIGNS:
        titles.setdefault(EMBEDDED, "embedded")
    titles |= {f"{architecture}/{tag}": f"{tag} (by name)" for tag in BY_NAME.get(architecture, ())}
    if not titles:
        titles[f"{architecture}/openai"] = "openai (by name)"
    asked = state.get(f"checkpoint{suffix}")
    # a checkpoint of another architecture gives way when the architecture is changed
    foreign = {info.reference for info in found if info.architecture != architecture} | {EMBEDDED} - set(titles)
    if asked in foreign or (asked and "/" in asked and asked.split("/")[0] in set(architectures) - {architecture}):
        state.put(f"checkpoint{suffix}", None)
    chosen = state.choose(
        "Checkpoint",
        list(titles),
        f"checkpoint{suffix}",
        lambda key: titles.get(key, key),
        accept_new_options=True,
        help="Type another of open_clip's tags, or the path of a weights file.",
    )
    if chosen in titles or chosen.startswith(f"{architecture}/"):
        return chosen
    is_file = chosen.endswith((".safetensors", ".pt", ".pth", ".bin")) or os.sep in chosen
    return f"{architecture}@{chosen}" if is_file else f"{architecture}/{chosen}"


def reads(reference: str) -> bool:
    """Whether the model of a reference reads what is written."""
    return reference == SPOTTING or reference.startswith(VITSTR)


def _architecture_title(architecture: str) -> str:
    titles = {SIGNS: "ODITS Signs", SPOTTING: "Word spotting", VITSTR: "Word spotting with ViTSTR"}
    return titles.get(architecture, f"CLIP {architecture}")


def _checkpoint_title(info: CheckpointInfo) -> str:
    return f"embedded ({info.digest[:8]})" if info.reference == EMBEDDED else f"{info.name} ({info.digest[:8]})"


def load(reference: str) -> WordModel:
    """The model behind a reference, loaded once and kept. Raises OditsError where it is not to be had."""
    digest = next((info.digest for info in checkpoints() if info.reference == reference), "")
    if "/" in reference and "@" not in reference and reference not in _ready():
        _fetch(reference)
    model = _load(reference, digest)
    _ready().add(reference)
    return model


@st.cache_resource(max_entries=3, show_spinner=False)
def _load(reference: str, digest: str) -> WordModel:
    return load_any(reference)


@st.cache_resource(show_spinner=False)
def _ready() -> set[str]:
    return set()


def _fetch(reference: str) -> None:
    """Downloads open_clip's weights with a progress bar, unless they are on this machine."""
    from odits.models.clip.loading import fetch_pretrained

    architecture, _, tag = reference.partition("/")
    try:
        from open_clip import list_pretrained_tags_by_model
    except ImportError as error:
        raise OditsError("open_clip is not installed.") from error
    if tag not in list_pretrained_tags_by_model(architecture):
        return  # a file's path, or a tag that is not known: loading says which
    place = st.empty()

    def advance(done: int, total: int) -> None:
        place.progress(
            min(done / total, 1.0), f"Downloading {reference}: {done / 2**20:,.0f} of {total / 2**20:,.0f} MB"
        )

    try:
        fetch_pretrained(architecture, tag, advance)
    finally:
        place.empty()


def predict(
    reference: str, image: Image.Image, digest: str, vocabulary: Vocabulary, crop: bool = False
) -> WordPrediction:
    """What a model says about an image, or about the crop of one object; the same question is computed once."""
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


def say_who(prediction: WordPrediction) -> None:
    """The line under each chart: which model, checkpoint and vocabulary speak."""
    name = plain(prediction.model.replace(" (embedded)", ""))
    embedded = " (embedded)" if prediction.model == SHIPPED_NAME else ""
    kind = "settings" if prediction.model.startswith("Word spotting") else "checkpoint"
    count = len(prediction.vocabulary)
    st.markdown(
        f"**{name}**{embedded}  \n:small[{kind} `{prediction.checkpoint[:12]}` · "
        f"{plain(prediction.vocabulary.name)} ({count:,} {'word' if count == 1 else 'words'})]"
    )
