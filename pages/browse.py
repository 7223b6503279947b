"""Browse: all images of a split with the words predicted for them, to look through and to mark."""

from __future__ import annotations

import numpy as np
import streamlit as st

from odits.core.errors import OditsError
from odits.data import Dataset, ImageRecord
from odits.data.exports import Files
from odits.data.marks import Mark, clean_name
from odits.data.records import Collection, collection_of_dataset
from odits.evaluation.exports import exported_evaluation
from odits.evaluation.results import StoredEvaluation
from pages._browse import adjudicate, filters
from pages._browse.adjudicate import show_adjudication
from pages._browse.agreement import download_marks, show_agreement
from pages._browse.annotate import LINK, Task, choose_settings, forget_queue, keep_alive, show_annotate
from pages._browse.duplicates import show_near_duplicates
from pages._browse.filters import TOP, Filter, ImageFacts, choose_filter, filter_images, score_of
from pages._browse.gallery import PER_PAGE, Card, page_of, pager, show_cards, style
from pages._browse.notebook import read_guidelines, show_guidelines, show_history
from pages._browse.review import Review, marks_by_image, open_image, show_opened
from pages._shared import jobs, serving, state
from pages._shared.datasets import choose_collection, choose_dataset, pictures_of, split_of
from pages._shared.evaluations import disagreement_of, evaluation_task, find_evaluation, others, title_of
from pages._shared.exports import export_menu
from pages._shared.layout import complain, escape_markdown, file_stem, guarded, page
from pages._shared.vocabularies import choose_vocabulary, vocabulary_of
from pages._shared.word_models import choose_model, need_weights
from pages._shared.words import STYLE, legend_with_verdicts

PARTS = {"images": "Images", "agreement": "Agreement", "adjudication": "Adjudication"}
_ORDER = "odits-browse-order"


def main() -> None:
    """Draw the page."""
    with page("Browse", "Look through all images with the words predicted for them, and mark each word."):
        style()
        st.html(STYLE)
        with st.sidebar:
            annotator = choose_annotator()
            dataset = choose_dataset()
            collection = choose_collection(dataset)
            reference = choose_model()
            kind = choose_vocabulary(dataset)
        parts = PARTS if serving.is_at_least("reviewer") else {"images": PARTS["images"]}
        part = state.choose_part("Part", parts, "part")
        link = ["part", *(["annotator"] if serving.person() is None else []), "images", "model", "vocabulary"]
        link += ["words"] if kind == "typed" else []
        if part == "agreement":
            state.publish(*link, "people", "first", "second")
            show_agreement()
        elif part == "adjudication":
            decide_disputes(split_of(collection, dataset), annotator, link)
        else:
            browse(split_of(collection, dataset), pictures_of(collection, dataset), reference, kind, annotator, link)


def decide_disputes(chosen: tuple[Dataset, str] | None, annotator: str | None, link: list[str]) -> None:
    """Show what annotators differ on in the data set that is open, to be decided."""
    if chosen is None:
        st.info("Choose a data set under “Images” on the left.", icon=":material/database:")
    else:
        dataset, split = chosen
        pictures = {record.name: record for record in dataset.split(split)}
        show_adjudication(annotator, dataset.name, pictures)
    state.publish(*link, *adjudicate.LINK)


def choose_annotator() -> str | None:
    """Ask for the annotator's name; None while there is none, or none that can be used. On a server: who signed in."""
    if someone := serving.person():
        return someone.name
    typed = st.text_input(
        "Your name",
        placeholder="to mark words",
        help="Your marks are stored under this name on this machine.",
        **state.bind("annotator", str(state.get("annotator") or "")),
    )
    if not typed.strip():
        return None
    try:
        return clean_name(typed)
    except OditsError as error:
        complain(str(error))
        return None


