"""Slides of the stage: what two to four models say of a picture, and which objects carry their words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from odits.core.errors import OditsError
from odits.data import ImageRecord, Vocabulary
from odits.data.predictions import WordModel, WordPrediction
from odits.evaluation.alignment import AlignedRow, align
from odits.figures.stage import CARRIERS, Carried, Head, Slide
from odits.figures.words import carriers_of_word
from odits.models.registry import parse
from pages._shared.carriers import carriers_of, contributions
from pages._shared.evaluations import model_name
from pages._shared.pictures import Opened, open_picture
from pages._shared.word_models import load_quietly, predict_quietly

ROWS, LARGE_ROWS = 11, 7
"""Words on a slide: as many as a window of 720 pixels has room for."""
EXPLAINED = 3
"""Words of each model whose objects are named."""


def slide_of(
    references: Sequence[str], picture: ImageRecord, vocabulary: Vocabulary, most: int = ROWS, objects: bool = True
) -> Slide:
    """Ask the models about a picture and align what they say.

    Args:
        references: of the models, the first is what the others are compared with.
        picture: the picture.
        vocabulary: the words to choose from.
        most: words on the slide.
        objects: whether the objects of models that have some are found and explained.

    Raises:
        OditsError: the picture can't be read, or the first model does not answer.
    """
    opened = open_picture(picture)
    heads: list[Head] = []
    models: list[WordModel] = []
    found: list[WordPrediction] = []
    without: list[str] = []
    for reference in references:
        try:
            model = load_quietly(reference)
            found.append(predict_quietly(reference, opened.image, opened.digest, vocabulary))
        except OditsError as error:
            if not heads:
                raise
            without.append(f"{reference}: {error}")
            continue
        models.append(model)
        heads.append(Head(_short_name(reference, model), model.checkpoint, model.name))
    rows = align(found, most)
    carried: list[Carried] = []
    for number, model in enumerate(models):
        carried += _carried(model, number, picture, opened, vocabulary, rows) if objects else []
    return Slide(
        picture.name,
        opened.image,
        tuple(heads),
        tuple(rows),
        picture.lexicon,
        picture.visible,
        vocabulary.extra,
        tuple(carried),
        tuple(without),
    )


def _short_name(reference: str, model: WordModel) -> str:
    """Name a model as it is called where it is chosen: a spotter's own name lists the networks that read."""
    ref = parse(reference)
    return model_name(ref.name if ref.kind == "spotting" else model.name)


def _carried(
    model: WordModel,
    number: int,
    picture: ImageRecord,
    opened: Opened,
    vocabulary: Vocabulary,
    rows: Sequence[AlignedRow],
) -> list[Carried]:
    """Return the objects that carry a model's first words; none of a model without objects."""
    from odits.models.fusion.model import OditsModel

    if not isinstance(model, OditsModel):
        return []
    best = sorted((row for row in rows if row.cells[number].rank), key=lambda row: row.cells[number].rank or 0)
    words = [row.word for row in best[:EXPLAINED]]
    found = carriers_of(model, picture, opened, vocabulary)
    places = {word: place for place, word in enumerate(vocabulary.words) if word in set(words)}
    contributed: np.ndarray = contributions(opened, model, tuple(places[word] for word in words), found)
    return [
        Carried(number, word, found.labels[index], float(contributed[index, column]), found.outlines[index])
        for column, word in enumerate(words)
        for index in carriers_of_word(contributed[:, column], CARRIERS)
    ]
