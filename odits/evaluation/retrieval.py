"""Word retrieval: images ranked by how surely they show a word, as published for SVT.

References:
    K. Wang, B. Babenko, S. Belongie (2011), "End-to-end scene text recognition", ICCV.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from odits.core.errors import OditsError
from odits.core.files import write_atomically
from odits.core.pool import HERE, Workers, map_images
from odits.core.progress import Progress, no_progress
from odits.core.store import pack_arrays
from odits.data import ImageRecord, Vocabulary
from odits.data.predictions import WordModel
from odits.data.vocabulary import fold_word
from odits.evaluation.evaluate import items_of, prediction_task
from odits.evaluation.reading_tasks import read_records
from odits.metrics.paired import mean_interval
from odits.models.reading.ctc import Lexicon
from odits.models.reading.spotter import WordSpotter

_NOTHING = -100.0
"""Log-odds of any word in an image without a line."""
IMAGE_WEIGHT = 0.02
"""Weight of a word's log-probability for the whole image beside the log-odds of reading it; from training images."""


@dataclass(frozen=True, eq=False)
class RetrievalTask:
    """Which images show which words.

    Attributes:
        records: I images.
        queries: Q words in upper case, sorted.
        relevant: bool (Q, I), whether the word is boxed in the image, or in its lexicon.
    """

    records: tuple[ImageRecord, ...]
    queries: tuple[str, ...]
    relevant: np.ndarray


class Scores(NamedTuple):
    """How surely images show words.

    Attributes:
        values: float32 (Q, I); NaN in the columns of images that could not be read.
        problems: a sentence about each of those, by its place.
    """

    values: np.ndarray
    problems: dict[int, str]


def retrieval_task(records: Sequence[ImageRecord], by_lexicon: bool = False) -> RetrievalTask:
    """Take the distinct boxed words of some images as queries.

    Args:
        records: the images.
        by_lexicon: take the words of their lexicons instead, for data without boxes.

    Raises:
        OditsError: no image has such a word.
    """
    words = [{fold_word(word): word.upper() for word in _true(record, by_lexicon)} for record in records]
    spelled: dict[str, str] = {key: word for own in reversed(words) for key, word in own.items()}
    queries = tuple(sorted(spelled.values()))
    if not queries:
        kind = "a lexicon" if by_lexicon else "boxed words"
        raise OditsError(f"None of these images has {kind}, which the queries are made of.")
    relevant = np.array([[fold_word(query) in own for own in words] for query in queries])
    return RetrievalTask(tuple(records), queries, relevant)


def _true(record: ImageRecord, by_lexicon: bool) -> tuple[str, ...]:
    return record.lexicon if by_lexicon else record.visible


def spotting_scores(
    spotter: WordSpotter, task: RetrievalTask, progress: Progress = no_progress, workers: Workers = HERE
) -> Scores:
    """Compute the log-odds that each image shows each query.

    Args:
        spotter: reads the images.
        task: queries and images.
        progress: called with (images done, images in all).
        workers: where the images are read.
    """
    lexicon = Lexicon(task.queries)
    scores = Scores(np.full(task.relevant.shape, np.nan, np.float32), {})
    with closing(read_records(spotter, task.records, workers, progress)) as outcomes:
        for column, lines, problem in outcomes:
            if problem is None:
                scores.values[:, column] = np.maximum(spotter.score_lines(lines, lexicon).best(), _NOTHING)
            else:
                scores.problems[column] = problem
    return scores


def embedding_scores(
    model: WordModel,
    task: RetrievalTask,
    progress: Progress = no_progress,
    workers: Workers = HERE,
    reference: str = "",
    device: str = "auto",
) -> Scores:
    """Compute the logarithms of the probabilities that a model gives the queries for each whole image.

    Args:
        model: the word model.
        task: queries and images.
        progress: called with (images done, images in all).
        workers: where it is done.
        reference: what other processes load the model by.
        device: for other processes.
    """
    work = prediction_task(model, reference, Vocabulary.from_words(task.queries, "queries"), device, batch=1)
    scores = Scores(np.full(task.relevant.shape, np.nan, np.float32), {})
    with closing(map_images(work, items_of(task.records), workers, progress)) as outcomes:
        for column, probabilities, problem in outcomes:
            if problem is None:
                scores.values[:, column] = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
            else:
                scores.problems[column] = problem
    return scores


def fused_scores(spotted: np.ndarray, embedded: np.ndarray) -> np.ndarray:
    """Add to a spotter's log-odds `IMAGE_WEIGHT` times another model's log-probabilities, float32 (Q, I) each."""
    return spotted + IMAGE_WEIGHT * embedded


def average_precisions(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Compute scikit-learn's average precision of each query, float64 (Q,) in 0..1.

    Images of equal score share one place in the ranking, so that ties neither help nor harm.

    Args:
        scores: (Q, I), by which each query's images are ranked.
        relevant: bool (Q, I).
    """
    from sklearn.metrics import average_precision_score

    return np.array([average_precision_score(true, row) for true, row in zip(relevant, scores, strict=True)])


def mean_average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Compute the mean of the queries' average precisions (MAP), in 0..1; the arguments are `average_precisions`'s."""
    return float(average_precisions(scores, relevant).mean())


def map_interval(precisions: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of MAP over queries (`odits.metrics.paired.mean_interval`).

    Args:
        precisions: of the Q queries (`average_precisions`), at least one.
    """
    interval = mean_interval(precisions)
    assert interval is not None
    return interval


def readable_part(task: RetrievalTask, unreadable: Sequence[int]) -> tuple[RetrievalTask, np.ndarray, np.ndarray]:
    """Leave out images that could not be read, and queries that only they show.

    Args:
        task: queries and images.
        unreadable: places of images.

    Returns:
        The task without them, the places of its queries, and the places of its images.
    """
    columns = np.setdiff1d(np.arange(len(task.records)), np.array(sorted(unreadable), np.int64))
    rows = np.flatnonzero(task.relevant[:, columns].any(1))
    records = tuple(task.records[column] for column in columns.tolist())
    queries = tuple(task.queries[row] for row in rows.tolist())
    return RetrievalTask(records, queries, task.relevant[np.ix_(rows, columns)]), rows, columns


def save_scores(path: Path, scores: np.ndarray, task: RetrievalTask) -> None:
    """Write `scores` (Q, I), `queries` and `images` as .npz.

    Raises:
        WriteError: the file can't be written.
    """
    images = np.array([record.name for record in task.records])
    write_atomically(path, pack_arrays({"scores": scores, "queries": np.array(task.queries), "images": images}))
