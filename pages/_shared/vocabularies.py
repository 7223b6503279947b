"""Which words a model is asked about."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from odits.core.errors import OditsError
from odits.data import Dataset, ImageRecord, Vocabulary
from pages._shared import state
from pages._shared.datasets import demo_dataset
from pages._shared.layout import complain, count_of

TYPED_AT_FIRST = "HOTEL, CAFE, BAR, RESTAURANT, BANK, PHARMACY, BAKERY, BOOKS, PIZZA, SALON, OPEN, PARKING"
_FILE = "odits-vocabulary-file"


def choose_vocabulary(dataset: Dataset | None) -> str:
    """Ask for the vocabulary: "svt", "eval", "demo", "lexicon", "typed" or "file"; take words in where need be."""
    titles: dict[str, str] = {}
    if dataset is not None:
        titles["svt"] = f"{dataset.name}, all words"
        titles |= {"eval": f"{dataset.name}, evaluation images"} if "eval" in dataset.splits else {}
    if demo_dataset() is not None:
        titles["demo"] = "Demo images, all words"
    titles |= {"lexicon": "This image's own lexicon", "typed": "Words I type", "file": "A text file of words"}
    kind = state.choose(
        "Vocabulary",
        list(titles),
        "vocabulary",
        lambda key: titles.get(key, key),
        help="The words a model chooses from.",
    )
    if kind == "typed":
        state.put("words", state.get("words") or TYPED_AT_FIRST)
        st.text_area("Words, separated by commas or line breaks", height=120, **state.bind("words", state.get("words")))
    if kind == "file":
        st.file_uploader(
            "One word a line, or separated by commas", ["txt", "csv"], key="file-words", on_change=_take_in
        )
        given = st.session_state.get(_FILE)
        if isinstance(given, Vocabulary):
            st.caption(count_of(len(given), "word"))
        elif isinstance(given, str):
            complain(given)
    return kind


def vocabulary_of(kind: str, dataset: Dataset | None, picture: ImageRecord | None) -> Vocabulary:
    """Return the vocabulary chosen. Raises OditsError, with what to do, where it has no words yet."""
    if kind in ("svt", "eval") and dataset is not None:
        return split_vocabulary(dataset, "all" if kind == "svt" else "eval")
    if kind == "demo" and (demo := demo_dataset()) is not None:
        return replace(split_vocabulary(demo, "all"), name="demo images, all words")
    if kind == "lexicon":
        if picture is None or not picture.lexicon:
            raise OditsError("This image has no lexicon of its own. Choose another vocabulary on the left.")
        return Vocabulary.from_words(picture.lexicon, f"lexicon of {picture.name}")
    if kind == "file":
        given = st.session_state.get(_FILE)
        if not isinstance(given, Vocabulary):
            raise OditsError("Add a text file of words on the left; a link to this page cannot carry the file itself.")
        return given
    return Vocabulary.from_text(str(state.get("words") or ""), "typed words")


@st.cache_resource(max_entries=6, show_spinner=False)
def _of_split(root: str, images: int, split: str, _dataset: Dataset) -> Vocabulary:
    return _dataset.vocabulary(split)


def split_vocabulary(dataset: Dataset, split: str) -> Vocabulary:
    """Return the words of a split, "all" for those of both."""
    return _of_split(str(dataset.root), len(dataset.records), split, dataset)


def _take_in() -> None:
    file = st.session_state["file-words"]
    if file is None:
        return
    try:
        st.session_state[_FILE] = read_words(file.getvalue(), file.name)
    except OditsError as error:
        st.session_state[_FILE] = str(error)


def read_words(content: bytes, name: str) -> Vocabulary:
    """Return the words of a text file, one a line or separated by commas.

    Raises:
        OditsError: it is no text in UTF-8, or holds no word.
    """
    try:
        return Vocabulary.from_text(content.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        raise OditsError(f"{name} is not a text file in UTF-8.") from error
