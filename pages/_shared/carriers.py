"""Which objects of a picture carry a word: ODITS's objects, their outlines, and what a word loses without each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from odits.data import ImageRecord, Vocabulary
from odits.figures.drawing import Outline
from pages._shared.answers import Kind, answer
from pages._shared.pictures import Opened
from pages._shared.segmenters import find_objects

if TYPE_CHECKING:
    from odits.models.fusion.explanation import Explainer, ObjectGroup
    from odits.models.fusion.model import ObjectPrediction, OditsModel

_CARRIERS, _CONTRIBUTIONS = Kind("carriers", 8, holds_model=True), Kind("contributions", 256)


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
    from odits.figures.object_drawings import carrier_labels
    from odits.models.fusion.explanation import Explainer

    inputs = model.input_encoder.encode(opened.image, vocabulary)
    prediction = model.predict_input(inputs, vocabulary)
    explainer = Explainer(model, inputs, vocabulary)
    matrix = explainer.matrix
    labels = carrier_labels(explainer.groups, matrix, vocabulary)
    return Carriers(prediction, explainer, labels, matrix, _outlines(model, explainer.groups, picture, opened))


def contributions(opened: Opened, model: OditsModel, words: tuple[int, ...], found: Carriers) -> np.ndarray:
    """Return float32 (P, q): what each word's logit loses without each group of objects; computed once."""
    key = opened.digest, model.checkpoint, found.prediction.vocabulary.digest, words
    return answer(_CONTRIBUTIONS, key, lambda: found.explainer.contributions(words))


def _outlines(
    model: OditsModel, object_groups: list[ObjectGroup], picture: ImageRecord, opened: Opened
) -> list[Outline]:
    from odits.figures.object_drawings import carrier_outlines
    from odits.models.fusion.places import PlaceEncoder
    from odits.objects.detections import masks_of

    encoder = model.input_encoder
    if isinstance(encoder, PlaceEncoder):  # it tells the segmenter what was read
        return carrier_outlines(object_groups, masks_of(encoder.objects(opened.image)))
    return carrier_outlines(object_groups, masks_of(find_objects(encoder.segmenter, picture, opened)))
