"""`odits evaluate-crops`: how well a model reads the boxed words of a split."""

from __future__ import annotations

from typing import Annotated

import typer

from odits.cli.common import (
    Checkpoint,
    Data,
    Device,
    Json,
    download_progress,
    find_model,
    load_data,
    print_json,
    print_table,
)
from odits.core.progress import open_reporter


def evaluate_crops(
    data: Data = None,
    checkpoint: Checkpoint = "embedded",
    split: Annotated[str, typer.Option(help="Which images: train, eval or all.")] = "eval",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show how often the word in a box is a model's first choice among the image's lexicon, and among all words."""
    dataset = load_data(data)
    from odits.evaluation.reading_tasks import score_crops
    from odits.models.registry import load

    with open_reporter() as report:
        model = load(find_model(checkpoint, report, "clip"), device, download_progress(report), kind="clip")
        accuracy = score_crops(model, dataset, split, report.phase("reading boxes", len(dataset.split(split))).advance)
    found = {"model": model.name, "checkpoint": model.checkpoint, "split": split, **accuracy}
    if as_json:
        print_json(found)
    else:
        print_table(("measure", "value"), found.items(), "Reading boxed words")
