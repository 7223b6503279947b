"""One image large with the words predicted for it, each to be marked right, wrong or unsure, by hand or by key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st

from odits.core.errors import OditsError
from odits.core.percent import percents
from odits.data import ImageRecord
from odits.data.annotations import read_marks, remove_mark, set_mark
from odits.data.marks import JUDGEMENTS, MAX_NOTE, ImageWord, Mark, Shown
from odits.evaluation.results import StoredEvaluation
from odits.figures.words import LEXICON, VISIBLE, word_mark
from pages._browse.filters import TOP
from pages._shared import serving, state
from pages._shared.evaluations import title_of
from pages._shared.keyboard import keys
from pages._shared.layout import complain, escape_markdown, guarded, panes
from pages._shared.pictures import open_picture, short_name, show_picture
from pages._shared.words import words_in_a_row

ICONS = {"right": ":material/check:", "wrong": ":material/close:", "unsure": ":material/question_mark:"}
KEYS = {
    "ArrowLeft": "previous",
    "ArrowRight": "next",
    "ArrowUp": "up",
    "k": "up",
    "ArrowDown": "down",
    "j": "down",
    "r": "right",
    "w": "wrong",
    "u": "unsure",
    "x": "none",
    "Escape": "close",
}
_SCORES = ("rank precision_at_10", "rank average_precision", "confidence precision")
_PROBLEM = "odits-marking-problem"
_STYLE = """
<style>
[class*="st-key-word-"] {padding: .1rem .5rem; border-radius: 6px; border-left: 4px solid transparent}
.st-key-word-CHOSEN {background: rgba(128, 140, 152, .18); border-left-color: COLOR}
[class*="st-key-word-"] > :is([class*="st-key-select-"], :has([class*="st-key-select-"])) {
  flex: 1 1 6.5rem; min-width: 0
}
.st-key-pane-marks {gap: .3rem}
/* a word, its probability and three buttons stand in one row */
.st-key-panes-opened > div:has(> .st-key-pane-marks) {flex-basis: 29rem}
[class*="st-key-word-"] button p {white-space: nowrap}
[class*="st-key-select-"] button {width: 100%}
[class*="st-key-select-"] :is(button, button > div, button span) {justify-content: flex-start; text-align: left}
@media (max-width: 1360px) {
  /* room for the three buttons in one line: their signs stay, their names are still read out */
  [class*="st-key-word-"] button:not([class*="st-key-select-"] *) [data-testid="stMarkdownContainer"] {
    position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)
  }
}
[class*="st-key-select-"] button p {overflow: hidden; text-overflow: ellipsis}
.st-key-keyboard {position: absolute; height: 1px; overflow: hidden}
</style>
"""


@dataclass(frozen=True, eq=False)
class Review:
    """What is being looked through.

    Attributes:
        evaluation: the evaluation whose words are marked.
        order: names of the images, in the order in which the gallery showed them.
        annotator: who marks; None while no name is given.
    """

    evaluation: StoredEvaluation
    order: tuple[str, ...]
    annotator: str | None

    def words(self, name: str) -> list[str]:
        """Return the top words of an image, best first."""
        places, _ = self.evaluation.top(TOP)
        return [self.evaluation.vocabulary.words[place] for place in places[self.evaluation.images.index(name)]]

    def image_word(self, name: str, word: str) -> ImageWord:
        """Return what a mark of this word is about."""
        return ImageWord(self.evaluation.data, name, word)

    def shown(self, name: str, word: str) -> Shown:
        """Return what is on screen beside a word."""
        evaluation = self.evaluation
        places, probabilities = evaluation.top(TOP)
        row = evaluation.images.index(name)
        column = [evaluation.vocabulary.words[place] for place in places[row]].index(word)
        return Shown(
            evaluation.model, evaluation.checkpoint, evaluation.vocabulary.digest, float(probabilities[row][column])
        )

    def opened(self) -> str:
        """Return the name of the image in view."""
        asked = state.get("opened")
        return asked if asked in self.order else self.order[0]


def marks_by_image(evaluation: StoredEvaluation, annotator: str | None) -> dict[str, dict[str, Mark]]:
    """Return an annotator's marks in the data set of an evaluation, by image and word."""
    found: dict[str, dict[str, Mark]] = {}
    if annotator is not None:
        for image_word, mark in read_marks(annotator, evaluation.data).items():
            found.setdefault(image_word.image, {})[image_word.word] = mark
    return found


