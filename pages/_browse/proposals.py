"""Which words of a picture are put before an annotator, with what verdict, and where they stand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st

from odits.data import Vocabulary
from odits.evaluation.limits import Limits
from odits.evaluation.marks import presence
from odits.evaluation.results import StoredEvaluation
from pages._browse.filters import TOP
from pages._browse.places import Outline, object_places, read_places
from pages._shared.pictures import Opened

LEAST = 0.1
"""Presence probability from which a word is listed."""


class Proposal(NamedTuple):
    """A word that a model predicts for a picture.

    Attributes:
        word: the word.
        probability: that it is present, in 0..1 (`odits.evaluation.marks.presence`).
        verdict: "right" or "wrong": what the annotator will most likely say.
        outline: where it stands, if the model knows it.
    """

    word: str
    probability: float
    verdict: str
    outline: Outline | None = None


def listed_words(evaluation: StoredEvaluation, least: float) -> list[list[tuple[str, float]]]:
    """List the words of each picture that are judged, at most ten, the most probable first, with their probability.

    A picture's first word is always listed: without a word nothing would say that a picture was looked at.

    Args:
        evaluation: what the model predicts.
        least: presence probability of the others.
    """
    key = f"{evaluation.key} {least:g}"
    return _listed(key, evaluation, least)


@st.cache_resource(max_entries=8, show_spinner=False)
def _listed(key: str, _evaluation: StoredEvaluation, _least: float) -> list[list[tuple[str, float]]]:
    places, _ = _evaluation.top(TOP)
    table, words = _evaluation.probabilities(), _evaluation.vocabulary.words
    found = []
    for row, best in enumerate(places):
        probable = presence(np.asarray(table[row]))[best].tolist()
        several = [
            (words[place], probable[rank]) for rank, place in enumerate(best) if not rank or probable[rank] >= _least
        ]
        found.append(several)
    return found


def propose(
    words: list[tuple[str, float]], limits: Limits, reference: str, opened: Opened, vocabulary: Vocabulary
) -> list[Proposal]:
    """Propose a verdict for each listed word of a picture: "right" from its limit on, and one word to a place.

    Args:
        words: with their presence probabilities, by `listed_words`.
        limits: from which a word is proposed right.
        reference: of the model.
        opened: the picture.
        vocabulary: that the model chose from.
    """
    listed = [word for word, _ in words]
    lowest = min(map(limits.of, listed), default=limits.general)
    places, standing = read_places(listed, lowest, reference, opened)
    if missing := [word for word in listed if word not in places]:
        places |= object_places(missing, reference, opened, vocabulary)
    return [
        Proposal(
            word,
            probability,
            "right" if probability >= limits.of(word) and (standing is None or word in standing) else "wrong",
            places.get(word),
        )
        for word, probability in words
    ]
