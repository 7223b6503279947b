"""Explain: which object makes which word likely, and what ODITS changes against CLIP."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages._explain.answers import answer_for
from pages._explain.models import choose_odits, load, offer_training
from pages._explain.results import (
    choose_view,
    choose_word,
    show_capabilities,
    show_changes,
    show_matrix,
    show_picture,
    show_words,
)
from pages._shared import state
from pages._shared.carriers import contributions
from pages._shared.datasets import choose_collection, choose_dataset, pictures_of
from pages._shared.glossary import help_on
from pages._shared.layout import guarded, page
from pages._shared.pictures import choose_picture, open_picture
from pages._shared.vocabularies import choose_vocabulary, vocabulary_of
from pages._shared.word_charts import TOP


def main() -> None:
    """Draw the page."""
    with page("Explain", "Which object makes which word likely, and what ODITS changes against CLIP."):
        with st.sidebar:
            dataset = choose_dataset()
            collection = choose_collection(dataset)
            reference = choose_odits()
            kind = choose_vocabulary(dataset, of_picture=True)
        with guarded():
            offer_training(dataset)
        picture = choose_picture(pictures_of(collection, dataset))
        link = ["images", "image", "odits", "vocabulary", *(["words"] if kind == "typed" else [])]
        if picture is None:
            state.publish(*link)
            return
        vocabulary = vocabulary_of(kind, dataset, picture)
        opened = open_picture(picture)
        with st.spinner("Encoding the objects …", show_time=True):
            model = load(reference)
            answer = answer_for(model, picture, opened, vocabulary)
            best = tuple(np.argsort(-answer.odits.probabilities, kind="stable")[:TOP].tolist())
            contributed = contributions(opened, model, best, answer.carriers)
        with guarded():
            show_words(answer, picture)
            show_changes(answer, picture, contributed)
        st.subheader("Which object carries a word?", anchor=False, help=help_on("object", "contribution"))
        with guarded():
            with st.container(horizontal=True, key="explain-choices"):
                word, view = choose_word(answer, picture), choose_view()
            state.publish(*link, "word", "view")
            show_picture(model, answer, picture, opened, word, view)
        st.subheader("What the objects are in words", anchor=False)
        with guarded():
            show_matrix(answer, picture, opened)
        with guarded():
            show_capabilities(model)


main()
