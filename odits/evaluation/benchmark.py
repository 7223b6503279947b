"""The tables of one data set: what the models that are shipped reach in each task that its labels allow.

The same four tasks for every data set that can be read, so that whoever has one gets the tables that `docs/results.md`
has for SVT. What each part computes is stored as its own command stores it, so an interrupted benchmark goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from odits.core.errors import OditsError
from odits.core.pool import HERE, Problem, Workers, name_problems
from odits.core.progress import Reporter
from odits.data import Dataset
from odits.evaluation.evaluate import records_of
from odits.evaluation.reading_tasks import full_lexicon, score_crops, spotting_quality
from odits.evaluation.results import evaluate_and_store
from odits.evaluation.retrieval import (
    average_precisions,
    embedding_scores,
    map_interval,
    readable_part,
    retrieval_task,
    spotting_scores,
)
from odits.evaluation.settings import SPOTTING_LIMITS
from odits.metrics.paired import mean_interval
from odits.models.reference import DEFAULT_MODEL, EMBEDDED, SPOTTING
from odits.models.registry import load


@dataclass(frozen=True)
class TaskTable:
    """What models reach in one task.

    Attributes:
        task: its name.
        command: that makes the same numbers alone.
        rows: one for each model: "model", its digest as "checkpoint", and metrics; an interval is a pair, or None.
        left_out: why there are no rows, a sentence; empty where there are.
        seconds: that it took, what was stored before not counted.
    """

    task: str
    command: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Asked:
    """What is benchmarked, and where."""

    dataset: Dataset
    split: str
    spotter: str
    device: str
    workers: Workers
    report: Reporter
    problems: dict[str, Problem] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)

    @property
    def boxes(self) -> int:
        """Words with a box."""
        return sum(len(record.boxed) for record in self.dataset.split(self.split))

    def load(self, reference: str) -> Any:
        """Return a shipped model, loaded once."""
        if reference not in self.models:
            self.models[reference] = load(reference, self.device)
        return self.models[reference]

    def phase(self, name: str) -> Any:
        """Show what begins."""
        return self.report.phase(name, len(self.dataset.split(self.split)))

    def note(self, problems: Iterable[Problem]) -> None:
        """Remember images that could not be read, each once."""
        self.problems.update({problem.image: problem for problem in problems})


def benchmark(
    dataset: Dataset,
    split: str,
    report: Reporter,
    spotter: str = SPOTTING,
    workers: Workers = HERE,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure the shipped models on a data set, in each task that its labels allow.

    Args:
        dataset: its split's images; the training images' lexicons make the row that sees no image.
        split: "train", "eval" or "all".
        report: shows how far it is.
        spotter: reference of what reads.
        workers: where the work is done.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        "data", "split", "images", "boxes", "words" (of all lexicons), "tables" (`TaskTable`, in the order of `TASKS`),
        and "problems" of images that could not be read.

    Raises:
        OditsError: the split has no images, or a model can't be had.
    """
    records = records_of(dataset, split)
    asked = _Asked(dataset, split, spotter, device, workers, report)
    tables = []
    for task, (options, rows) in TASKS.items():
        began = time.monotonic()
        command = f"odits {options} --data FOLDER --split {split}"
        try:
            table = TaskTable(task, command, rows(asked), seconds=time.monotonic() - began)
        except _NothingToDoError as reason:
            table = TaskTable(task, command, left_out=str(reason))
        tables.append(table)
    return {
        "data": dataset.name,
        "split": split,
        "images": len(records),
        "boxes": asked.boxes,
        "words": len(full_lexicon(records)),
        "tables": tables,
        "problems": list(asked.problems.values()),
    }


class _NothingToDoError(OditsError):
    """The labels have nothing that a task needs."""


