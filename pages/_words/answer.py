"""The answer for one picture: its words, its objects, and which objects carry the word that is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from odits.core.percent import percent
from odits.data import Dataset, ImageRecord, Vocabulary
from odits.data.predictions import WordPrediction
from odits.figures.drawing import Drawing, Shape, outline_path, place_of
from odits.figures.words import (
    CARRIER_COLOR,
    MARKS_HELP,
    PLACE_COLOR,
    carriers_of_word,
)
from pages._shared import serving, state
from pages._shared.answers import Kind, ahead, held
from pages._shared.bars import choose_word_in_chart, show_words_chart
from pages._shared.canvas import show_canvas
from pages._shared.carriers import Carriers, carriers_of, contributions
from pages._shared.layout import escape_markdown, file_stem, guarded, panes, table_download
from pages._shared.pictures import Opened, open_picture, pictures_beside, preview
from pages._shared.vocabularies import session_free
from pages._shared.word_charts import TOP, ranking, words_menu
from pages._shared.word_models import load, load_quietly, predict, predict_quietly, show_caption
from pages._words.guess import show_guess

if TYPE_CHECKING:
    from odits.models.fusion.model import OditsModel

_PREPARED = Kind("prepared", 256)
HIGHEST = 430
"""Pixels of the picture's height at most."""


def show_answer(
    reference: str, opened: Opened, picture: ImageRecord, find_vocabulary: Callable[[], Vocabulary]
) -> None:
    """Show the picture beside its words; the words come first, its objects then.

    Args:
        reference: of the word model.
        opened: the picture, decoded.
        picture: the picture.
        find_vocabulary: returns the words to choose from; it may have to read the picture.
    """
    from odits.models.fusion.model import OditsModel

    speaker = st.container(key="speaker")
    with panes("answer") as row:
        canvas, beside = row.container(key="pane-overlay"), row.container(key="pane-words")
    place = canvas.empty()
    prepared = held().kept(_PREPARED, (opened.digest, reference)) is not None
    if not prepared:  # else its objects are drawn at once
        with place.container():
            show_canvas(f"picture-{opened.digest[:12]}", opened, Drawing([]), f"The image {picture.name}", HIGHEST)
    prediction: WordPrediction | None = None
    with beside, guarded(), st.spinner("Reading the words …", show_time=True):
        prediction = predict(reference, opened.image, opened.digest, find_vocabulary())
    model = load(reference) if prediction is not None else None
    if prepared and not isinstance(model, OditsModel):
        with place.container():
            show_canvas(f"picture-{opened.digest[:12]}", opened, Drawing([]), f"The image {picture.name}", HIGHEST)
    if prediction is None or model is None:
        return
    with speaker:
        show_caption(prediction)
    with beside, guarded():
        word = show_words(prediction, picture, opened, isinstance(model, OditsModel))
        carried = st.container(key="carriers")
    with canvas, guarded():
        if isinstance(model, OditsModel):
            show_objects(model, opened, picture, prediction, word, (place, carried))
        if picture.visible:
            st.caption("Words in the picture: " + escape_markdown(", ".join(picture.visible)), help=MARKS_HELP)
    held().keep(_PREPARED, (opened.digest, reference), True)
    with guarded():
        show_numbers(prediction, picture, "0")


def show_words(prediction: WordPrediction, picture: ImageRecord, opened: Opened, explained: bool) -> str | None:
    """Show the most probable words and ask for one of them.

    Args:
        prediction: of the words.
        picture: the picture.
        opened: the picture, decoded.
        explained: whether objects that carry a word can be shown.

    Returns:
        The word chosen; None where none is in the picture, which is said, and where there is nothing to choose for.
    """
    if prediction.is_empty:
        show_nothing(opened)
        return None
    top = prediction.top(TOP)
    words = [item.word for item in top]
    if not explained:
        show_words_chart(prediction, picture)
        return None
    asked = state.get("word")
    word = asked if asked in words else words[0]
    choose_word_in_chart("chart-0", prediction, picture, word, lambda one: state.act("word", one))
    chosen: str = st.selectbox(
        "The word whose objects are shown",
        words,
        label_visibility="collapsed",
        format_func=lambda one: f"Objects that carry {one}",
        help="Or click a bar.",
        **state.bind("word", word, f"-{word}"),
    )
    return chosen


def show_nothing(opened: Opened, key: str = "0") -> None:
    """Say that no words were read, and what the picture looks like instead."""
    st.info("No readable words: none of the vocabulary is in the picture.", icon=":material/search_off:")
    show_guess(opened, key)


def show_objects(
    model: OditsModel,
    opened: Opened,
    picture: ImageRecord,
    prediction: WordPrediction,
    word: str | None,
    places: tuple[DeltaGenerator, DeltaGenerator],
) -> None:
    """Draw the picture's objects over it, those that carry the word brought out, and say what they contribute.

    Args:
        model: the word model.
        opened: the picture, decoded.
        picture: the picture.
        prediction: of its words.
        word: the word that is chosen; None where there is none.
        places: where the picture stands, and where its sentences go.
    """
    canvas, beside = places
    with st.spinner("Finding the objects …", show_time=True):
        found = carriers_of(model, picture, opened, prediction.vocabulary)
        contributed = np.zeros(len(found.labels), np.float32)
        if word is not None:
            ranked = [item.word for item in prediction.top(TOP)]
            contributed = _contributions(opened, model, prediction, found)[:, ranked.index(word)]
    key = opened.digest, prediction.checkpoint, prediction.vocabulary.digest, word or ""
    drawing = _objects_drawing(*key, opened, found, contributed)
    carriers = carriers_of_word(contributed)
    named = ", ".join(found.labels[index] for index in carriers) or "none"
    alt = f"The picture with {len(found.labels)} objects"
    with canvas.container():
        alt = f"{alt}; those that carry {word}: {named}" if word else alt
        show_canvas(f"objects-{opened.digest[:12]}", opened, drawing, alt, HIGHEST)
    if word is not None:
        with beside:
            _say_carriers(prediction, word, [(found.labels[index], float(contributed[index])) for index in carriers])


