"""How well word spotting and CLIP read a data set's boxed words.

SVT's own task (Wang et al., 2011) is to find the words of an image's lexicon that it shows, each with its box; the
other is to recognise the word in the crop of its box.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image

from odits.core.pool import HERE, Function, Item, Outcome, Task, Workers, collect, map_images, per_item
from odits.core.progress import Progress, no_progress
from odits.data import BoxedWord, Dataset, ImageRecord, Vocabulary
from odits.data.vocabulary import fold_word
from odits.evaluation.evaluate import items_of, model_task, open_item
from odits.metrics.paired import ratio_interval
from odits.models.clip.model import ClipModel
from odits.models.reading.batch import read_images
from odits.models.reading.ctc import Lexicon
from odits.models.reading.reader import TextLine
from odits.models.reading.spotter import FoundWord, WordSpotter, find_words, overlap_of
from odits.models.registry import from_settings, load

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
    """Match found words, most probable first, each to the boxed word that it is and overlaps most, once."""
    left = list(boxed)
    pairs: list[tuple[BoxedWord, FoundWord]] = []
    false: list[FoundWord] = []
    for one in found:
        same = [box for box in left if fold_word(box.word) == fold_word(one.word)]
        best = max(same, key=lambda box: overlap_of(box.box, one.box), default=None)
        if best is None or overlap_of(best.box, one.box) < OVERLAP:
            false.append(one)
        else:
            pairs.append((best, one))
            left.remove(best)
    return Matching(pairs, left, false)


def lexicon_words(record: HasLexicon) -> list[str]:
    """Return the distinct words of an image's lexicon (`fold_word`), in upper case, in its order."""
    distinct: dict[str, str] = {}
    for word in record.lexicon:
        distinct.setdefault(fold_word(word), word.upper())
    return list(distinct.values())


def full_lexicon(records: Sequence[HasLexicon]) -> list[str]:
    """Return the distinct words of all lexicons of some images (`fold_word`), in upper case: 4,282 of SVT's 249."""
    return list({fold_word(word): word for record in records for word in lexicon_words(record)}.values())


def spot_lexicon(spotter: WordSpotter, lines: list[TextLine], record: HasLexicon, threshold: float) -> list[FoundWord]:
    """Find the words of an image's lexicon in its lines, most probable first."""
    words = lexicon_words(record)
    return find_words(spotter.score_lines(lines, Lexicon(words)), words, threshold, spotter.scoring)


def read_records(
    spotter: WordSpotter, records: Sequence[ImageRecord], workers: Workers = HERE, progress: Progress = no_progress
) -> Generator[Outcome, None, None]:
    """Yield the lines of images as they come (`odits.core.pool.Outcome`).

    Args:
        spotter: reads them in this process; workers have its readers. One that knows a result file looks there.
        records: the images.
        workers: where they are read.
        progress: called with (images done, images in all); what it raises ends the reading.
    """
    if workers.is_here or not spotter.readers:
        task = Task("", here=per_item(lambda item: spotter.lines_of(item.about)))
        yield from map_images(task, items_of(records, lambda record: record), HERE, progress)
        return
    for number, reader in enumerate(spotter.readers):
        is_last = number == len(spotter.readers) - 1
        part = _part_of(progress, number, len(spotter.readers))
        with closing(read_images(items_of(records), reader, workers, part)) as outcomes:
            for index, image, problem in outcomes:
                if not is_last:
                    continue  # what the other readers have stored is put together when the last one is done
                alone = number == 0
                lines = None if problem is not None else image.lines if alone else spotter.lines_of(records[index])
                yield Outcome(index, lines, problem)


