"""Metrics of tables of probabilities against lexicons: arrays in, floats out (thesis, 2.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from odits.data.records import ImageRecord
from odits.data.vocabulary import Vocabulary
from odits.metrics import probabilities as metrics

IMAGES, BLOCK = 2, 4096
"""Images at a time, and words at a time where all images of a word are needed."""


class Lexicons:
    """Which words of a vocabulary are true of which image, without a table of images x words.

    Case and accents make no difference (`odits.data.vocabulary.fold_word`).

    Attributes:
        words: how many words the vocabulary has, n.
        members: for each of m images the indices of its lexicon's words, int64, ascending.
        sizes: how many they are, int64 (m,).

    Example:
        >>> record = ImageRecord("a.jpg", b"", lexicon=("BAR", "INN"))
        >>> Lexicons([record], Vocabulary(("BAR", "CAFE", "INN"), "three")).relevant(slice(None)).tolist()
        [[True, False, True]]
    """

    def __init__(self, records: Sequence[ImageRecord], vocabulary: Vocabulary) -> None:
        self.words = len(vocabulary)
        self.members = [
            np.array(sorted({place for place in map(vocabulary.find, record.lexicon) if place is not None}), np.int64)
            for record in records
        ]
        self.sizes = np.array([len(members) for members in self.members])

    def relevant(self, images: slice, words: slice = slice(None)) -> np.ndarray:
        """Return bool (images, words) of a part of the table."""
        start, stop, _ = words.indices(self.words)
        selected = self.members[images]
        table = np.zeros((len(selected), stop - start), bool)
        for row, members in zip(table, selected, strict=True):
            row[members[(members >= start) & (members < stop)] - start] = True
        return table

    def document_frequency(self) -> np.ndarray:
        """Return how many of the images' lexicons hold each word, int64 (n,)."""
        return np.bincount(np.concatenate([np.empty(0, np.int64), *self.members]), minlength=self.words)


def score_table(table: np.ndarray, lexicons: Lexicons) -> dict[str, Any]:
    """Compute the metric groups of a table of probabilities (m, n), each averaged over the images that have it."""
    return average_metrics(*score_images(table, lexicons))


def score_images(table: np.ndarray, lexicons: Lexicons) -> tuple[dict[str, np.ndarray], int]:
    """Compute the metrics of each image.

    Args:
        table: probabilities float (m, n), in memory or on the disk.
        lexicons: of the m images.

    Returns:
        The metrics float64 (m,) by name, NaN for an image that has none: "confidence precision", "threshold recall",
        "rank average_precision", ..., and "uniformity"; and how many words have no ROC curve.
    """
    collected: dict[str, list[np.ndarray]] = {}
    for images in _slices(len(table), IMAGES):
        part, relevant = np.asarray(table[images]), lexicons.relevant(images)
        values = {f"confidence {k}": v for k, v in metrics.confidence_metrics(part, relevant).items()}
        values |= {f"rank {k}": v for k, v in metrics.rank_metrics(part, relevant).items()}
        values["uniformity"] = metrics.uniformity(part, relevant)
        for name, value in values.items():
            collected.setdefault(name, []).append(value)
    confusion = np.zeros((4, len(table)), np.int64)
    without = 0
    for words in _slices(table.shape[1], BLOCK):
        part, relevant = np.asarray(table[:, words]), lexicons.relevant(slice(None), words)
        epsilon = metrics.youden_thresholds(part, relevant)
        without += int(np.isnan(epsilon).sum())
        confusion += metrics.threshold_confusion(part, relevant, epsilon, lexicons.sizes)
    per_image = {name: np.concatenate(values) for name, values in collected.items()}
    return per_image | {f"threshold {k}": v for k, v in metrics.from_confusion(*confusion).items()}, without


def average_metrics(values: dict[str, np.ndarray], without: int) -> dict[str, Any]:
    """Average metrics over the images that have them.

    Args:
        values: by name, as `score_images` returns them.
        without: how many words have no ROC curve.

    Returns:
        "confidence", "threshold" (with "words_without_roc") and "rank", each a value in 0..1 by name, and "uniformity";
        None where no image has a value.
    """
    means = {name: mean_of(value) for name, value in values.items()}
    return {
        "confidence": {name: means[f"confidence {name}"] for name in metrics.CONFIDENCE},
        "threshold": {
            **{name: means[f"threshold {name}"] for name in metrics.CONFIDENCE},
            "words_without_roc": without,
        },
        "uniformity": means["uniformity"],
        "rank": {name: means[f"rank {name}"] for name in metrics.RANK},
    }


def mean_of(values: np.ndarray) -> float | None:
    """Return the mean over the images that have a value; None where none has."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else None


def _slices(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
