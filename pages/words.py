"""Words: which words of a vocabulary describe the picture best, by one model or by two side by side."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from odits.data import ImageRecord, Vocabulary
from odits.data.predictions import WordPrediction
from odits.figures.words import MARKS_HELP, top_words_figure, word_mark
from odits.models.registry import EMBEDDED
from pages._shared import state
from pages._shared.datasets import choose_collection, choose_dataset, pictures_of
from pages._shared.layout import chart, chart_download, escape_markdown, file_stem, guarded, page, panes, table_download
from pages._shared.pictures import Opened, choose_picture, open_picture, show_picture
from pages._shared.vocabularies import choose_vocabulary, vocabulary_of
from pages._shared.word_models import choose_model, predict, reads, show_caption
from pages._words.reading import show_reading

TOP = 10


def main() -> None:
    """Draw the page."""
    with page("Words", "Which words describe the picture: written on its signs, or simply true of the place."):
        with st.sidebar:
            dataset = choose_dataset()
            collection = choose_collection(dataset)
            references = [choose_model()]
            kind = choose_vocabulary(dataset, of_picture=True)
            if st.toggle("Compare two models", **state.bind("compare", state.is_on("compare"))):
                references.append(choose_model("model2", EMBEDDED))
        picture = choose_picture(pictures_of(collection, dataset))
        reader = next((reference for reference in references if reads(reference)), None)
        link = ["images", "image", "model", "vocabulary", *(["words"] if kind == "typed" else [])]
        link += ["compare", "model2"] if len(references) > 1 else []
        state.publish(*link, *(["spot", "sure"] if reader else []))
        if picture is None:
            return
        opened = open_picture(picture)
        with panes("words") as row:
            with row.container(key="pane-picture"), guarded():
                show_picture(opened, picture, "words")
                if picture.visible:
                    st.caption("Words in the picture: " + escape_markdown(", ".join(picture.visible)), help=MARKS_HELP)
            with row.container(key="pane-words"), guarded():
                compare(references, opened, picture, vocabulary_of(kind, dataset, picture, reader))
        if reader:
            with guarded():
                show_reading(reader, opened, picture, vocabulary_of(kind, dataset, picture, reader))


def compare(references: list[str], opened: Opened, picture: ImageRecord, vocabulary: Vocabulary) -> None:
    """Show what each model predicts for the picture, on one scale."""
    found: dict[str, WordPrediction] = {}
    with st.spinner("Predicting the words …", show_time=True):
        for number, reference in enumerate(references):
            with guarded():
                found[f"{number}"] = predict(reference, opened.image, opened.digest, vocabulary)
    limit = max((float(prediction.probabilities.max()) for prediction in found.values()), default=1.0)
    with panes("models") as row:
        for key, prediction in found.items():
            with row.container(key=f"pane-model-{key}"):
                show_prediction(prediction, picture, limit, key)


def show_prediction(prediction: WordPrediction, picture: ImageRecord, limit: float, key: str) -> None:
    """Show one model's chart, its numbers and their downloads."""
    show_caption(prediction)
    if prediction.is_empty:
        st.info("No readable words: none of the vocabulary is in the picture.", icon=":material/search_off:")
        return
    top = prediction.top(TOP)
    extra = prediction.vocabulary.extra
    figure = top_words_figure(top, picture.lexicon, picture.visible, limit, extra)
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


def ranking(prediction: WordPrediction, picture: ImageRecord, count: int | None = None) -> pd.DataFrame:
    """Return the words by rank with probability and what is known about them; all of them by default."""
    top = prediction.top(len(prediction.vocabulary) if count is None else count)
    columns: dict[str, list[object]] = {
        "rank": list(range(1, len(top) + 1)),
        "word": [item.word for item in top],
        "probability": [item.probability for item in top],
    }
    extra = prediction.vocabulary.extra
    if picture.lexicon or picture.boxed or extra:
        columns["known"] = [word_mark(item.word, picture.lexicon, picture.visible, extra).title for item in top]
    return pd.DataFrame(columns)


main()
