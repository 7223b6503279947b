"""Words: which words are in the picture, which of its objects carry them, and how up to three models compare."""

from __future__ import annotations

import streamlit as st

from odits.data import ImageRecord, Vocabulary
from odits.data.predictions import WordPrediction
from odits.figures.words import MARKS_HELP
from odits.models.registry import EMBEDDED
from pages._shared import state
from pages._shared.bars import show_words_chart
from pages._shared.datasets import choose_collection, choose_dataset, pictures_of
from pages._shared.layout import escape_markdown, guarded, page, panes
from pages._shared.pictures import Opened, choose_picture, open_picture, show_picture
from pages._shared.vocabularies import choose_vocabulary, vocabulary_of
from pages._shared.word_models import choose_model, predict, reads, show_caption
from pages._words.answer import ask_ahead, show_answer, show_nothing, show_numbers
from pages._words.pictures import offer_pictures
from pages._words.reading import offer_reading


def main() -> None:
    """Draw the page."""
    with page("Words", "Which words are in the picture, and which of its objects carry them."):
        with st.sidebar:
            dataset = choose_dataset()
            collection = choose_collection(dataset, "demo", uploads=False)
            references = [choose_model()]
            kind = choose_vocabulary(dataset, of_picture=True)
            references += choose_others()
        offer_pictures()
        pictures = pictures_of(collection, dataset)
        picture = choose_picture(pictures)
        reader = next((reference for reference in references if reads(reference)), None)
        link = ["images", "image", "model", "vocabulary", *(["words"] if kind == "typed" else []), "compare"]
        link += ["model2", "model3"] if state.is_on("compare") else ["word"]
        if picture is None:
            state.publish(*link)
            return
        opened = open_picture(picture)

        def find_vocabulary() -> Vocabulary:
            return vocabulary_of(kind, dataset, picture, reader)

        if len(references) > 1:
            compare(references, opened, picture, find_vocabulary())
        else:
            show_answer(references[0], opened, picture, find_vocabulary)
        shown = False
        if reader:
            with guarded():
                shown = offer_reading(reader, opened, picture, find_vocabulary)
        with guarded():
            ask_ahead(references, pictures, picture, kind, dataset)
        state.publish(*link, *(["lines"] if reader else []), *(["spot", "sure"] if shown else []))


def choose_others() -> list[str]:
    """Ask for a second and a third model beside the first; return the references of those chosen."""
    if not st.toggle("Compare models", **state.bind("compare", state.is_on("compare"))):
        return []
    others = [
        choose_model("model2", EMBEDDED, label="Second model"),
        choose_model("model3", "", label="Third model", none="None"),
    ]
    return [reference for reference in others if reference]


def compare(references: list[str], opened: Opened, picture: ImageRecord, vocabulary: Vocabulary) -> None:
    """Show what each model predicts for the picture, on one scale where they answer the same question."""
    show_picture(opened, picture, "compared")
    if picture.visible:
        st.caption("Words in the picture: " + escape_markdown(", ".join(picture.visible)), help=MARKS_HELP)
    found: dict[str, WordPrediction] = {}
    with st.spinner("Predicting the words …", show_time=True):
        for number, reference in enumerate(references):
            with guarded():
                found[f"{number}"] = predict(reference, opened.image, opened.digest, vocabulary)
    limit = max((float(prediction.scores.max()) for prediction in found.values()), default=1.0)
    with panes("models") as row:
        for key, prediction in found.items():
            with row.container(key=f"pane-model-{key}"), guarded():
                show_prediction(prediction, opened, picture, limit, key)


def show_prediction(prediction: WordPrediction, opened: Opened, picture: ImageRecord, limit: float, key: str) -> None:
    """Show one model's chart, its numbers and their downloads."""
    with st.container(key=f"who-{key}"):
        show_caption(prediction)
    if prediction.is_empty:
        show_nothing(opened, key)
        return
    show_words_chart(prediction, picture, limit)
    show_numbers(prediction, picture, key)


main()
