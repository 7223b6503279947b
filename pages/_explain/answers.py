"""Predictions of CLIP and ODITS for one picture, and what each object contributes; computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from odits.data import ImageRecord, Vocabulary
from odits.data.predictions import WordPrediction
from pages._shared.answers import Kind, answer
from pages._shared.carriers import Carriers, carriers_of
from pages._shared.pictures import Opened

if TYPE_CHECKING:
    from odits.models.fusion.model import ObjectPrediction, OditsModel

_OTHERS = Kind("others", 8)


@dataclass(frozen=True, eq=False)
class Answer:
    """What both models predict for a picture.

    Attributes:
        other: what ODITS is compared with: CLIP's prediction from the whole picture, or where ODITS has no CLIP model
            under it, that of word spotting, line by line.
        other_name: what it is called.
        carriers: ODITS's prediction, with its objects.
    """

    other: WordPrediction
    other_name: str
    carriers: Carriers

    @property
    def odits(self) -> ObjectPrediction:
        """ODITS's prediction."""
        return self.carriers.prediction


def answer_for(model: OditsModel, picture: ImageRecord, opened: Opened, vocabulary: Vocabulary) -> Answer:
    """Predict the picture's words with ODITS and with what it is compared with. Raises OditsError."""
    found = carriers_of(model, picture, opened, vocabulary)
    image = found.prediction.objects.image
    key = opened.digest, model.checkpoint, vocabulary.digest
    other, name = answer(_OTHERS, key, lambda: _predict_other(model, opened, image, vocabulary))
    return Answer(other, name, found)


def _predict_other(
    model: OditsModel, opened: Opened, embedding: np.ndarray, vocabulary: Vocabulary
) -> tuple[WordPrediction, str]:
    clip, spotter = model.clip, model.input_encoder.spotter
    if clip is None and spotter is not None:
        return spotter.predict(opened.image, vocabulary), "word spotting"
    assert clip is not None
    text = clip.encode_vocabulary(vocabulary).numpy()
    logits = float(model.network.clip_scale) * embedding @ text.T
    shares = np.exp(logits - logits.max())
    probabilities = (shares / shares.sum()).astype(np.float32)
    return WordPrediction(vocabulary, probabilities, clip.name, clip.checkpoint), "CLIP"


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
                "carried by": answer.carriers.labels[best] if carried else "no object: frequent in training",
                "adds to the logit": float(values[best]) if carried else 0.0,
            }
        )
    return pd.DataFrame(rows)
