"""Which objects of a picture carry a word: ODITS's objects, their outlines, and what a word loses without each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from odits.data import ImageRecord, Vocabulary
from pages._shared.answers import Kind, answer
from pages._shared.pictures import Opened
from pages._shared.segmenters import find_objects

if TYPE_CHECKING:
    from odits.models.fusion.explanation import Explainer, ObjectGroup
    from odits.models.fusion.model import ObjectPrediction, OditsModel

Outline = tuple[list[float | None], list[float | None]]
KINDS = {"text": "text", "line": "text read", "region": "region", "mask": "mask", "word": "text"}
_CARRIERS, _CONTRIBUTIONS = Kind("carriers", 8, holds_model=True), Kind("contributions", 256)
_CLEAR = 0.2  # of an object's probability on its best word


@dataclass(frozen=True, eq=False)
class Carriers:
    """The objects of a picture, as an explanation takes them.

    Attributes:
        prediction: ODITS's, with its objects.
        explainer: computes what a word loses without an object.
        labels: what each of the P groups of objects is called.
        matrix: float32 (P, n), each group's object-text row: its members' highest.
        outlines: of each group, in pixels.
    """

    prediction: ObjectPrediction
    explainer: Explainer
    labels: list[str]
    matrix: np.ndarray
    outlines: list[Outline]


def carriers_of(model: OditsModel, picture: ImageRecord, opened: Opened, vocabulary: Vocabulary) -> Carriers:
    """Find the objects of a picture, and predict its words from them; computed once. Raises OditsError."""
    key = opened.digest, model.checkpoint, vocabulary.digest
    return answer(_CARRIERS, key, lambda: _find_carriers(model, picture, opened, vocabulary))


def _find_carriers(model: OditsModel, picture: ImageRecord, opened: Opened, vocabulary: Vocabulary) -> Carriers:
    from odits.models.fusion.explanation import Explainer

    inputs = model.input_encoder.encode(opened.image, vocabulary)
    prediction = model.predict_input(inputs, vocabulary)
    explainer = Explainer(model, inputs, vocabulary)
    matrix = np.array([prediction.similarity[group.members].max(0) for group in explainer.groups])
    matrix = matrix.reshape(len(explainer.groups), len(vocabulary))
    labels = [
        _label(number, group.kind, row, vocabulary)
        for number, (group, row) in enumerate(zip(explainer.groups, matrix, strict=True), 1)
    ]
    return Carriers(prediction, explainer, labels, matrix, _outlines(model, explainer.groups, picture, opened))


def contributions(opened: Opened, model: OditsModel, words: tuple[int, ...], found: Carriers) -> np.ndarray:
    """Return float32 (P, q): what each word's logit loses without each group of objects; computed once."""
    key = opened.digest, model.checkpoint, found.prediction.vocabulary.digest, words
    return answer(_CONTRIBUTIONS, key, lambda: found.explainer.contributions(words))


def _label(number: int, kind: str, row: np.ndarray, vocabulary: Vocabulary) -> str:
    """Name an object: its number, its kind, and its word where it has a clear one."""
    best = int(row.argmax())
    word = f" {vocabulary.words[best]}" if row[best] >= _CLEAR else ""
    return f"{number} ({KINDS.get(kind, kind)}{word})"


def _outlines(
    model: OditsModel, object_groups: list[ObjectGroup], picture: ImageRecord, opened: Opened
) -> list[Outline]:
    """Return the outline of each group of objects: a mask's, or the frame around a sign."""
    from odits.figures.objects import mask_outline
    from odits.models.fusion.places import PlaceEncoder
    from odits.objects.detections import masks_of

    encoder = model.input_encoder
    if isinstance(encoder, PlaceEncoder):  # it tells the segmenter what was read
        masks = masks_of(encoder.objects(opened.image))
    else:
        masks = masks_of(find_objects(encoder.segmenter, picture, opened))
    found: list[Outline] = []
    for group in object_groups:
        if group.kind in ("mask", "region") and 0 <= group.owner < len(masks):
            found.append(mask_outline(masks[group.owner]))
        else:
            closed = np.vstack([group.corners, group.corners[:1]]).astype(float)
            found.append((closed[:, 0].round(1).tolist(), closed[:, 1].round(1).tolist()))
    return found
