"""Which words a model is asked about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st

from odits.core.errors import OditsError
from odits.data import Dataset, ImageRecord, Vocabulary
from odits.data.general_words import general_vocabulary
from odits.data.predictions import WordModel
from odits.models.registry import SPOTTING
from pages._shared import state
from pages._shared.answers import Kind, answer
from pages._shared.datasets import demo_dataset
from pages._shared.glossary import help_on
from pages._shared.layout import complain, count_of
from pages._shared.pictures import Opened, open_picture
from pages._shared.word_models import load, load_quietly, reads

TYPED_AT_FIRST = "HOTEL, CAFE, BAR, RESTAURANT, BANK, PHARMACY, BAKERY, BOOKS, PIZZA, SALON, OPEN, PARKING"
_FILE = "odits-vocabulary-file"
_READ = Kind("vocabularies", 64)


PICTURE = "picture"
"""The choice of the words that are read in the picture, and the general list."""


def choose_vocabulary(dataset: Dataset | None, of_picture: bool = False) -> str:
    """Ask for the vocabulary, and take words in where need be.

    Args:
        dataset: the data set that is open.
        of_picture: whether the page is about one picture: the words read in it and the general list come first then.

    Returns:
        "picture", "svt", "eval", "demo", "general", "lexicon", "typed" or "file".
    """
    before = state.get("vocabulary")
    titles: dict[str, str] = {PICTURE: "Read words and a general list"} if of_picture else {}
    if dataset is not None:
        titles["svt"] = f"{dataset.name}, all words"
        titles |= {"eval": f"{dataset.name}, evaluation images"} if "eval" in dataset.splits else {}
    if demo_dataset() is not None:
        titles["demo"] = "Demo images, all words"
    titles |= {"general": "A general list of words"}
    titles |= {"lexicon": "This image's own lexicon", "typed": "Words I type", "file": "A text file of words"}
    kind = state.choose(
        "Vocabulary",
        list(titles),
        "vocabulary",
        lambda key: titles.get(key, key),
        help=help_on("vocabulary", "lexicon", more="Words that were read and stand in no list are marked."),
    )
    if before == PICTURE and not of_picture:  # the other pages have no such choice, and leave it as it was
        state.put("vocabulary", PICTURE)
    if kind == "typed":
        state.put("words", state.get("words") or TYPED_AT_FIRST)
        st.text_area("Words, separated by commas or line breaks", height=120, **state.bind("words", state.get("words")))
    if kind == "file":
        st.file_uploader(
            "One word a line, or separated by commas", ["txt", "csv", "tsv"], key="file-words", on_change=_take_in
        )
        given = st.session_state.get(_FILE)
        if isinstance(given, Vocabulary):
            st.caption(count_of(len(given), "word"))
        elif isinstance(given, str):
            complain(given)
    return kind


def vocabulary_of(
    kind: str, dataset: Dataset | None, picture: ImageRecord | None, reference: str | None = None
) -> Vocabulary:
    """Return the vocabulary chosen.

    Args:
        kind: as `choose_vocabulary` returns it.
        dataset: the data set that is open.
        picture: the picture in question.
        reference: of the word model; the words that are read in the picture are those of its own lines, where it reads.

    Raises:
        OditsError: it has no words yet; the sentence says what to do.
    """
    if kind == PICTURE and picture is not None:
        spotting = reference if reference is not None and reads(reference) else None
        with st.spinner("Reading the picture …", show_time=True):
            return picture_vocabulary(open_picture(picture), load(spotting) if spotting else None)
    if kind in (PICTURE, "general"):
        return general_vocabulary()
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


def session_free(
    kind: str, dataset: Dataset | None, references: Sequence[str]
) -> tuple[Callable[[ImageRecord], Vocabulary], Vocabulary | None]:
    """Return what knows each picture's vocabulary without the session, for other threads, and the one of all pictures.

    Args:
        kind: of vocabulary; typed words and files are of the session, and looked up here.
        dataset: the data set that is open.
        references: of the models; the first that reads says what is written in a picture.

    Returns:
        A function of a picture; and the vocabulary where it is the same of every picture.

    Raises:
        OditsError: there are no words yet.
    """
    fixed = None if kind in (PICTURE, "lexicon") else vocabulary_of(kind, dataset, None)
    reader = next((reference for reference in references if reads(reference)), None)

    def words_of(one: ImageRecord) -> Vocabulary:
        if fixed is not None:
            return fixed
        if kind == PICTURE:
            return picture_vocabulary(open_picture(one), load_quietly(reader) if reader else None)
        return Vocabulary.from_words(one.lexicon, f"lexicon of {one.name}")

    return words_of, fixed


def picture_vocabulary(opened: Opened, spotting: WordModel | None) -> Vocabulary:
    """Return the words read in a picture, once, by a model that reads or by spotting; and the general list."""
    from odits.models.reading.read_words import PictureVocabularies

    key = opened.digest, spotting.checkpoint if spotting else ""
    return answer(_READ, key, lambda: PictureVocabularies(spotting or load_quietly(SPOTTING)).of(opened.image))


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
        st.session_state[_FILE] = Vocabulary.from_bytes(file.getvalue(), file.name)
    except OditsError as error:
        st.session_state[_FILE] = str(error)
