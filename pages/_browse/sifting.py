"""Which images the gallery shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import streamlit as st

from odits.evaluation.results import KeptEvaluation
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


class Wish(NamedTuple):
    """What the user wants to see.

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


class Facts(NamedTuple):
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


def sifted(facts: Facts, wish: Wish) -> list[int]:
    """The places of the images to show, in the order wished for; images without a score come last."""
    kept = [place for place in range(len(facts.top)) if _wanted(facts, wish, place)]
    if facts.score is None:
        return kept
    score, sign = facts.score, -1 if wish.order == "high" else 1
    return sorted(kept, key=lambda place: (bool(np.isnan(score[place])), sign * float(score[place]), place))


def _wanted(facts: Facts, wish: Wish, place: int) -> bool:
    marked, words = int(facts.marked[place]), len(facts.top[place])
    standing = "none" if not marked else "done" if marked >= words else "some"
    if wish.marked not in ("all", standing):
        return False
    asked = wish.word.strip().casefold()
    if not asked:
        return True
    found: list[str] = []
    if wish.place in ("top", "any"):
        found += facts.top[place]
    if wish.place in ("lexicon", "any"):
        found += facts.lexicons[place]
    return any(asked in word.casefold() for word in found)


def choose_wish(compare: Callable[[], T]) -> tuple[Wish, T]:
    """What the user wants to see, as chosen in a row of boxes and kept in the link.

    Args:
        compare: draws the box at the end of the row; what it returns is returned too.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="wishes"):
        sorts = {"order": "Data set order"} | {key: title for key, (title, _) in SCORES.items()}
        sort = state.choose("Sort by", list(sorts), "sort", sorts.__getitem__)
        order = state.choose("Order", list(ORDERS), "order", ORDERS.__getitem__, disabled=sort == "order")
        word = st.text_input(
            "Word", placeholder="part of a word", **state.bind("word", str(state.get("word") or "")), max_chars=60
        )
        place = state.choose("Where", list(PLACES), "place", PLACES.__getitem__, disabled=not word.strip())
        marked = state.choose("Marks", list(MARKED), "marked", MARKED.__getitem__)
        other = compare()
    return Wish(sort, order, word, place, marked), other


WISH_NAMES = ("sort", "order", "word", "place", "marked")
"""What a link needs to reopen the same choice."""


def score_of(kept: KeptEvaluation, sort: str, disagreement: np.ndarray | None) -> np.ndarray | None:
    """What images are sorted by (m,); None for the data set's order, and for a disagreement with nobody."""
    if sort == "disagreement":
        return disagreement
    return kept.per_image.get(SCORES[sort][1]) if sort in SCORES else None
