"""Browse: all images of a split with the words predicted for them, to look through and to mark."""

from __future__ import annotations

import numpy as np
import streamlit as st

from odits.core.errors import OditsError
from odits.data import Dataset
from odits.data.annotations import Mark, clean_name
from odits.evaluation.results import KeptEvaluation
from pages._browse.agreeing import download_marks, show_agreement
from pages._browse.evaluating import offer_evaluation
from pages._browse.gallery import PER_PAGE, Card, legend, page_of, pager, show_cards, style
from pages._browse.kept import find_kept, others, title_of
from pages._browse.marking import Review, marks_by_image, open_image, show_opened
from pages._browse.sifting import TOP, WISH_NAMES, Facts, Wish, choose_wish, score_of, sifted
from pages._shared import state
from pages._shared.kept import disagreement_of
from pages._shared.layout import complain, guarded, page
from pages._shared.pictures import (
    Picture,
    choose_collection,
    dataset_or_none,
    demo_dataset,
    pictures_of,
)
from pages._shared.vocabularies import choose_vocabulary, vocabulary_of
from pages._shared.word_models import choose_model

PARTS = {"images": "Images", "agreement": "Agreement"}
_ORDER = "odits-browse-order"


def ask_name() -> str | None:
    """The annotator's name; None while there is none, or none that can be used."""
    typed = st.text_input(
        "Your name",
        placeholder="to mark words",
        help="Your marks are kept under this name on this machine.",
        **state.bind("annotator", str(state.get("annotator") or "")),
    )
    if not typed.strip():
        return None
    try:
        return clean_name(typed)
    except OditsError as error:
        complain(str(error))
        return None


def compare_with(kept: KeptEvaluation) -> KeptEvaluation | None:
    """Another model's evaluation of the same images and words, as the user chose; None for none."""
    found = others(kept)
    titles = {"": "Nobody"} | {key: title_of(other) for key, other in found.items()}
    chosen = state.choose(
        "Compare with",
        list(titles),
        "against",
        lambda key: titles.get(key, key),
        disabled=not found,
        help="Another model that was evaluated on the same images and words."
        if found
        else "Evaluate a second model on the same images and words, then it can be chosen here.",
    )
    return found.get(chosen)


def show_progress(marked: int, of: int, annotator: str | None) -> None:
    """How far the annotator has come."""
    if annotator is None:
        st.info("Give your name on the left to mark words right, wrong or unsure.", icon=":material/edit:")
        return
    with st.container(horizontal=True, vertical_alignment="center", key="marking-progress"):
        st.progress(marked / of if of else 0.0, f"{marked:,} of {of:,} words marked")
        if marked:
            download_marks(annotator, "My marks", "mine")


def score_line(wish: Wish, kept: KeptEvaluation, score: np.ndarray | None, place: int) -> str:
    """What a card says about how right the model was."""
    right = kept.per_image["rank precision_at_10"][place]
    if np.isnan(right):
        return "its right words are not known"
    first = f"{round(float(right) * 10)} of {TOP} right"
    if score is None or wish.sort == "right":
        return first
    name = {"ranking": "ranking", "weight": "weight", "disagreement": "disagreement"}[wish.sort]
    return f"{first} · {name} {score[place]:.2f}"


@st.fragment
def explore(kept: KeptEvaluation, pictures: list[Picture], annotator: str | None, link: tuple[str, ...]) -> None:
    """The gallery, or one image of it: what changes while one looks through the images."""
    with guarded():
        if state.get("view") == "image":
            show_one(kept, pictures, annotator, link)
        else:
            show_gallery(kept, pictures, annotator, link)


def show_gallery(kept: KeptEvaluation, pictures: list[Picture], annotator: str | None, link: tuple[str, ...]) -> None:
    """Thumbnails, sorted and filtered, page by page."""
    state.put("view", "gallery")
    wish, other = choose_wish(lambda: compare_with(kept))
    marks = marks_by_image(kept, annotator)
    score = score_of(kept, wish.sort, disagreement_of(kept, other) if other and wish.sort == "disagreement" else None)
    top = top_words(kept)
    marked = count_marked(kept, top, marks)
    found = sifted(Facts(top, [picture.lexicon for picture in pictures], marked, score), wish)
    show_progress(int(marked.sum()), sum(map(len, top)), annotator)
    st.session_state[_ORDER] = (kept.key, tuple(kept.images[place] for place in found))
    sheet, pages = page_of(len(found))
    state.publish(*link, "view", "against", *WISH_NAMES, "sheet")
    if wish.sort == "disagreement" and other is None:
        st.info("Choose another model under “Compare with” to sort by how much the two disagree.")
    if not found:
        st.info("No image is like this. Change the word or the marks above.", icon=":material/filter_alt_off:")
        return
    legend()
    pager(len(found), sheet, pages, "top")
    both = {title_of(kept): top} | ({title_of(other): top_words(other)} if other else {})
    cards = [
        Card(
            pictures[place],
            {title: words[place] for title, words in both.items()},
            [score_line(wish, kept, score, place), *marked_line(int(marked[place]), len(top[place]))],
            marks.get(kept.images[place], {}),
        )
        for place in found[sheet * PER_PAGE : (sheet + 1) * PER_PAGE]
    ]
    show_cards(cards, open_image)
    if pages > 1:
        pager(len(found), sheet, pages, "bottom")


