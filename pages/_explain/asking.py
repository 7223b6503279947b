"""What the page Explain asks of a model about one picture; the same question is computed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from odits.data import Vocabulary
from odits.data.predictions import WordPrediction
from odits.models.fusion.explanation import Explainer
from odits.models.fusion.inputs import OditsInput
from odits.models.fusion.model import ObjectPrediction, OditsModel
from pages._shared.pictures import Opened, Picture

KINDS = {"text": "text", "line": "text read", "region": "region", "mask": "mask", "word": "text"}
_CLEAR = 0.2  # of an object's probability on its best word


@dataclass(frozen=True, eq=False)
class Answer:
    """A picture as both models see it.

    Attributes:
        clip: CLIP's prediction from the whole picture.
        odits: ODITS's prediction, with its objects.
        explainer: answers what a word loses without an object.
        labels: what each of the P places is called.
        matrix: float32 (P, n), each place's object-text row: its members' highest.
    """

    clip: WordPrediction
    odits: ObjectPrediction
    explainer: Explainer
    labels: list[str]
    matrix: np.ndarray


def ask(model: OditsModel, picture: Picture, opened: Opened, vocabulary: Vocabulary) -> Answer:
    """What CLIP and ODITS say about the picture. Raises OditsError."""
    return _ask(opened.digest, model.checkpoint, vocabulary.digest, model, picture, vocabulary)


@st.cache_resource(max_entries=8, show_spinner=False)
def _ask(
    digest: str, checkpoint: str, words: str, _model: OditsModel, _picture: Picture, _vocabulary: Vocabulary
) -> Answer:
    one = _model.eyes.look(_picture.source, _vocabulary)
    odits = _model.predict_seen(one, _vocabulary)
    explainer = Explainer(_model, one, _vocabulary)
    matrix = np.array([odits.similarity[place.members].max(0) for place in explainer.places])
    matrix = matrix.reshape(len(explainer.places), len(_vocabulary))
    labels = [
        _label(number, place.kind, row, _vocabulary)
        for number, (place, row) in enumerate(zip(explainer.places, matrix, strict=True), 1)
    ]
    return Answer(_clip(_model, one, _vocabulary), odits, explainer, labels, matrix)


def _label(number: int, kind: str, row: np.ndarray, vocabulary: Vocabulary) -> str:
    """What an object is called: its number, its kind, and its word where it has a clear one."""
    best = int(row.argmax())
    word = f" {vocabulary.words[best]}" if row[best] >= _CLEAR else ""
    return f"{number} ({KINDS.get(kind, kind)}{word})"


def _clip(model: OditsModel, one: OditsInput, vocabulary: Vocabulary) -> WordPrediction:
    text = model.clip.encode_vocabulary(vocabulary).numpy()
    logits = float(model.network.clip_scale) * one.seen.image @ text.T
    shares = np.exp(logits - logits.max())
    return WordPrediction(
        vocabulary, (shares / shares.sum()).astype(np.float32), model.clip.name, model.clip.checkpoint
    )


@st.cache_data(max_entries=256, show_spinner=False)
def contributions(digest: str, checkpoint: str, words: tuple[int, ...], vocabulary: str, _answer: Answer) -> np.ndarray:
    """float32 (P, q): what each word's logit loses without each place."""
    return _answer.explainer.contributions(words)


def changes(answer: Answer, count: int, told: np.ndarray) -> pd.DataFrame:
    """What changed from CLIP to ODITS: the words of ODITS's top `count`, their ranks, and the object that matters most.

    Args:
        told: (P, count) contributions to those words.
    """
    before = np.argsort(np.argsort(-answer.clip.probabilities, kind="stable"))
    order = np.argsort(-answer.odits.probabilities, kind="stable")[:count]
    rows = []
    for rank, index in enumerate(order.tolist()):
        values = told[:, rank]
        best = int(np.argmax(values)) if len(values) else -1
        carried = best >= 0 and values[best] > 0.05
        rows.append(
            {
                "word": answer.odits.vocabulary.words[index],
                "rank by ODITS": rank + 1,
                "rank by CLIP": int(before[index]) + 1,
                "carried by": answer.labels[best] if carried else "no object: frequent in training",
                "adds to the logit": float(values[best]) if carried else 0.0,
            }
        )
    return pd.DataFrame(rows)
