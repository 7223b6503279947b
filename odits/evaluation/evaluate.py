"""Evaluation of word models on a split: the thesis's metrics with the rows that use no image beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from odits.core.errors import OditsError
from odits.core.files import clear_interrupted, replacing, require_folder, temporary_folder
from odits.core.pool import HERE, Function, Item, Problem, Task, Workers, in_order, map_images, per_batch
from odits.core.progress import Progress, no_progress
from odits.core.tables import BATCH, fill_table
from odits.data import Dataset, ImageRecord, Vocabulary, open_image
from odits.data.images import ImageError
from odits.data.predictions import WordModel
from odits.metrics import probabilities as metrics
from odits.metrics.scoring import Lexicons, average_metrics, score_images, score_table
from odits.models.registry import from_settings, load, parse, to_settings

Predict = Callable[[Sequence[Image.Image]], np.ndarray]


def evaluate(
    predict: Predict,
    dataset: Dataset,
    split: str,
    vocabulary: Vocabulary,
    progress: Progress = no_progress,
    probabilities: Path | None = None,
) -> dict[str, Any]:
    """Compute all metrics of a word model on a split, averaged over its images; nothing is stored.

    Args:
        predict: probabilities (images, n) over the vocabulary for a batch of RGB images.
        dataset: its split's images and lexicons, and the training lexicons for the row "prior".
        split: "train", "eval" or "all".
        vocabulary: the words asked about.
        progress: called with (images done, images in all).
        probabilities: where to write all probabilities as .npz (`save_probabilities`).

    Returns:
        What `report` returns on average.

    Raises:
        OditsError: the split has no images, or none that can be read.
    """
    records = records_of(dataset, split)
    task = Task("", batch=BATCH, here=per_batch(open_item, predict))
    with temporary_folder("evaluation") as folder:  # memory does not grow with images x words
        path = folder / "probabilities.npy"
        evaluated = fill_probabilities(path, task, records, len(vocabulary), progress=progress)
        found, _ = report(evaluated.table, dataset, evaluated.records, vocabulary)
        if probabilities is not None:
            save_probabilities(
                probabilities, evaluated.table, vocabulary.words, [record.name for record in evaluated.records]
            )
        del evaluated  # some systems remove no file that is mapped
    return found


def records_of(dataset: Dataset, split: str) -> tuple[ImageRecord, ...]:
    """Return the images of a split.

    Raises:
        OditsError: it has none.
    """
    records = dataset.split(split)
    if not records:
        raise OditsError(f"{dataset.name} has no {split} images to evaluate on.")
    return records


# Probabilities of many images.


def prediction_task(
    model: WordModel, reference: str, vocabulary: Vocabulary, device: str = "auto", batch: int = BATCH
) -> Task:
    """Return what workers do that give the probabilities float32 (n,) of a vocabulary for each image.

    Args:
        model: the model, for this process.
        reference: what other processes load it by.
        vocabulary: the n words.
        device: for other processes.
        batch: images at a time: a model's last bits may depend on it.
    """
    here = per_batch(open_item, lambda images: model.probabilities(images, vocabulary))
    task = model_task("odits.evaluation.evaluate:predictor", reference, vocabulary, device, here)
    return replace(task, batch=batch)


def model_task(builder: str, reference: str, vocabulary: Vocabulary, device: str, here: Function) -> Task:
    """Return a task whose builder takes a model's "model" and "weights", the "words" of a vocabulary, and a "device".

    Without a reference only this process can do it.
    """
    described = to_settings(parse(reference)) if reference else {}
    settings = {**described, "device": device, "words": list(vocabulary.words)}
    return Task(builder, settings, files=["weights"] if "weights" in described else [], here=here)


def predictor(
    model: Mapping[str, Any],
    words: Sequence[str],
    device: str = "auto",
    weights: str | None = None,
    threads: int | None = None,  # torch has its share from OMP_NUM_THREADS
) -> Function:
    """Return a function for `odits.core.pool` that gives the probabilities float32 (n,) of words for each image.

    Args:
        model: the word model, by `odits.models.reference.to_settings`.
        words: the n words.
        device: for the model.
        weights: the model's file.
        threads: for models that take a number of threads.

    Raises:
        OditsError: there is no such model.
    """
    ref = from_settings(model, weights)
    options: dict[str, Any] = {"threads": threads} if ref.kind == "spotting" else {}
    loaded = load(ref, device, **options)
    vocabulary = Vocabulary(tuple(words), "the words asked about")
    return per_batch(open_item, lambda images: loaded.probabilities(images, vocabulary))


def open_item(item: Item) -> Image.Image:
    """Decode the image of an item. Raises ImageError."""
    return open_image(item.source, item.name)


def items_of(records: Sequence[ImageRecord], about: Callable[[ImageRecord], Any] = lambda _: None) -> list[Item]:
    """Return images as items of `odits.core.pool`, each with what `about` says of it."""
    return [Item(record.name, record.source, about(record)) for record in records]


class Probabilities(NamedTuple):
    """The probabilities of a vocabulary for all images that could be read.

    Attributes:
        table: float32 (m, n), memory-mapped.
        records: the m images.
        problems: the images that could not be read.
    """

    table: np.ndarray
    records: tuple[ImageRecord, ...]
    problems: tuple[Problem, ...]


def fill_probabilities(
    path: Path,
    task: Task,
    records: Sequence[ImageRecord],
    words: int,
    workers: Workers = HERE,
    progress: Progress = no_progress,
) -> Probabilities:
    """Compute a table of probabilities in a file; one that was begun before is completed.

    While it is being filled, the row of an image that can't be read is NaN; such rows are left out in the end.

    Args:
        path: of the .npy file.
        task: by `prediction_task`.
        records: the images.
        words: n.
        workers: where it is done.
        progress: called with (images done, images in all); what it raises ends the work.

    Raises:
        OditsError: no image can be read, nothing can be computed at all, or there is no such cluster.
        WriteError: the file can't be written.
    """
    items = items_of(records)
    with closing(_Rows(task, items, words, workers)) as rows:
        table = fill_table(path, (len(records), words), rows, progress)
        problems = dict(rows.problems)
    for row in np.flatnonzero(np.isnan(table[:, 0])).tolist():
        if row not in problems:  # an interrupted run was at it
            problems[row] = _why(records[row])
    if not problems:
        return Probabilities(table, tuple(records), ())
    readable = [place for place in range(len(records)) if place not in problems]
    named = tuple(Problem(records[place].name, problems[place]) for place in sorted(problems))
    if not readable:
        raise OditsError(f"None of the {len(records)} images can be used: {named[0].problem}")
    with replacing(path) as temporary:
        shorter = np.lib.format.open_memmap(temporary, "w+", np.float32, (len(readable), words))
        for row, place in enumerate(readable):
            shorter[row] = table[place]
        shorter.flush()
        del shorter, table
    return Probabilities(np.load(path, mmap_mode="r"), tuple(records[place] for place in readable), named)


class _Rows:
    """Rows of a table, slice after slice, from workers that began at the first slice asked for."""

    def __init__(self, task: Task, items: Sequence[Item], words: int, workers: Workers) -> None:
        self._task, self._items, self._words, self._workers = task, items, words, workers
        self._outcomes: Any = None
        self._ordered: Any = None
        self.problems: dict[int, str] = {}

    def __call__(self, images: slice) -> np.ndarray:
        if self._outcomes is None:
            self._outcomes = map_images(self._task, self._items[images.start :], self._workers)
            self._ordered = in_order(self._outcomes)
        rows = np.full((images.stop - images.start, self._words), np.nan, np.float32)
        for place in range(images.start, images.stop):
            _, value, problem = next(self._ordered)
            if problem is None:
                rows[place - images.start] = value
            else:
                self.problems[place] = problem
        return rows

    def close(self) -> None:
        """End the workers."""
        if self._outcomes is not None:
            self._outcomes.close()


def _why(record: ImageRecord) -> str:
    """Return why an image can't be used; where it can be read, a model failed at it in a run that was interrupted."""
    try:
        record.open()
    except ImageError as error:
        return str(error)
    return f"{record.name} could not be used."


# Metrics of the probabilities.


def report(
    table: np.ndarray, dataset: Dataset, records: Sequence[ImageRecord], vocabulary: Vocabulary
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute the metrics of a table of probabilities (m, n), on average and for each image.

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
        **average_metrics(values, without),
        "baselines": baselines,
    }
    return groups, values


def save_probabilities(path: Path, table: np.ndarray, words: Sequence[str], images: Sequence[str]) -> None:
    """Write `probabilities` float32 (m, n), `words` and `images` as .npz.

    Raises:
        OditsError: its folder is missing, the disk is full, or writing is not allowed.
    """
    require_folder(path)
    clear_interrupted(path.parent)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, probabilities=table, words=np.array(words), images=np.array(images))
