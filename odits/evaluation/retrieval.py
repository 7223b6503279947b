"""Word retrieval: images ranked by how surely they show a word, as published for SVT."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from odits.core.errors import OditsError
from odits.core.files import write_atomically
from odits.data import ImageRecord, Vocabulary, open_image
from odits.data.predictions import WordModel
from odits.models.reading.ctc import Lexicon
from odits.models.reading.spotter import WordSpotter

_NOTHING = -100.0
"""Log-odds of any word in a picture without a line."""
SEEN = 0.02
"""Weight of a word's log-probability for the whole picture beside the log-odds of reading it; from training images."""


@dataclass(frozen=True, eq=False)
class RetrievalTask:
    """Which images show which words.

    Attributes:
        queries: Q words in upper case, sorted.
        relevant: bool (Q, I), whether the word is boxed in the image.
    """

    records: tuple[ImageRecord, ...]
    queries: tuple[str, ...]
    relevant: np.ndarray


def retrieval_task(records: Sequence[ImageRecord]) -> RetrievalTask:
    """The distinct boxed words of some images as queries.

    Raises:
        OditsError: no image has a boxed word.
    """
    boxed = [{box.word.upper() for box in record.boxed} for record in records]
    queries = tuple(sorted(set().union(*boxed)))
    if not queries:
        raise OditsError("None of these images has boxed words, which the queries are made of.")
    relevant = np.array([[query in words for words in boxed] for query in queries])
    return RetrievalTask(tuple(records), queries, relevant)


def spotting_scores(
    spotter: WordSpotter, task: RetrievalTask, advance: Callable[[int], None] = lambda _: None
) -> np.ndarray:
    """Log-odds float32 (Q, I) that each image shows each query."""
    lexicon = Lexicon(task.queries)
    scores = np.full(task.relevant.shape, _NOTHING, np.float32)
    for column, record in enumerate(task.records):
        best = spotter.judge(spotter.lines_of(record), lexicon).best()
        scores[:, column] = np.maximum(best, _NOTHING)
        advance(1)
    return scores


def mean_average_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """MAP in 0..1 of rankings by scores (Q, I) against bool (Q, I): scikit-learn's average precision, over queries.

    Images of equal score share one place in the ranking, so that ties neither help nor harm.
    """
    from sklearn.metrics import average_precision_score

    return float(np.mean([average_precision_score(true, row) for true, row in zip(relevant, scores, strict=True)]))


def save_scores(path: Path, scores: np.ndarray, task: RetrievalTask) -> None:
    """Nothing; `scores` (Q, I), `queries` and `images` are written as .npz.

    Raises:
        OditsError: the file can't be written.
    """
    stream = io.BytesIO()
    images = np.array([record.name for record in task.records])
    np.savez_compressed(stream, scores=scores, queries=np.array(task.queries), images=images)
    write_atomically(path, stream.getvalue())


def embedding_scores(
    model: WordModel, task: RetrievalTask, advance: Callable[[int], None] = lambda _: None
) -> np.ndarray:
    """Logarithms float32 (Q, I) of the probabilities that a model gives the queries for each whole image."""
    vocabulary = Vocabulary.from_words(task.queries, "queries")
    scores = np.empty(task.relevant.shape, np.float32)
    for column, record in enumerate(task.records):
        found = model.probabilities([open_image(record.path)], vocabulary)[0]
        scores[:, column] = np.log(np.maximum(found, np.finfo(np.float32).tiny))
        advance(1)
    return scores


def fused_scores(spotted: np.ndarray, embedded: np.ndarray) -> np.ndarray:
    """Sum float32 (Q, I) of a spotter's log-odds and `SEEN` times another model's log-probabilities."""
    return spotted + SEEN * embedded