def row_of(count: int) -> int:
    """Return the row that keys act on, from 0."""
    return state.number("row", count) - 1


def act(review: Review, action: str) -> None:
    """Do what a key or a button asks for: "previous", "next", "up", "down", "close", "none" or a verdict."""
    name = review.opened()
    words = review.words(name)
    row = row_of(len(words))
    if action in ("previous", "next"):
        place = review.order.index(name) + (1 if action == "next" else -1)
        if 0 <= place < len(review.order):
            open_image(review.order[place])
    elif action == "close":
        state.act("view", "gallery")
    elif action in ("up", "down"):
        state.act("row", min(max(row + (1 if action == "down" else -1), 0), len(words) - 1) + 1)
    elif judge(review, name, words[row], action) and action != "none":
        state.act("row", min(row + 1, len(words) - 1) + 1)


def open_image(name: str) -> None:
    """Show an image large, its first word chosen."""
    state.act("opened", name)
    state.act("image", name)  # the other pages show it too
    state.act("row", 1)
    state.act("view", "image")


def judge(review: Review, name: str, word: str, verdict: str) -> bool:
    """Write a mark ("none" removes it); return whether that went well; the page shows what went wrong."""
    if review.annotator is None:
        st.session_state[_PROBLEM] = "Give your name on the left first: marks are stored under it."
        return False
    image_word = review.image_word(name, word)
    try:
        serving.require_part(review.annotator)
        if verdict == "none":
            remove_mark(review.annotator, image_word)
        else:
            earlier = read_marks(review.annotator, image_word.data, name).get(image_word)
            set_mark(review.annotator, image_word, verdict, earlier.note if earlier else "", review.shown(name, word))
    except OditsError as error:
        st.session_state[_PROBLEM] = str(error)
        return False
    return True


def _click(review: Review, name: str, row: int, word: str, verdict: str) -> None:
    state.act("row", row + 1)
    judge(review, name, word, verdict)


def _write_note(review: Review, name: str, word: str, verdict: str, key: str) -> None:
    if review.annotator is not None:
        try:
            serving.require_part(review.annotator)
            about, shown = review.image_word(name, word), review.shown(name, word)
            set_mark(review.annotator, about, verdict, st.session_state[key], shown)
        except OditsError as error:
            st.session_state[_PROBLEM] = str(error)


def show_opened(review: Review, pictures: Sequence[ImageRecord], other: StoredEvaluation | None) -> None:
    """Show the image in view with its words, and everything that can be done with it."""
    name = review.opened()
    state.put("opened", name)
    picture = next(picture for picture in pictures if picture.name == name)
    keys("keys", KEYS, lambda action: act(review, action))
    _stepper(review, name)
    if problem := st.session_state.pop(_PROBLEM, None):
        complain(problem)
    with panes("opened") as row:
        with row.container(key="pane-opened"), guarded():
            show_picture(open_picture(picture), picture, "opened")
            _facts(review, name, picture, other)
        with row.container(key="pane-marks"), guarded():
            _show_words(review, name, picture)


def _stepper(review: Review, name: str) -> None:
    place = review.order.index(name)
    with st.container(horizontal=True, vertical_alignment="center", key="stepper", gap="small"):
        st.button("All images", icon=":material/grid_view:", key="close", on_click=act, args=(review, "close"))
        for title, action, end in (("Previous", "previous", 0), ("Next", "next", len(review.order) - 1)):
            st.button(title, key=f"go-{action}", disabled=place == end, on_click=act, args=(review, action))
        st.markdown(
            f"**{escape_markdown(short_name(name))}** :small[{place + 1:,} of {len(review.order):,}]", width="content"
        )