def _words(asked: _Asked) -> list[dict[str, Any]]:
    """Rank all words of the data set by each model's probabilities, and by how frequent they are in training images."""
    vocabulary = asked.dataset.vocabulary()
    if not len(vocabulary):
        raise _NothingToDoError("No image has words.")
    rows: list[dict[str, Any]] = []
    for reference in (EMBEDDED, asked.spotter, DEFAULT_MODEL):
        model = asked.load(reference)
        progress = asked.phase(f"words: {model.name}")
        stored = evaluate_and_store(
            model, reference, asked.dataset, asked.split, vocabulary, progress, asked.workers, asked.device
        )
        asked.note(stored.problems)
        if not rows and asked.dataset.split("train"):
            rank = stored.groups["baselines"]["prior"]["rank"]
            rows.append({"model": "frequent words, no image", "checkpoint": "", **_ranked(rank)})
        each = {name: stored.per_image[f"rank {name}"] for name in ("precision_at_10", "average_precision")}
        intervals = {f"{name}_interval": mean_interval(values) for name, values in each.items()}
        rows.append(
            {"model": model.name, "checkpoint": model.checkpoint, **_ranked(stored.groups["rank"]), **intervals}
        )
    return rows


def _ranked(rank: dict[str, Any]) -> dict[str, Any]:
    return {name: rank[name] for name in ("precision_at_10", "average_precision")}


def _retrieval(asked: _Asked) -> list[dict[str, Any]]:
    """Rank the images for each boxed word, or for each word of the lexicons where nothing is boxed."""
    records = asked.dataset.split(asked.split)
    by_lexicon = not asked.boxes
    if by_lexicon and not full_lexicon(records):
        raise _NothingToDoError("No image has words.")
    whole = retrieval_task(records, by_lexicon)
    reading, model = asked.load(asked.spotter), asked.load(EMBEDDED)
    scores = {
        reading: spotting_scores(reading, whole, asked.phase(f"retrieval: {reading.name}"), asked.workers),
        model: embedding_scores(
            model, whole, asked.phase(f"retrieval: {model.name}"), asked.workers, EMBEDDED, asked.device
        ),
    }
    unreadable = {place: text for found in scores.values() for place, text in found.problems.items()}
    asked.note(name_problems(records, unreadable))
    task, rows, columns = readable_part(whole, list(unreadable))
    if not task.queries:
        raise _NothingToDoError("None of the images that can be read shows a word.")
    found = []
    for one, table in scores.items():
        precisions = average_precisions(table.values[rows][:, columns], task.relevant)
        found.append(
            {
                "model": one.name,
                "checkpoint": one.checkpoint,
                "queries": len(task.queries),
                "map": float(precisions.mean()),
                "map_interval": map_interval(precisions),
            }
        )
    return found


def _spotting(asked: _Asked, lexicon: str) -> list[dict[str, Any]]:
    """Find the words of each image's own lexicon, or of all lexicons, with their boxes."""
    if not asked.boxes:
        raise _NothingToDoError("No word has a box.")
    reading = asked.load(asked.spotter)
    records = asked.dataset.split(asked.split)
    phase = asked.phase(f"spotting, {lexicon} lexicon: {reading.name}")
    limit = SPOTTING_LIMITS[lexicon]
    quality = spotting_quality(reading, records, limit, phase, asked.workers, lexicon == "full")
    asked.note(name_problems(records, quality.problems))
    row = {"model": reading.name, "checkpoint": reading.checkpoint, **quality.values, "f_interval": quality.interval}
    return [row]


def _crops(asked: _Asked) -> list[dict[str, Any]]:
    """Choose the word of each box."""
    if not asked.boxes:
        raise _NothingToDoError("No word has a box.")
    model = asked.load(EMBEDDED)
    phase = asked.phase(f"crops: {model.name}")
    quality = score_crops(model, asked.dataset, asked.split, phase, asked.workers, EMBEDDED, asked.device)
    asked.note(name_problems(asked.dataset.split(asked.split), quality.problems))
    return [{"model": model.name, "checkpoint": model.checkpoint, **quality.values}]


TASKS: dict[str, tuple[str, Callable[[_Asked], list[dict[str, Any]]]]] = {
    "words of an image": ("evaluate", _words),
    "images of a word": ("retrieval", _retrieval),
    "spotting, own lexicon": ("spot --lexicon own", lambda asked: _spotting(asked, "own")),
    "spotting, all words": ("spot --lexicon full", lambda asked: _spotting(asked, "full")),
    "boxed words": ("evaluate-crops", _crops),
}
"""Each task with the command that does it alone, and what measures it."""
