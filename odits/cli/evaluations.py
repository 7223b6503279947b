"""Checkpoints named on the command line, evaluated on the same images and words, or read from the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from odits.cli.common import download_progress, find_model
from odits.core.progress import Reporter, open_reporter

if TYPE_CHECKING:
    from odits.core.pool import Workers
    from odits.data import Dataset, Vocabulary
    from odits.data.predictions import WordModel
    from odits.evaluation.results import StoredEvaluation


def evaluated(
    references: Sequence[str], dataset: Dataset, split: str, words: Vocabulary, workers: Workers, device: str
) -> list[StoredEvaluation]:
    """Evaluate checkpoints, each once, in their order.

    Args:
        references: of the checkpoints.
        dataset: with the images.
        split: which of them.
        words: to choose from.
        workers: where the work is done.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        OditsError: a checkpoint can't be had, or no image can be read.
    """
    with open_reporter() as report:
        return [
            evaluate_reference(reference, dataset, split, words, workers, device, report, named=True)[1]
            for reference in dict.fromkeys(references)
        ]


def evaluate_reference(
    reference: str,
    dataset: Dataset,
    split: str,
    words: Vocabulary,
    workers: Workers,
    device: str,
    report: Reporter,
    named: bool = False,
) -> tuple[WordModel, StoredEvaluation]:
    """Load a checkpoint and evaluate it, or read what is stored of it.

    Args:
        reference: of the checkpoint.
        dataset: with the images.
        split: which of them.
        words: to choose from.
        workers: where the work is done.
        device: "auto", "cpu", "cuda" or "mps".
        report: shows how far it is.
        named: say there which model is evaluated.

    Raises:
        OditsError: the checkpoint can't be had, or no image can be read.
    """
    from odits.evaluation.results import evaluate_and_store
    from odits.models.registry import WORD_MODELS, load

    ref = find_model(reference, report, *WORD_MODELS)
    model = load(ref, device, download_progress(report))
    progress = report.phase(f"evaluating {model.name}" if named else "evaluating", len(dataset.split(split)))
    return model, evaluate_and_store(model, ref.reference, dataset, split, words, progress, workers, device)
