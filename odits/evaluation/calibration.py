"""Whether the probabilities that a model shows beside words are what they say, on pictures whose words are boxed.

A pair of a picture and a word is true where the word is boxed in the picture. Nearly all words of a vocabulary are in
no picture and get next to nothing: a mean over all pairs would call any model calibrated. So only pairs that somebody
is shown count:

- "shown": the ten most probable words of each picture, where their probability is at least 1 %;
- "top_ten": the same, however improbable they are;
- "probable": all pairs of at least 5 %, whatever their rank;
- "in_lexicon": those of "probable" whose word is in the picture's lexicon. SVT's annotators boxed a word only where it
  is in the lexicon of the image: elsewhere a word that can be read counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from odits.core.pool import HERE, Function, Item, Workers, collect, map_images, per_item
from odits.core.progress import Progress, no_progress
from odits.data import ImageRecord, Vocabulary
from odits.data.predictions import WordModel, WordPrediction
from odits.data.vocabulary import bare_word
from odits.evaluation.evaluate import items_of, model_task, open_item
from odits.metrics.calibration import Reliability, reliability
from odits.models.reading.read_words import PictureVocabularies
from odits.models.registry import from_settings, load

TOP = 10
SHOWN, PROBABLE = 0.01, 0.05
"""Probabilities from which a pair counts as shown, and as probable."""
SELECTIONS = ("shown", "top_ten", "probable", "in_lexicon")


class Pair(NamedTuple):
    """A word of a picture.

    Attributes:
        rank: 0 for the picture's most probable word.
        probability: of the word, in 0..1.
        boxed: whether it is boxed in the picture.
        listed: whether it is in the picture's lexicon.
    """

    rank: int
    probability: float
    boxed: bool
    listed: bool


class PictureWords(NamedTuple):
    """What a model says of a picture, and what is written there.

    Attributes:
        pairs: that some selection counts, the most probable word first.
        written: the distinct words that are boxed in the picture.
        found: how many of them are among the ten first words, or where more are written, among as many as there are.
        is_empty: whether the model says that none of the words is in the picture.
    """

    pairs: list[Pair]
    written: int
    found: int
    is_empty: bool


class CalibrationRequest(NamedTuple):
    """What is measured, and with which words.

    Attributes:
        reference: of the model, by which other processes load it.
        vocabulary: the words to choose from.
        read: whether the words that are read in a picture join them.
        device: "auto", "cpu", "cuda" or "mps".
    """

    reference: str
    vocabulary: Vocabulary
    read: bool = True
    device: str = "auto"


class CalibrationQuality(NamedTuple):
    """How well the probabilities of shown words are calibrated.

    Attributes:
        images: pictures that could be used.
        reliability: by the name of the selection; "in_lexicon" only where lexicons hold words that are not boxed.
        written: the distinct words that are boxed in the pictures, and how many of them are in the top ten.
        empty: pictures of which the model says that none of the words is there.
        problems: a sentence about each picture that could not be used, by its place.
    """

    images: int
    reliability: dict[str, Reliability]
    written: tuple[int, int]
    empty: int
    problems: dict[int, str]

    def to_document(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        written, found = self.written
        return {
            "images": self.images,
            "written_words": written,
            "in_top_ten": found / written if written else None,
            "empty": self.empty,
            **{name: {"pairs": int(one.counts.sum()), **one.to_document()} for name, one in self.reliability.items()},
        }


def measure_calibration(
    model: WordModel,
    records: Sequence[ImageRecord],
    request: CalibrationRequest,
    progress: Progress = no_progress,
    workers: Workers = HERE,
) -> CalibrationQuality:
    """Compare the probabilities of words with whether they are boxed.

    Args:
        model: the model, for this process.
        records: pictures with boxed words.
        request: with which words.
        progress: called with (pictures done, pictures in all).
        workers: where it is done.
    """

    def about(record: ImageRecord) -> dict[str, Any]:
        return {"boxed": record.visible, "lexicon": record.lexicon}

    here = _pair_finder(model, request.vocabulary, request.read)
    builder = "odits.evaluation.calibration:pair_finder"
    task = model_task(builder, request.reference, request.vocabulary, request.device, here)
    task = replace(task, settings={**task.settings, "read": request.read})
    found, problems = collect(map_images(task, items_of(records, about), workers, progress))
    return summarize(list(found.values()), problems, _has_more_than_boxes(records))


def summarize(pictures: Sequence[PictureWords], problems: Mapping[int, str], with_lexicons: bool) -> CalibrationQuality:
    """Put together what was found in each picture.

    Args:
        pictures: the pictures.
        problems: of the others.
        with_lexicons: whether "in_lexicon" says anything.
    """
    pairs = np.array([pair for one in pictures for pair in one.pairs], np.float64).reshape(-1, len(Pair._fields))
    rank, probability, boxed, listed = pairs.T
    chosen = {
        "shown": (rank < TOP) & (probability >= SHOWN),
        "top_ten": rank < TOP,
        "probable": probability >= PROBABLE,
        "in_lexicon": (probability >= PROBABLE) & (listed > 0),
    }
    return CalibrationQuality(
        len(pictures),
        {
            name: reliability(probability[chosen[name]], boxed[chosen[name]] > 0)
            for name in SELECTIONS
            if with_lexicons or name != "in_lexicon"
        },
        (sum(one.written for one in pictures), sum(one.found for one in pictures)),
        sum(one.is_empty for one in pictures),
        dict(problems),
    )


def picture_words(prediction: WordPrediction, boxed: Sequence[str], lexicon: Sequence[str]) -> PictureWords:
    """Compare a prediction with what is boxed in its picture; case, accents and marks make no difference.

    Args:
        prediction: of the picture.
        boxed: the words that are visible in it.
        lexicon: the words that are true of it.

    Example:
        >>> words = Vocabulary(("BAR", "HOTEL", "INN"), "three words")
        >>> found = picture_words(WordPrediction(words, np.float32([0.7, 0.2, 0.001]), "", ""), ["Bar"], ["BAR", "INN"])
        >>> found.found, [(pair.boxed, pair.listed) for pair in found.pairs]
        (1, [(True, True), (False, False), (False, True)])
    """
    written, listed = ({bare_word(word) for word in words} - {""} for words in (boxed, lexicon))
    scores, words = prediction.scores, prediction.vocabulary.words
    order = np.argsort(-scores, kind="stable")
    count = max(TOP, int((scores >= PROBABLE).sum()), len(written))
    first = [(int(place), bare_word(words[place])) for place in order[:count]]
    pairs = [
        Pair(rank, float(scores[place]), word in written, word in listed)
        for rank, (place, word) in enumerate(first)
        if rank < TOP or scores[place] >= PROBABLE
    ]
    found = written & {word for _, word in first[: max(TOP, len(written))]}
    return PictureWords(pairs, len(written), len(found), prediction.is_empty)


def _has_more_than_boxes(records: Sequence[ImageRecord]) -> bool:
    """Return whether a lexicon has words that are not boxed: else all of its pairs are true."""
    return any({bare_word(word) for word in one.lexicon} - {bare_word(word) for word in one.visible} for one in records)


def pair_finder(
    model: Mapping[str, Any],
    words: Sequence[str],
    read: bool,
    device: str = "auto",
    weights: str | None = None,
    threads: int | None = None,
) -> Function:
    """Return a function for `odits.core.pool` that gives the `PictureWords` of each image.

    An item's `about` has the words that are "boxed" in the image, and its "lexicon".

    Args:
        model: the word model, by `odits.models.reference.to_settings`.
        words: to choose from.
        read: whether the words that are read in the image join them.
        device: for the model.
        weights: the model's file.
        threads: for models that take a number of threads.

    Raises:
        OditsError: there is no such model.
    """
    ref = from_settings(model, weights)
    options: dict[str, Any] = {"threads": threads} if ref.kind == "spotting" else {}
    return _pair_finder(load(ref, device, **options), Vocabulary(tuple(words), "the words asked about"), read)


def _pair_finder(model: WordModel, vocabulary: Vocabulary, read: bool) -> Function:
    vocabularies = PictureVocabularies(model, vocabulary) if read else None

    def find(item: Item) -> PictureWords:
        image = open_item(item)
        chosen = vocabulary if vocabularies is None else vocabularies.of(image)
        return picture_words(model.predict(image, chosen), item.about["boxed"], item.about["lexicon"])

    return per_item(find)