def browse(
    chosen: tuple[Dataset, str] | None,
    pictures: list[ImageRecord],
    reference: str,
    kind: str,
    annotator: str | None,
    link: list[str],
) -> None:
    """Show the images of a split, or what is still needed for that."""
    if chosen is None:
        state.publish(*link)
        st.info("Browse looks through a data set. Choose one under “Images” on the left.", icon=":material/database:")
        return
    dataset, split = chosen
    if kind == "lexicon":
        raise OditsError("Choose one vocabulary for all images on the left: an image's own lexicon differs each time.")
    vocabulary = vocabulary_of(kind, dataset, None)
    evaluation = find_evaluation(reference, dataset.name, dataset.split(split), vocabulary)
    task = evaluation_task(
        f"browse-{reference}-{dataset.root}-{split}-{vocabulary.digest}",
        [reference],
        {},
        chosen,
        vocabulary,
        "It goes on while you look at other pages. You can stop at any time and go on later.",
    )
    if evaluation is None:
        state.publish(*link)
        st.info(
            f"This model has not been evaluated on these {len(pictures):,} images with the {len(vocabulary):,} words "
            "of this vocabulary yet. Evaluate it once; then its words can be looked through and marked.",
            icon=":material/photo_library:",
        )
        need_weights(reference)
        jobs.offer(task)
    else:
        jobs.offer(task, needed=False)
        jobs.show_problems([problem.problem for problem in evaluation.problems])
        keep_alive()
        by_name = {picture.name: picture for picture in pictures}
        shown = [by_name[name] for name in evaluation.images]
        pool = collection_of_dataset(dataset, split)
        explore(evaluation, shown, annotator, tuple(link), read_guidelines(dataset.root), pool)


@serving.fragment
def explore(
    evaluation: StoredEvaluation,
    pictures: list[ImageRecord],
    annotator: str | None,
    link: tuple[str, ...],
    guidelines: str,
    collection: Collection,
) -> None:
    """Show the gallery, or one image of it: what changes while one looks through the images."""
    with guarded():
        if state.get("view") == "annotate" and annotator is not None:
            annotate(evaluation, pictures, annotator, link, guidelines, collection)
        elif state.get("view") == "image":
            show_one(evaluation, pictures, annotator, link)
        else:
            show_gallery(evaluation, pictures, annotator, link, collection)


def annotate(
    evaluation: StoredEvaluation,
    pictures: list[ImageRecord],
    annotator: str,
    link: tuple[str, ...],
    guidelines: str,
    collection: Collection,
) -> None:
    """Show one picture after the other, to be judged by keys."""
    with st.container(horizontal=True, vertical_alignment="center", key="annotate-menu", gap="small"):
        st.button("All images", icon=":material/grid_view:", key="close", on_click=state.act, args=("view", "gallery"))
        settings = choose_settings(lambda: choose_other(evaluation), collection, annotator, evaluation)
        show_guidelines(guidelines)
        if settings.remarks:
            st.caption(escape_markdown(" ".join(settings.remarks)), width="stretch")
    by_name = {picture.name: picture for picture in pictures}
    show_annotate(Task(evaluation, by_name, annotator, evaluation.reference, settings))
    show_history(annotator, evaluation.data, str(state.get("opened") or ""), blind=settings.mode != "open")
    state.publish(*link, "view", *LINK)


def begin_annotating() -> None:
    """Open the view for annotating at the first picture that is not finished."""
    forget_queue()
    state.act("opened", None)
    state.act("view", "annotate")


def show_gallery(
    evaluation: StoredEvaluation,
    pictures: list[ImageRecord],
    annotator: str | None,
    link: tuple[str, ...],
    collection: Collection,
) -> None:
    """Show thumbnails, sorted and filtered, page by page."""
    state.put("view", "gallery")
    chosen, other = choose_filter(lambda: choose_other(evaluation))
    marks = marks_by_image(evaluation, annotator)
    disagreement = disagreement_of(evaluation, other) if other and chosen.sort == "disagreement" else None
    score = score_of(evaluation, chosen.sort, disagreement)
    top = top_words(evaluation)
    marked = count_marked(evaluation, top, marks)
    found = filter_images(ImageFacts(top, [picture.lexicon for picture in pictures], marked, score), chosen)
    show_progress(int(marked.sum()), sum(map(len, top)), annotator)
    save_words(evaluation, pictures)
    st.session_state[_ORDER] = (evaluation.key, tuple(evaluation.images[index] for index in found))
    sheet, pages = page_of(len(found))
    show_near_duplicates(collection)
    state.publish(*link, "view", "against", *filters.LINK, "sheet", "once")
    if chosen.sort == "disagreement" and other is None:
        st.info("Choose another model under “Compare with” to sort by how much the two disagree.")
    if not found:
        st.info("No image passes this filter. Change the word or the marks above.", icon=":material/filter_alt_off:")
        return
    st.html(legend_with_verdicts())
    pager(len(found), sheet, pages, "top")
    both = {title_of(evaluation): top} | ({title_of(other): top_words(other)} if other else {})
    cards = [
        Card(
            pictures[index],
            {title: words[index] for title, words in both.items()},
            [score_line(chosen, evaluation, score, index), *marked_line(int(marked[index]), len(top[index]))],
            marks.get(evaluation.images[index], {}),
        )
        for index in found[sheet * PER_PAGE : (sheet + 1) * PER_PAGE]
    ]
    show_cards(cards, open_image)
    if pages > 1:
        pager(len(found), sheet, pages, "bottom")


