"""What a picture without readable words looks like: a guess of the network that has seen photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image

from odits.core.errors import OditsError
from odits.data.predictions import WordProbability
from odits.figures.words import top_words_figure
from pages._shared.layout import chart, escape_markdown
from pages._shared.pictures import Opened

if TYPE_CHECKING:
    from odits.models.classification.eye import PhotoNetwork

_SHOWN = 5
_LEAST = 0.05
"""A class that is less probable is no guess worth showing."""


def show_guess(opened: Opened, key: str) -> None:
    """Show what the picture as a whole looks like, marked as a guess; nothing where the network is not at hand."""
    with st.spinner("Looking at the whole picture …", show_time=True):
        try:
            guesses = _guesses(opened.digest, opened.image)
        except OditsError as error:
            st.caption(escape_markdown(f"No guess of what it shows: {error}"))
            return
    if not guesses:
        st.caption("Nor is there a guess of what the picture shows: no class of ImageNet is likely.")
        return
    st.markdown("**A guess, not read:** what the picture as a whole looks like")
    figure = top_words_figure(guesses, title="probability among ImageNet's 1,000 classes", row_height=25)
    chart(figure, f"guess-{key}", "A guess of what the picture shows: " + ", ".join(one.word for one in guesses))
    st.caption("By EfficientNet-Lite2, which has seen photographs: drawn pictures mean little to it.")


@st.cache_data(max_entries=256, show_spinner=False)
def _guesses(digest: str, _image: Image.Image) -> list[WordProbability]:
    """Return the most probable classes of the whole picture, on average over the picture and squares of it."""
    from odits.models.classification.eye import class_names, scene_views

    shares = _network().probabilities(scene_views(_image)).mean(0)
    best = shares.argsort()[::-1][:_SHOWN].tolist()
    return [WordProbability(class_names()[index], float(shares[index])) for index in best if shares[index] >= _LEAST]


@st.cache_resource(show_spinner=False)
def _network() -> PhotoNetwork:
    from odits.models.classification.eye import PhotoNetwork

    return PhotoNetwork()