def _contributions(opened: Opened, model: OditsModel, prediction: WordPrediction, found: Carriers) -> np.ndarray:
    """Return float32 (P, q): what the logits of the words shown lose without each object."""
    ranked = [item.word for item in prediction.top(TOP)]
    place = {one: index for index, one in enumerate(prediction.vocabulary.words) if one in set(ranked)}
    return contributions(opened, model, tuple(place[one] for one in ranked), found)


def ask_ahead(
    references: Sequence[str], pictures: Sequence[ImageRecord], picture: ImageRecord, kind: str, dataset: Dataset | None
) -> None:
    """Let the models answer about the next and the previous picture before somebody turns to them.

    Args:
        references: of the models.
        pictures: those that the arrow keys go through.
        picture: the one shown.
        kind: of vocabulary.
        dataset: the data set that is open.
    """
    from odits.models.fusion.model import OditsModel

    words_of = session_free(kind, dataset, references)[0]

    def ask(one: ImageRecord) -> None:
        opened = open_picture(one)
        preview(opened.digest, opened.image)
        vocabulary = words_of(one)
        for reference in references:
            prediction, model = (
                predict_quietly(reference, opened.image, opened.digest, vocabulary),
                load_quietly(reference),
            )
            if len(references) == 1 and isinstance(model, OditsModel):
                found = carriers_of(model, one, opened, vocabulary)
                if not prediction.is_empty:
                    _contributions(opened, model, prediction, found)
            held().keep(_PREPARED, (opened.digest, reference), True)

    ahead([partial(ask, one) for one in pictures_beside(pictures, picture)])


@st.cache_resource(max_entries=64, show_spinner=False)
def _objects_drawing(
    digest: str,
    checkpoint: str,
    vocabulary: str,
    word: str,
    _opened: Opened,
    _found: Carriers,
    _contributed: np.ndarray,
) -> Drawing:
    """Draw a picture's objects, once for all who look at the same word; those that carry it lie on top."""
    height, kinds = _opened.image.height, [group.kind for group in _found.explainer.groups]
    carriers = carriers_of_word(_contributed)
    written = [index for index, kind in enumerate(kinds) if kind in ("word", "text", "line") and index not in carriers]
    others = [index for index in range(len(kinds)) if index not in carriers and index not in written]
    shapes = []
    for indices, color, line, fill in (
        (others, "#FFFFFFBF", 1.0, 0.0),
        (written, PLACE_COLOR, 2.0, 0.15),
        (carriers, CARRIER_COLOR, 4.0, 0.35),
    ):
        for index in indices:
            label, added = _found.labels[index], float(_contributed[index])
            shapes.append(
                Shape(
                    outline_path(_found.outlines[index]),
                    color,
                    color,
                    index,
                    (label, f"adds {added:+.2f}"),
                    share=fill,
                    line=line,
                    label=f"{word} {added:+.1f}" if index in carriers else "",
                    at=place_of(_found.outlines[index], height),
                )
            )
    return Drawing(shapes, note="" if shapes else "No objects were found in this image")


def _say_carriers(prediction: WordPrediction, word: str, carriers: Sequence[tuple[str, float]]) -> None:
    """Say which objects carry a word, and what would be left of it without each."""
    if not carriers:
        st.caption("No object carries this word: without any of them it is as likely.")
        return
    presence = getattr(prediction, "presence", None)
    share = next(item.probability for item in prediction.top(TOP) if item.word == word)
    lines = []
    for label, contributed in carriers:
        without = ""
        if presence is not None:
            left = 1 / (1 + np.exp(np.clip(contributed - np.log(share / max(1 - share, 1e-9)), -60, 60)))
            without = f"; without it {percent(float(left))} instead of {percent(share)}"
        lines.append(f"- **{escape_markdown(label)}** adds {contributed:.1f} to its log-odds{without}")
    st.markdown("\n".join(lines))


@serving.fragment
def show_numbers(prediction: WordPrediction, picture: ImageRecord, key: str) -> None:
    """Show, once somebody unfolds them, the numbers of a prediction, and the downloads of its chart and all words."""
    stem = file_stem(f"words-{picture.name}-{prediction.model}")
    box = st.expander("The numbers", key=f"numbers-box-{key}", on_change="rerun")
    if not box.open:  # tables take the browser long
        return
    with box:
        st.dataframe(
            ranking(prediction, picture, TOP),
            hide_index=True,
            key=f"numbers-{key}",
            column_config={"probability": st.column_config.NumberColumn(format="%.7f")},
        )
        with st.container(horizontal=True, key=f"downloads-{key}"):
            words_menu(f"chart-{key}", stem, prediction, picture)
            table_download(lambda: ranking(prediction, picture), stem, f"table-{key}", "All words")
