"""Reading the boxed words of a data set from their crops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from odits.data import Dataset
from odits.data.images import open_image
from odits.data.records import BoxedWord
from odits.models.clip import ClipModel

MARGIN = 0.05
"""Share of a box's height added on every side; chosen on the training images."""


def word_crop(image: Image.Image, boxed: BoxedWord, margin: float = MARGIN) -> Image.Image:
    """The crop (RGB) of a boxed word with a small margin, inside the image."""
    x0, y0, x1, y1 = boxed.box
    pad = margin * (y1 - y0)
    return image.crop(
        (
            max(0, round(x0 - pad)),
            max(0, round(y0 - pad)),
            min(image.width, round(x1 + pad)),
            min(image.height, round(y1 + pad)),
        )
    )


def score_crops(
    model: ClipModel, dataset: Dataset, split: str, advance: Callable[[], None] = lambda: None, margin: float = MARGIN
) -> dict[str, float]:
    """Shares of a split's boxes whose word is the model's first choice.

    Returns:
        "boxes": how many; "top1_own_lexicon": right among the words of the image's own lexicon (about 49);
        "top1_all": right among all words of the data set. Words are compared without regard to case.
    """
    vocabulary = dataset.vocabulary()
    place = {word.upper(): index for index, word in enumerate(vocabulary.words)}
    text = model.encode_vocabulary(vocabulary)
    own, everywhere = [], []
    for record in dataset.split(split):
        boxed = [item for item in record.boxed if item.word.upper() in place]
        if boxed:
            image = open_image(record.path)
            similarity = model.encode_images([word_crop(image, item, margin) for item in boxed], view="crop") @ text.T
            lexicon = torch.tensor(sorted({place[word.upper()] for word in record.lexicon}))
            for scores, item in zip(similarity, boxed, strict=True):
                right = place[item.word.upper()]
                own.append(int(lexicon[scores[lexicon].argmax()]) == right)
                everywhere.append(int(scores.argmax()) == right)
        advance()
    return {"boxes": len(own), "top1_own_lexicon": float(np.mean(own)), "top1_all": float(np.mean(everywhere))}
