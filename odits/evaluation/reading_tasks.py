"""SVT's own task (Wang et al., 2011): find the words of an image's lexicon that it shows, each with its box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from odits.data import BoxedWord, Dataset, ImageRecord
from odits.data.images import open_image
from odits.models.clip.model import ClipModel
from odits.models.reading.ctc import Lexicon
from odits.models.reading.spotter import FoundWord, WordSpotter, find_words, overlap_of

OVERLAP = 0.5
"""Intersection over union from which on a box counts as found."""


@dataclass(frozen=True, eq=False)
class Matching:
    """What was found of an image's boxed words.

    Attributes:
        found: pairs of a boxed word and what matched it.
        missed: boxed words that nothing matched.
        false: found words that match no boxed word.
    """

    found: list[tuple[BoxedWord, FoundWord]]
    missed: list[BoxedWord]
    false: list[FoundWord]


class HasLexicon(Protocol):
    """Something with words that are true of it."""

    @property
    def lexicon(self) -> tuple[str, ...]:
        """The words, perhaps with repeats."""
        ...


def match_words(found: Sequence[FoundWord], boxed: Sequence[BoxedWord]) -> Matching:
    """Found words, most probable first, each matched to the boxed word that it is and overlaps most, once."""
    left = list(boxed)
    pairs: list[tuple[BoxedWord, FoundWord]] = []
    false: list[FoundWord] = []
    for one in found:
        same = [box for box in left if box.word.upper() == one.word.upper()]
        best = max(same, key=lambda box: overlap_of(box.box, one.box), default=None)
        if best is None or overlap_of(best.box, one.box) < OVERLAP:
            false.append(one)
        else:
            pairs.append((best, one))
            left.remove(best)
    return Matching(pairs, left, false)


def lexicon_words(record: HasLexicon) -> list[str]:
    """The distinct words of an image's lexicon, in upper case, in its order."""
    return list(dict.fromkeys(word.upper() for word in record.lexicon))


def spot_lexicon(spotter: WordSpotter, record: ImageRecord, threshold: float) -> list[FoundWord]:
    """The words of an image's lexicon that a spotter finds in it, most probable first."""
    words = lexicon_words(record)
    reading = spotter.judge(spotter.lines_of(record), Lexicon(words))
    return find_words(reading, words, threshold, spotter.scoring)


def spotting_quality(
    spotter: WordSpotter,
    records: Sequence[ImageRecord],
    threshold: float,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, float | int]:
    """Precision, recall and F over all boxes of the images (`found`, `missed`, `false` count them)."""
    counts = np.zeros(3, int)
    for record in records:
        matching = match_words(spot_lexicon(spotter, record, threshold), record.boxed)
        counts += [len(matching.found), len(matching.missed), len(matching.false)]
        advance(1)
    found, missed, false = counts.tolist()
    return {
        "precision": found / max(1, found + false),
        "recall": found / max(1, found + missed),
        "f": 2 * found / max(1, 2 * found + missed + false),
        "found": found,
        "missed": missed,
        "false": false,
    }


# Reading the boxed words of a data set from their crops.


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
