"""Predictions of CLIP and ODITS for one picture, and what each object contributes; computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from odits.data import ImageRecord, Vocabulary
from odits.data.predictions import WordPrediction
from pages._shared.pictures import Opened

if TYPE_CHECKING:
    from odits.models.fusion.explanation import Explainer
    from odits.models.fusion.inputs import OditsInput
    from odits.models.fusion.model import ObjectPrediction, OditsModel

KINDS = {"text": "text", "line": "text read", "region": "region", "mask": "mask", "word": "text"}
_CLEAR = 0.2  # of an object's probability on its best word


@dataclass(frozen=True, eq=False)
class Answer:
    """What both models predict for a picture.

    Attributes:
        other: what ODITS is compared with: CLIP's prediction from the whole picture, or where ODITS has no CLIP model
            under it, that of word spotting, line by line.
        other_name: what it is called.
        odits: ODITS's prediction, with its objects.
        explainer: computes what a word loses without an object.
        labels: what each of the P groups of objects is called.
        matrix: float32 (P, n), each group's object-text row: its members' highest.
    """

    other: WordPrediction
    other_name: str
    odits: ObjectPrediction
    explainer: Explainer
    labels: list[str]
    matrix: np.ndarray


def answer_for(model: OditsModel, picture: ImageRecord, opened: Opened, vocabulary: Vocabulary) -> Answer:
    """Predict the picture's words with ODITS and with what it is compared with. Raises OditsError."""
    return _answer(opened.digest, model.checkpoint, vocabulary.digest, model, picture, vocabulary)


@st.cache_resource(max_entries=8, show_spinner=False)
def _answer(
    digest: str, checkpoint: str, words: str, _model: OditsModel, _picture: ImageRecord, _vocabulary: Vocabulary
) -> Answer:
    from odits.models.fusion.explanation import Explainer

    inputs = _model.input_encoder.encode(_picture.source, _vocabulary)
    odits = _model.predict_input(inputs, _vocabulary)
    explainer = Explainer(_model, inputs, _vocabulary)
    matrix = np.array([odits.similarity[group.members].max(0) for group in explainer.groups])
    matrix = matrix.reshape(len(explainer.groups), len(_vocabulary))
    labels = [
        _label(number, group.kind, row, _vocabulary)
        for number, (group, row) in enumerate(zip(explainer.groups, matrix, strict=True), 1)
    ]
    return Answer(*_other(_model, inputs, _picture, _vocabulary), odits, explainer, labels, matrix)


def _label(number: int, kind: str, row: np.ndarray, vocabulary: Vocabulary) -> str:
    """Name an object: its number, its kind, and its word where it has a clear one."""
    best = int(row.argmax())
    word = f" {vocabulary.words[best]}" if row[best] >= _CLEAR else ""
    return f"{number} ({KINDS.get(kind, kind)}{word})"


def _other(
    model: OditsModel, inputs: OditsInput, picture: ImageRecord, vocabulary: Vocabulary
) -> tuple[WordPrediction, str]:
    spotter = model.input_encoder.spotter
    if model.clip is None and spotter is not None:
        return spotter.predict(picture.open(), vocabulary), "word spotting"
    assert model.clip is not None
    text = model.clip.encode_vocabulary(vocabulary).numpy()
    logits = float(model.network.clip_scale) * inputs.embeddings.image @ text.T
    shares = np.exp(logits - logits.max())
    probabilities = (shares / shares.sum()).astype(np.float32)
    return WordPrediction(vocabulary, probabilities, model.clip.name, model.clip.checkpoint), "CLIP"


@st.cache_data(max_entries=256, show_spinner=False)
def contributions(digest: str, checkpoint: str, words: tuple[int, ...], vocabulary: str, _answer: Answer) -> np.ndarray:
    """Return float32 (P, q): what each word's logit loses without each group of objects."""
    return _answer.explainer.contributions(words)


def changes(answer: Answer, contributed: np.ndarray) -> pd.DataFrame:
    """Tabulate what changed: ODITS's top words, their ranks before and after, and the object that matters most.

    Args:
        answer: both predictions.
        contributed: (P, q) contributions to ODITS's q most probable words.
    """
    before = np.argsort(np.argsort(-answer.other.probabilities, kind="stable"))
    order = np.argsort(-answer.odits.probabilities, kind="stable")[: contributed.shape[1]]
    rows = []
    for rank, index in enumerate(order.tolist()):
        values = contributed[:, rank]
        best = int(np.argmax(values)) if len(values) else -1
        carried = best >= 0 and values[best] > 0.05
        rows.append(
            {
                "word": answer.odits.vocabulary.words[index],
                "rank by ODITS": rank + 1,
                f"rank by {answer.other_name}": int(before[index]) + 1,
                "carried by": answer.labels[best] if carried else "no object: frequent in training",
                "adds to the logit": float(values[best]) if carried else 0.0,
            }
        )
    return pd.DataFrame(rows)