def save_words(evaluation: StoredEvaluation, pictures: list[ImageRecord]) -> None:
    """Offer the words of all images for other tools; marks given in Label Studio come back under “Agreement”."""

    def files(format: str, shape: str, prefix: str | None) -> Files:
        return exported_evaluation(evaluation, pictures, TOP, format, prefix)

    stem = file_stem(f"words-{evaluation.data}-{evaluation.model}".lower())
    export_menu("words", stem, files, f"{TOP} most probable words of all images")


def choose_other(evaluation: StoredEvaluation) -> StoredEvaluation | None:
    """Ask for another model's evaluation of the same images and words; None for none."""
    found = others(evaluation)
    titles = {"": "No other model"} | {key: title_of(other) for key, other in found.items()}
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
    """Show how far the annotator is."""
    if annotator is None:
        st.info("Give your name on the left to mark words right, wrong or unsure.", icon=":material/edit:")
        return
    with st.container(horizontal=True, vertical_alignment="center", key="marking-progress"):
        st.button("Annotate", type="primary", icon=":material/keyboard:", key="annotate-now", on_click=begin_annotating)
        st.progress(marked / of if of else 0.0, f"{marked:,} of {of:,} words marked")
        if marked:
            download_marks(annotator, "My marks", "mine")


def score_line(chosen: Filter, evaluation: StoredEvaluation, score: np.ndarray | None, index: int) -> str:
    """Return what a card says about how right the model was."""
    right = evaluation.per_image["rank precision_at_10"][index]
    if np.isnan(right):
        return "its right words are not known"
    first = f"{round(float(right) * 10)} of {TOP} right"
    if score is None or chosen.sort == "right":
        return first
    name = {
        "ranking": "average precision",
        "weight": "confidence precision",
        "disagreement": "disagreement",
    }[chosen.sort]
    return f"{first} · {name} {score[index]:.2f}"


def marked_line(marked: int, of: int) -> list[str]:
    """Return the line of a card that says how many of its words are marked, if any are."""
    return [f"{marked} of {of} marked"] if marked else []


def count_marked(evaluation: StoredEvaluation, top: list[list[str]], marks: dict[str, dict[str, Mark]]) -> np.ndarray:
    """Count how many of each image's top words are marked, int (m,)."""
    pairs = zip(evaluation.images, top, strict=True)
    return np.array([sum(word in marks.get(name, {}) for word in words) for name, words in pairs])


def top_words(evaluation: StoredEvaluation) -> list[list[str]]:
    """Return the most probable words of each image."""
    indices, _ = evaluation.top(TOP)
    return [[evaluation.vocabulary.words[index] for index in row] for row in indices]


def show_one(
    evaluation: StoredEvaluation, pictures: list[ImageRecord], annotator: str | None, link: tuple[str, ...]
) -> None:
    """Show one image large, in the order in which the gallery showed them when it was opened."""
    key, order = st.session_state.get(_ORDER, ("", ()))
    if key != evaluation.key or state.get("opened") not in order:
        order = evaluation.images
    review = Review(evaluation, order, annotator)
    marks = marks_by_image(evaluation, annotator)
    top = top_words(evaluation)
    show_progress(int(count_marked(evaluation, top, marks).sum()), sum(map(len, top)), annotator)
    show_opened(review, pictures, others(evaluation).get(str(state.get("against") or "")))
    st.html(legend_with_verdicts())
    state.publish(*link, "view", "against", *filters.LINK, "sheet", "opened", "row")


main()
