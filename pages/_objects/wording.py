"""The words of one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from odits.data import Vocabulary
from odits.figures.words import top_words_figure
from pages._shared.layout import chart, chart_download, file_stem, table_download
from pages._shared.pictures import Opened, Picture
from pages._shared.word_models import predict, say_who

if TYPE_CHECKING:
    import supervision as sv

TOP = 10


def show_words(
    picture: Picture,
    opened: Opened,
    detections: sv.Detections,
    index: int,
    reference: str,
    vocabulary: Vocabulary,
    title: str,
) -> None:
    """The crop of one object and the words that describe it best."""
    from odits.objects.detections import object_crop

    crop = object_crop(opened.image, detections, index)
    box = ",".join(f"{value:.0f}" for value in detections.xyxy[index])
    with st.spinner("Reading the object …"):
        prediction = predict(reference, crop, f"{opened.digest}:{box}", vocabulary, crop=True)
    st.subheader(title, anchor=False)
    with st.container(key="fit-crop"):
        st.image(crop, alt=title)
    say_who(prediction)
    top = prediction.top(TOP)
    figure = top_words_figure(top, picture.lexicon, picture.visible)
    chart(figure, "object-words", "The most probable words: " + ", ".join(item.word for item in top))
    stem = file_stem(f"{title}-words-{picture.name}".lower())
    with st.container(horizontal=True, key="word-downloads"):
        chart_download(figure, stem, "object-words")
        words = pd.DataFrame({"word": [item.word for item in top], "probability": [item.probability for item in top]})
        table_download(words, stem, "object-words")