def _facts(review: Review, name: str, picture: ImageRecord, other: StoredEvaluation | None) -> None:
    """Show how right the model was on this image, and what another one says."""
    place = review.evaluation.images.index(name)
    right, *others = (review.evaluation.per_image[key][place] for key in _SCORES)
    if np.isnan(right):
        st.caption("Which words are right for this image is not known.")
    else:
        average, precision = (f"{score:.3f}" for score in others)
        st.caption(
            f"{round(float(right) * TOP)} of the top {TOP} words are right · average precision {average} · confidence "
            f"precision {precision}"
        )
    if picture.visible:
        st.caption("Words in the picture: " + escape_markdown(", ".join(picture.visible)))
    if other is not None:
        st.caption(f"{escape_markdown(title_of(other))} says:")
        st.html(words_in_a_row(Review(other, review.order, None).words(name), picture, {}))


def _show_words(review: Review, name: str, picture: ImageRecord) -> None:
    words = review.words(name)
    marks = marks_by_image(review.evaluation, review.annotator).get(name, {})
    chosen = row_of(len(words))
    state.put("row", chosen + 1)
    probabilities = review.evaluation.top(TOP)[1][review.evaluation.images.index(name)]
    st.html(_STYLE.replace("CHOSEN", str(chosen)).replace("COLOR", LEXICON.color))
    shares = percents([float(probability) for probability in probabilities])
    for row, (word, share) in enumerate(zip(words, shares, strict=True)):
        _show_row(review, name, picture, row, word, share, marks.get(word))
    _show_note(review, name, words[chosen], marks.get(words[chosen]), f"{chosen + 1} of {len(words)}")
    st.caption(
        "Keys: **R** right · **W** wrong · **U** unsure · **X** remove · **↑ ↓** or **K J** another word · **← →** "
        "another image · **Esc** all images"
    )


def _show_row(
    review: Review, name: str, picture: ImageRecord, row: int, word: str, share: str, mark: Mark | None
) -> None:
    known = word_mark(word, picture.lexicon, picture.visible)
    color = {VISIBLE: "orange", LEXICON: "blue"}.get(known)
    sign = f":{color}[{known.sign}] " if color else ""
    with st.container(horizontal=True, vertical_alignment="center", key=f"word-{row}", gap="small"):
        st.button(
            f"{row + 1}\\. {sign}{escape_markdown(word)}",
            key=f"select-{row}",
            type="tertiary",
            help=known.title.capitalize(),
            on_click=state.act,
            args=("row", row + 1),
        )
        st.caption(escape_markdown(share), width="content")
        for verdict in JUDGEMENTS:
            given = mark is not None and mark.verdict == verdict
            st.button(
                verdict.capitalize(),
                key=f"{verdict}-{row}",
                icon=ICONS[verdict],
                type="primary" if given else "secondary",
                help="Remove the mark" if given else None,
                on_click=_click,
                args=(review, name, row, word, "none" if given else verdict),
            )
        if mark is not None and mark.note:
            st.caption(f":material/sticky_note_2: {escape_markdown(mark.note)}", width="stretch")


def _show_note(review: Review, name: str, word: str, mark: Mark | None, where: str) -> None:
    """Draw the note on the chosen word; a word that is not marked yet has none."""
    key = f"note-{name}-{word}"
    st.session_state[key] = mark.note if mark is not None else ""
    st.text_input(
        f"Note on **{escape_markdown(word)}** (word {where})",
        key=key,
        max_chars=MAX_NOTE,
        disabled=mark is None,
        placeholder="Mark the word first" if mark is None else "why, or what is in doubt",
        on_change=_write_note,
        args=(review, name, word, mark.verdict if mark is not None else "", key),
    )