def count_marked(kept: KeptEvaluation, top: list[list[str]], marks: dict[str, dict[str, Mark]]) -> np.ndarray:
    """How many of each image's top words are marked, int (m,)."""
    pairs = zip(kept.images, top, strict=True)
    return np.array([sum(word in marks.get(name, {}) for word in words) for name, words in pairs])


def marked_line(marked: int, of: int) -> list[str]:
    """The line of a card that says how many of its words are marked, if any are."""
    return [f"{marked} of {of} marked"] if marked else []


def top_words(kept: KeptEvaluation) -> list[list[str]]:
    """The most probable words of each image."""
    places, _ = kept.top(TOP)
    return [[kept.vocabulary.words[place] for place in row] for row in places]


def show_one(kept: KeptEvaluation, pictures: list[Picture], annotator: str | None, link: tuple[str, ...]) -> None:
    """One image large, in the order in which the gallery showed them when it was opened."""
    key, order = st.session_state.get(_ORDER, ("", ()))
    if key != kept.key or state.get("opened") not in order:
        order = kept.images
    review = Review(kept, order, annotator)
    marks = marks_by_image(kept, annotator)
    top = top_words(kept)
    show_progress(int(count_marked(kept, top, marks).sum()), sum(map(len, top)), annotator)
    show_opened(review, pictures, others(kept).get(str(state.get("against") or "")))
    legend()
    state.publish(*link, "view", "against", *WISH_NAMES, "sheet", "opened", "row")


def dataset_of(collection: str, dataset: Dataset | None) -> tuple[Dataset, str] | None:
    """The data set and its split that a collection stands for; None for the user's own files."""
    if collection == "demo":
        demo = demo_dataset()
        return (demo, "all") if demo else None
    return (dataset, collection) if dataset is not None and collection != "upload" else None


def browse(collection: str, dataset: Dataset | None, annotator: str | None, link: tuple[str, ...]) -> None:
    """The images part of the page, or what is still needed for it."""
    chosen = dataset_of(collection, dataset)
    if chosen is None:
        state.publish(*link)
        st.info("Browse looks through a data set. Choose one under “Images” on the left.", icon=":material/database:")
        return
    source, split = chosen
    if kind == "lexicon":
        raise OditsError("Choose one vocabulary for all images on the left: an image's own lexicon differs each time.")
    vocabulary = vocabulary_of(kind, dataset, None)
    kept = find_kept(reference, source.name, source.split(split), vocabulary)
    if kept is None:
        state.publish(*link)
        st.info(
            f"This model has not been evaluated on these {len(source.split(split)):,} images with the "
            f"{len(vocabulary):,} words of this vocabulary yet. Evaluate it here once; then its words can be looked "
            "through and marked.",
            icon=":material/photo_library:",
        )
        offer_evaluation(reference, source, split, vocabulary)
        return
    explore(kept, pictures_of(collection, dataset), annotator, link)


with page("Browse", "Look through all images with the words predicted for them, and mark each word."):
    style()
    with st.sidebar:
        annotator = ask_name()
        dataset = dataset_or_none()
        collection = choose_collection(dataset)
        reference = choose_model(spotting=True)
        kind = choose_vocabulary(dataset)
    part = st.segmented_control(
        "Part",
        list(PARTS),
        format_func=PARTS.__getitem__,
        required=True,
        label_visibility="collapsed",
        **state.bind("part", state.get("part") if state.get("part") in PARTS else "images"),
    )
    link = ("part", "annotator", "images", "model", "checkpoint", "vocabulary", *(["words"] if kind == "typed" else []))
    if part == "agreement":
        state.publish(*link, "first", "second")
        show_agreement()
    else:
        browse(collection, dataset, annotator, link)
