"""Stage: two to four checkpoints on one picture, the same words in the same rows, for showing to others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from odits.data import Dataset, ImageRecord
from odits.figures.stage import slide_html
from odits.models.registry import EMBEDDED, SPOTTING
from pages._shared import state
from pages._shared.answers import ahead
from pages._shared.datasets import choose_collection, choose_dataset, pictures_of
from pages._shared.layout import guarded, page
from pages._shared.pictures import choose_picture, open_picture, pictures_beside
from pages._shared.vocabularies import choose_vocabulary, session_free, vocabulary_of
from pages._shared.word_models import choose_model, need_weights, reads
from pages._stage.component import show_slide
from pages._stage.playlist import chosen_names, offer_list
from pages._stage.slides import LARGE_ROWS, ROWS, slide_of

_STYLE = """
<style>
[data-testid="stMainBlockContainer"]:has(.st-key-stage) {padding-top: 1rem; max-width: none}
[data-testid="stMainBlockContainer"]:has(.st-key-stage) h1 {font-size: 1.4rem; padding: 0 0 .1rem}
[data-testid="stApp"]:has(.st-key-stage) [data-testid="stHeader"] {background: transparent; pointer-events: none}
[data-testid="stApp"]:has(.st-key-stage) [data-testid="stHeader"] * {pointer-events: auto}
[data-testid="stMainBlockContainer"]:has(.st-key-stage) > [data-testid="stVerticalBlock"] {gap: .5rem}
</style>
"""
LINK = ("images", "image", "model", "model2", "model3", "model4", "vocabulary", "large", "beneath", "list")


def main() -> None:
    """Draw the page."""
    with page("Stage", "Two to four models on one picture, the same words in the same rows; arrow keys turn."):
        st.html(_STYLE)
        with st.sidebar:
            dataset = choose_dataset()
            collection = choose_collection(dataset, "demo")
            references = choose_models()
            kind = choose_vocabulary(dataset, of_picture=True)
            large = st.toggle("Large text", **state.bind("large", state.is_on("large")))
            beneath = st.toggle(
                "Objects and what they add", **state.bind("beneath", state.is_on("beneath", default=True))
            )
        pictures = pictures_of(collection, dataset)
        link = [*LINK, *(["words"] if kind == "typed" else [])]
        listed = [picture for picture in pictures if picture.name in set(chosen_names())]
        shown = sorted(listed, key=lambda one: chosen_names().index(one.name)) if listed else pictures
        picture = choose_picture(shown)
        if picture is None:
            state.publish(*link)
            return
        with guarded():
            draw(references, picture, kind, dataset, large, beneath and not large)
            ask_ahead(references, shown, picture, (kind, dataset), large, beneath and not large)
        with guarded():
            offer_list(picture, shown if listed else [], references, (kind, dataset))
        state.publish(*link)


def choose_models() -> list[str]:
    """Ask for two to four models; return the references of those chosen, each once."""
    references = [
        choose_model(label="First, compared with"),
        choose_model("model2", SPOTTING, label="Second"),
        choose_model("model3", EMBEDDED, label="Third", none="None"),
        choose_model("model4", "", label="Fourth", none="None"),
    ]
    return [reference for reference in dict.fromkeys(references) if reference]


def draw(
    references: list[str], picture: ImageRecord, kind: str, dataset: Dataset | None, large: bool, objects: bool
) -> None:
    """Draw the slide of a picture. Raises OditsError."""
    for reference in references:
        need_weights(reference)
    with st.spinner("Asking the models …", show_time=True):
        reader = next((reference for reference in references if reads(reference)), None)
        open_picture(picture)
        vocabulary = vocabulary_of(kind, dataset, picture, reader)
        slide = slide_of(references, picture, vocabulary, LARGE_ROWS if large else ROWS, objects)
    show_slide(slide_html(slide), large)
    st.caption(
        f"Bars are shares of a column's highest; # is the rank among {len(vocabulary):,} words, ▲ and ▼ how far a word "
        "rose or fell against the first."
        + (" ← names the objects that carry a word, and what each adds to its logit." if slide.carried else "")
    )


def ask_ahead(
    references: list[str],
    pictures: Sequence[ImageRecord],
    picture: ImageRecord,
    words: tuple[str, Dataset | None],
    large: bool,
    objects: bool,
) -> None:
    """Let the models answer about the next and the previous picture before somebody turns to them.

    Args:
        references: of the models.
        pictures: those that the arrow keys go through.
        picture: on the stage.
        words: kind of vocabulary, and the data set that is open.
        large: whether the text is large.
        objects: whether objects are explained.
    """
    words_of, _ = session_free(*words, references)

    def ask(one: ImageRecord) -> None:
        slide_of(references, one, words_of(one), LARGE_ROWS if large else ROWS, objects)

    ahead([partial(ask, one) for one in pictures_beside(pictures, picture)])


main()
