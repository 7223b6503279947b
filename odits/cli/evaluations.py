"""Checkpoints named on the command line, evaluated on the same images and words, or read from the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from odits.cli.common import download_progress, find_model
from odits.core.progress import open_reporter

if TYPE_CHECKING:
    from odits.core.pool import Workers
    from odits.data import Dataset, Vocabulary
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
    from odits.evaluation.results import evaluate_and_store
    from odits.models.registry import WORD_MODELS, load

    stored: list[StoredEvaluation] = []
    with open_reporter() as report:
        for reference in dict.fromkeys(references):
            ref = find_model(reference, report, *WORD_MODELS)
            model = load(ref, device, download_progress(report))
            progress = report.phase(f"evaluating {model.name}", len(dataset.split(split)))
            stored.append(evaluate_and_store(model, ref.reference, dataset, split, words, progress, workers, device))
    return stored
