"""Words: which words of a vocabulary describe the picture best, by one model or by two side by side."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from odits.data import Vocabulary
from odits.data.predictions import WordPrediction
from odits.figures.words import top_words_figure, word_mark
from pages._shared import state
from pages._shared.layout import chart, chart_download, file_stem, guarded, page, panes, plain, table_download
from pages._shared.pictures import (
    Opened,
    Picture,
    choose_collection,
    choose_picture,
    dataset_or_none,
    open_picture,
    pictures_of,
    show_picture,
)
from pages._shared.vocabularies import choose_vocabulary, vocabulary_of
from pages._shared.word_models import SPOTTING, VITSTR, choose_model, predict, reads, say_who
from pages._words.reading import show_reading

TOP = 10


def ranking(prediction: WordPrediction, picture: Picture, count: int | None = None) -> pd.DataFrame:
    """The words by rank with their probabilities and what is known about them; all of them by default."""
    top = prediction.top(len(prediction.vocabulary) if count is None else count)
    known = bool(picture.lexicon or picture.boxed)
    columns: dict[str, list[object]] = {
        "rank": list(range(1, len(top) + 1)),
        "word": [item.word for item in top],
        "probability": [item.probability for item in top],
    }
    if known:
        columns["known"] = [word_mark(item.word, picture.lexicon, picture.visible).title for item in top]
    return pd.DataFrame(columns)


def show_prediction(prediction: WordPrediction, picture: Picture, limit: float, key: str) -> None:
    """One model's chart, its numbers and their downloads."""
    say_who(prediction)
    top = prediction.top(TOP)
    figure = top_words_figure(top, picture.lexicon, picture.visible, limit)
    chart(figure, f"chart-{key}", f"The {len(top)} most probable words: " + ", ".join(item.word for item in top))
    stem = file_stem(f"words-{picture.name}-{prediction.model}")
    with st.container(horizontal=True, key=f"downloads-{key}"):
        chart_download(figure, stem, f"chart-{key}")
        table_download(ranking(prediction, picture), stem, f"table-{key}", "All words")
    with st.expander("The numbers"):
        st.dataframe(
            ranking(prediction, picture, TOP),
            hide_index=True,
            key=f"numbers-{key}",
            column_config={"probability": st.column_config.NumberColumn(format="%.7f")},
        )


def compare(references: list[str], opened: Opened, picture: Picture, vocabulary: Vocabulary) -> None:
    """What each model says about the picture, on one scale."""
    found: dict[str, WordPrediction] = {}
    with st.spinner("Reading the picture …", show_time=True):
        for place, reference in enumerate(references):
            with guarded():
                found[f"{place}"] = predict(reference, opened.image, opened.digest, vocabulary)
    limit = max((float(prediction.probabilities.max()) for prediction in found.values()), default=1.0)
    with panes("models") as row:
        for key, prediction in found.items():
            with row.container(key=f"pane-model-{key}"):
                show_prediction(prediction, picture, limit, key)


with page("Words", "Which words describe the picture: written on its signs, or simply true of the place."):
    with st.sidebar:
        dataset = dataset_or_none()
        collection = choose_collection(dataset)
        references = [choose_model(spotting=True)]
        kind = choose_vocabulary(dataset)
        two = st.toggle("Compare two models", **state.bind("compare", str(state.get("compare")) == "True"))
        if two:
            references.append(choose_model("2", SPOTTING, spotting=True))
    picture = choose_picture(pictures_of(collection, dataset))
    reading = [reference for reference in references if reads(reference)]
    state.publish(
        "images",
        "image",
        "model",
        "checkpoint",
        "vocabulary",
        *(["words"] if kind == "typed" else []),
        *(["compare", "model2", "checkpoint2"] if two else []),
        *[f"recogniser{suffix}" for suffix in ("", "2") if state.get(f"model{suffix}") == VITSTR],
        *(["spot", "sure"] if reading else []),
    )
    if picture is not None:
        with panes("words") as row:
            with row.container(key="pane-picture"), guarded():
                opened = open_picture(picture)
                show_picture(opened, picture, "words")
                if picture.visible:
                    st.caption("Visible words: " + plain(", ".join(picture.visible)))
            with row.container(key="pane-words"), guarded():
                opened = open_picture(picture)
                compare(references, opened, picture, vocabulary_of(kind, dataset, picture))
        if reading:
            with guarded():
                show_reading(reading[0], open_picture(picture), picture, vocabulary_of(kind, dataset, picture))
