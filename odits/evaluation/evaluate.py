"""Evaluation of word models on a split: SPEC's metrics with the rows that use no image beside them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from odits.core.errors import OditsError
from odits.core.files import cache_home
from odits.core.tables import BATCH, fill_table
from odits.data import Dataset, ImageRecord, Vocabulary, open_image
from odits.metrics import probabilities as metrics

BLOCK = 4096  # words at a time where all images of a word are needed

Predict = Callable[[Sequence[Image.Image]], np.ndarray]


class Lexicons:
    """Which words of a vocabulary are true of which image, without a table of images x words."""

    def __init__(self, records: Sequence[ImageRecord], vocabulary: Vocabulary) -> None:
        place = {word: index for index, word in enumerate(vocabulary.words)}
        self.words = len(vocabulary)
        self.members = [
            np.array(sorted({place[word] for word in record.lexicon if word in place}), np.int64) for record in records
        ]
        self.sizes = np.array([len(members) for members in self.members])

    def relevant(self, images: slice, words: slice = slice(None)) -> np.ndarray:
        """bool (images, words) of a part of the table."""
        start, stop, _ = words.indices(self.words)
        chosen = self.members[images]
        table = np.zeros((len(chosen), stop - start), bool)
        for row, members in zip(table, chosen, strict=True):
            row[members[(members >= start) & (members < stop)] - start] = True
        return table

    def document_frequency(self) -> np.ndarray:
        """How many of the images' lexicons hold each word, int64 (n,)."""
        return np.bincount(np.concatenate([np.empty(0, np.int64), *self.members]), minlength=self.words)


def evaluate(
    predict: Predict,
    dataset: Dataset,
    split: str,
    vocabulary: Vocabulary,
    advance: Callable[[int], None] = lambda _: None,
    keep: Path | None = None,
) -> dict[str, Any]:
    """All metrics of a word model on a split, averaged over its images, and those of the two rows without an image.

    Args:
        predict: probabilities (images, n) over the vocabulary for a batch of RGB images.
        advance: called with the number of images done since the last call.
        keep: where to write all probabilities as .npz (`probabilities` float32 (m, n), `words`, `images`).

    Returns:
        What `report` returns.

    Raises:
        OditsError: the split has no images.
    """
    records = records_of(dataset, split)
    shape = (len(records), len(vocabulary))
    # Probabilities go to the disk: memory does not grow with images x words.
    folder = cache_home() / "evaluations"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".now-") as place:
        told = 0

        def tell(done: int, _: int) -> None:
            nonlocal told
            advance(done - told)
            told = done

        table = fill_table(
            Path(place) / "probabilities.npy",
            shape,
            lambda images: predict([open_image(record.path) for record in records[images]]),
            tell,
        )
        found, _ = report(table, dataset, records, vocabulary)
        if keep is not None:
            save_probabilities(keep, table, vocabulary.words, [record.name for record in records])
    return found


def records_of(dataset: Dataset, split: str) -> tuple[ImageRecord, ...]:
    """The images of a split.

    Raises:
        OditsError: it has none.
    """
    records = dataset.split(split)
    if not records:
        raise OditsError(f"{dataset.name} has no {split} images to evaluate on.")
    return records


def report(
    table: np.ndarray, dataset: Dataset, records: Sequence[ImageRecord], vocabulary: Vocabulary
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a table of probabilities (m, n) is worth, on average and for each image.

    Returns:
        "confidence", "threshold" (with "words_without_roc"), "uniformity", "rank", "images", "words",
        "images_without_lexicon", and "baselines" with the same groups for "uniform" and "prior"; and the metrics of
        each image (m,), as `score_images` names them.
    """
    lexicons = Lexicons(records, vocabulary)
    training = Lexicons(dataset.split("train"), vocabulary)
    rows = {
        "uniform": metrics.uniform_row(len(vocabulary)),
        "prior": metrics.prior_row(training.document_frequency()),
    }
    baselines = {name: score_table(np.broadcast_to(row, table.shape), lexicons) for name, row in rows.items()}
    values, without = score_images(table, lexicons)
    groups = {
        "images": len(records),
        "words": len(vocabulary),
        "images_without_lexicon": int((lexicons.sizes == 0).sum()),
        **_averaged(values, without),
        "baselines": baselines,
    }
    return groups, values


def score_table(table: np.ndarray, lexicons: Lexicons) -> dict[str, Any]:
    """The metric groups of a table of probabilities (m, n), each averaged over the images that have it."""
    return _averaged(*score_images(table, lexicons))


def score_images(table: np.ndarray, lexicons: Lexicons) -> tuple[dict[str, np.ndarray], int]:
    """The metrics (m,) of each image, NaN where it has none, and how many words have no ROC curve.

    They are named "confidence precision", "threshold recall", "rank average_precision", ..., and "uniformity".
    """
    collected: dict[str, list[np.ndarray]] = {}
    for images in _slices(len(table), BATCH):
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
    found = {name: np.concatenate(values) for name, values in collected.items()}
    return found | {f"threshold {k}": v for k, v in metrics.from_confusion(*confusion).items()}, without


def _averaged(values: dict[str, np.ndarray], without: int) -> dict[str, Any]:
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
    """The mean over the images that have a value; None where none has."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else None


def _slices(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def save_probabilities(path: Path, table: np.ndarray, words: Sequence[str], images: Sequence[str]) -> None:
    """Writes `probabilities`, `words` and `images` as .npz, under a temporary name first.

    Raises:
        OditsError: the disk is full, or writing is not allowed.
    """
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, probabilities=table, words=np.array(words), images=np.array(images))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OditsError(f"{path} can't be written: {error.strerror or error}.") from error
