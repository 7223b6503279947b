"""Which words of a picture are put before an annotator, with what verdict, and where they stand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import streamlit as st

from odits.core.errors import OditsError
from odits.evaluation.marks import presence
from odits.evaluation.results import StoredEvaluation
from odits.models.reading.ctc import Lexicon
from odits.models.reading.reader import stored_reading
from odits.models.reading.spotter import find_words, place_words
from odits.models.registry import parse
from pages._browse.filters import TOP
from pages._shared.pictures import Opened
from pages._shared.word_models import reads, spotter_of

Outline = list[list[float]]
"""Corners, x and y in pixels of the upright picture."""
LEAST, LIMIT = 0.1, 0.5
"""Presence probabilities from which a word is listed, and from which its proposed verdict is "right"."""
_READ = 0.05
"""Probability of a reading from which its place is shown."""


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


def propose(words: list[tuple[str, float]], limit: float, reference: str, opened: Opened) -> list[Proposal]:
    """Propose a verdict for each listed word of a picture: "right" from the limit on, and one word to a place.

    Args:
        words: with their presence probabilities, by `listed_words`.
        limit: from which a word is proposed right.
        reference: of the model.
        opened: the picture.
    """
    places, standing = _places([word for word, _ in words], limit, reference, opened)
    return [
        Proposal(
            word,
            probability,
            "right" if probability >= limit and (standing is None or word in standing) else "wrong",
            places.get(word),
        )
        for word, probability in words
    ]


def _places(
    words: list[str], limit: float, reference: str, opened: Opened
) -> tuple[dict[str, Outline], set[str] | None]:
    """Return where words were read, and which of them hold their place against others; None where nothing was read."""
    try:
        spotter = spotter_of(reference) if reads(reference) else None
    except OditsError:  # the model is gone; its evaluation can still be marked
        spotter = None
    lines = None if spotter is None else stored_reading(opened.digest, spotter.reader.key)
    if spotter is None or lines is None:
        return {}, None
    reading = spotter.score_lines(lines, Lexicon(tuple(words)))
    likely = [found for found in place_words(reading, words, spotter.scoring) if found and found.probability >= _READ]
    standing = find_words(reading, words, min(max(limit, 0.01), 0.99), spotter.scoring)
    outlines = {found.word: found.corners.round(1).tolist() for found in (*likely, *standing)}
    # other models that read name words that stand nowhere too: objects and neighbours make them likely
    return outlines, {found.word for found in standing} if parse(reference).kind == "spotting" else None
