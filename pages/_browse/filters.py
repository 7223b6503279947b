"""Which images the gallery shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import streamlit as st

from odits.evaluation.results import StoredEvaluation
from pages._shared import state

T = TypeVar("T")

TOP = 10
"""Words of an image that are shown and can be marked."""

SCORES = {
    "right": ("Right words in the top 10", "rank precision_at_10"),
    "ranking": ("Average precision", "rank average_precision"),
    "weight": ("Confidence precision", "confidence precision"),
    "disagreement": ("Disagreement of two models", ""),
}
ORDERS = {"high": "Highest first", "low": "Lowest first"}
PLACES = {"top": "in the top words", "lexicon": "in the lexicon", "any": "in either"}
MARKED = {"all": "All images", "none": "Nothing marked yet", "some": "Partly marked", "done": "All words marked"}
LINK = ("sort", "order", "word", "place", "marked")
"""What a link needs to reopen the same filter."""


class Filter(NamedTuple):
    """Which images are shown, and in which order.

    Attributes:
        sort: a key of SCORES, or "order" for the data set's own order.
        order: a key of ORDERS.
        word: part of a word that images must have; empty for all.
        place: a key of PLACES: where the word must be.
        marked: a key of MARKED.
    """

    sort: str = "order"
    order: str = "high"
    word: str = ""
    place: str = "top"
    marked: str = "all"


class ImageFacts(NamedTuple):
    """What is known of the m images.

    Attributes:
        top: the most probable words of each.
        lexicons: the words of each one's lexicon.
        marked: how many of its top words the annotator has marked, int (m,).
        score: what they are sorted by, (m,), NaN where an image has none; None for the data set's order.
    """

    top: Sequence[Sequence[str]]
    lexicons: Sequence[Collection[str]]
    marked: np.ndarray
    score: np.ndarray | None = None


def filter_images(facts: ImageFacts, chosen: Filter) -> list[int]:
    """Return the indices of the images that pass, in the order asked for; images without a score come last."""
    passing = [index for index in range(len(facts.top)) if _passes(facts, chosen, index)]
    if facts.score is None:
        return passing
    score, sign = facts.score, -1 if chosen.order == "high" else 1
    return sorted(passing, key=lambda index: (bool(np.isnan(score[index])), sign * float(score[index]), index))


def _passes(facts: ImageFacts, chosen: Filter, index: int) -> bool:
    marked, words = int(facts.marked[index]), len(facts.top[index])
    progress = "none" if not marked else "done" if marked >= words else "some"
    if chosen.marked not in ("all", progress):
        return False
    asked = chosen.word.strip().casefold()
    if not asked:
        return True
    found: list[str] = []
    if chosen.place in ("top", "any"):
        found += facts.top[index]
    if chosen.place in ("lexicon", "any"):
        found += facts.lexicons[index]
    return any(asked in word.casefold() for word in found)


def choose_filter(compare: Callable[[], T]) -> tuple[Filter, T]:
    """Ask for the filter in a row of boxes; the link keeps it.

    Args:
        compare: draws the box at the end of the row; what it returns is returned too.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="gallery-filter"):
        sorts = {"order": "Data set order"} | {key: title for key, (title, _) in SCORES.items()}
        sort = state.choose("Sort by", list(sorts), "sort", sorts.__getitem__)
        order = state.choose("Order", list(ORDERS), "order", ORDERS.__getitem__, disabled=sort == "order")
        word = st.text_input(
            "Word", placeholder="part of a word", **state.bind("word", str(state.get("word") or "")), max_chars=60
        )
        place = state.choose("Where", list(PLACES), "place", PLACES.__getitem__, disabled=not word.strip())
        marked = state.choose("Marks", list(MARKED), "marked", MARKED.__getitem__)
        other = compare()
    return Filter(sort, order, word, place, marked), other


def score_of(evaluation: StoredEvaluation, sort: str, disagreement: np.ndarray | None) -> np.ndarray | None:
    """Return what images are sorted by (m,); None for the data set's order, and for a disagreement without a model."""
    if sort == "disagreement":
        return disagreement
    return evaluation.per_image.get(SCORES[sort][1]) if sort in SCORES else None