def _part_of(progress: Progress, number: int, count: int) -> Progress:
    """Return the progress of one of several equal parts of the work."""
    return lambda done, of: progress((number * of + done) // count, of)


class SpottingQuality(NamedTuple):
    """How well words are found.

    Attributes:
        values: "precision", "recall" and "f" in 0..1 over all boxes of the images; "found", "missed" and "false" count
            them.
        problems: a sentence about each image that could not be read, by its place.
        interval: of "f", 95 % over images; None where there was nothing to find and nothing was found.
    """

    values: dict[str, float | int]
    problems: dict[int, str]
    interval: tuple[float, float] | None = None


def spotting_quality(
    spotter: WordSpotter,
    records: Sequence[ImageRecord],
    threshold: float,
    progress: Progress = no_progress,
    workers: Workers = HERE,
    full: bool = False,
) -> SpottingQuality:
    """Find the words of each image's own lexicon, or those of all lexicons, and compare them with its boxed words.

    Args:
        spotter: finds them.
        records: the images.
        threshold: the least probability of a found word.
        progress: called with (images done, images in all).
        workers: where images are read.
        full: look for the words of all the images' lexicons in every image.
    """
    images = np.zeros((len(records), 3), int)
    problems = {}
    every = full_lexicon(records) if full else None
    lexicon = Lexicon(every) if every is not None else None
    with closing(read_records(spotter, records, workers, progress)) as outcomes:
        for index, lines, problem in outcomes:
            if problem is None:
                record = records[index]
                if every is not None and lexicon is not None:
                    found_words = find_words(spotter.score_lines(lines, lexicon), every, threshold, spotter.scoring)
                else:
                    found_words = spot_lexicon(spotter, lines, record, threshold)
                matching = match_words(found_words, record.boxed)
                images[index] = len(matching.found), len(matching.missed), len(matching.false)
            else:
                problems[index] = problem
    found, missed, false = images.sum(0).tolist()
    values = {
        "precision": found / max(1, found + false),
        "recall": found / max(1, found + missed),
        "f": 2 * found / max(1, 2 * found + missed + false),
        "found": found,
        "missed": missed,
        "false": false,
    }
    read = np.delete(images, list(problems), axis=0)
    return SpottingQuality(values, problems, ratio_interval(read @ np.array([[2, 2], [0, 1], [0, 1]])))


# Reading the boxed words of a data set from their crops.


MARGIN = 0.05
"""Share of a box's height added on every side; chosen on the training images."""


def word_crop(image: Image.Image, box: Sequence[int], margin: float = MARGIN) -> Image.Image:
    """Cut a boxed word (x0, y0, x1, y1) with a small margin out of an image."""
    x0, y0, x1, y1 = box
    pad = margin * (y1 - y0)
    return image.crop(
        (
            max(0, round(x0 - pad)),
            max(0, round(y0 - pad)),
            min(image.width, round(x1 + pad)),
            min(image.height, round(y1 + pad)),
        )
    )


class CropQuality(NamedTuple):
    """How well boxed words are read.

    Attributes:
        values: "boxes": how many; "top1_own_lexicon": the share in 0..1 that is right among the words of the image's
            own lexicon (about 49 in SVT), and "top1_all": among all words of the data set; None without boxes.
        problems: a sentence about each image that could not be read, by its place.
    """

    values: dict[str, float | None]
    problems: dict[int, str]


def score_crops(
    model: ClipModel,
    dataset: Dataset,
    split: str,
    progress: Progress = no_progress,
    workers: Workers = HERE,
    reference: str = "",
    device: str = "auto",
) -> CropQuality:
    """Compute the shares of a split's boxes whose word is the model's first choice, without regard to case.

    Args:
        model: the CLIP model.
        dataset: its words are the vocabulary.
        split: "train", "eval" or "all".
        progress: called with (images done, images in all).
        workers: where it is done.
        reference: what other processes load the model by.
        device: for other processes.
    """
    vocabulary = dataset.vocabulary()

    def asked(record: ImageRecord) -> dict[str, Any]:
        places = [(item.box, vocabulary.find(item.word)) for item in record.boxed]
        boxed = [(box, place) for box, place in places if place is not None]
        return {
            "boxes": [box for box, _ in boxed],
            "words": [place for _, place in boxed],
            "lexicon": sorted({place for word in record.lexicon if (place := vocabulary.find(word)) is not None}),
        }

    here = _crop_reader(model, vocabulary)
    task = model_task("odits.evaluation.reading_tasks:crop_reader", reference, vocabulary, device, here)
    found, problems = collect(map_images(task, items_of(dataset.split(split), asked), workers, progress))
    right = np.array([one for image in found.values() for one in image], bool).reshape(-1, 2)
    own, everywhere = right.mean(0).tolist() if len(right) else (None, None)
    return CropQuality({"boxes": len(right), "top1_own_lexicon": own, "top1_all": everywhere}, problems)


def crop_reader(
    model: Mapping[str, Any],
    words: Sequence[str],
    device: str = "auto",
    weights: str | None = None,
    threads: int | None = None,  # torch has its share from OMP_NUM_THREADS
) -> Function:
    """Return a function for `odits.core.pool`: for each box of an image, whether its word is the model's first choice.

    An item's `about` has the image's "boxes", the places of their "words", and those of the "lexicon".

    Args:
        model: the CLIP model, by `odits.models.reference.to_settings`.
        words: the vocabulary.
        device: for the model.
        weights: the model's file.
        threads: torch has its share already.

    Raises:
        OditsError: there is no such model.
    """
    loaded = load(from_settings(model, weights), device, kind="clip")
    return _crop_reader(loaded, Vocabulary(tuple(words), "the words of the data set"))


def _crop_reader(model: ClipModel, vocabulary: Vocabulary) -> Function:
    text = model.encode_vocabulary(vocabulary).T

    def read(item: Item) -> list[tuple[bool, bool]]:
        image, asked = open_item(item), item.about
        if not asked["boxes"]:
            return []
        similarity = model.encode_images([word_crop(image, box) for box in asked["boxes"]], view="crop") @ text
        lexicon = torch.tensor(asked["lexicon"])
        return [
            (int(lexicon[scores[lexicon].argmax()]) == right, int(scores.argmax()) == right)
            for scores, right in zip(similarity, asked["words"], strict=True)
        ]

    return per_item(read)
