"""Which words a model is asked about."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from odits.core.errors import OditsError
from odits.data import Dataset, Vocabulary
from pages._shared import state
from pages._shared.pictures import Picture, demo_dataset

TYPED_AT_FIRST = "HOTEL, CAFE, BAR, RESTAURANT, BANK, PHARMACY, BAKERY, BOOKS, PIZZA, SALON, OPEN, PARKING"
_FILE = "odits-vocabulary-file"


def choose_vocabulary(dataset: Dataset | None) -> str:
    """How the words are chosen: "svt", "eval", "demo", "lexicon", "typed" or "file"; asks for words where need be."""
    titles: dict[str, str] = {}
    if dataset is not None:
        titles["svt"] = f"{dataset.name}, both splits"
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
        kept = st.session_state.get(_FILE)
        if isinstance(kept, Vocabulary):
            st.caption(f"{len(kept):,} words")
        elif isinstance(kept, str):
            st.error(kept, icon=":material/error:")
    return kind


def vocabulary_of(kind: str, dataset: Dataset | None, picture: Picture | None) -> Vocabulary:
    """The vocabulary chosen. Raises OditsError, with what to do, where it has no words yet."""
    if kind in ("svt", "eval") and dataset is not None:
        return _of_dataset(str(dataset.root), len(dataset.records), "all" if kind == "svt" else "eval", dataset)
    if kind == "demo" and (demo := demo_dataset()) is not None:
        words = _of_dataset(str(demo.root), len(demo.records), "all", demo)
        return replace(words, name="demo images, all words")
    if kind == "lexicon":
        if picture is None or not picture.lexicon:
            raise OditsError("This image has no lexicon of its own. Choose another vocabulary on the left.")
        return Vocabulary.from_words(picture.lexicon, f"lexicon of {picture.name}")
    if kind == "file":
        kept = st.session_state.get(_FILE)
        if not isinstance(kept, Vocabulary):
            raise OditsError("Add a text file of words on the left; a link to this page cannot carry the file itself.")
        return kept
    return Vocabulary.from_text(str(state.get("words") or ""), "typed words")


@st.cache_resource(max_entries=6, show_spinner=False)
def _of_dataset(root: str, images: int, split: str, _dataset: Dataset) -> Vocabulary:
    return _dataset.vocabulary(split)


def _take_in() -> None:
    file = st.session_state["file-words"]
    if file is None:
        return
    try:
        text = file.getvalue().decode("utf-8-sig")
        st.session_state[_FILE] = Vocabulary.from_text(text, file.name)
    except UnicodeDecodeError:
        st.session_state[_FILE] = f"{file.name} is not a text file in UTF-8."
    except OditsError as error:
        st.session_state[_FILE] = str(error)
