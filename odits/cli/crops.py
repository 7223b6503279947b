"""`odits evaluate-crops`: how well a model reads the boxed words of a split."""

from __future__ import annotations

from typing import Annotated

import typer

from odits.cli.common import Checkpoint, Data, Device, Json, load_data, print_json, print_table
from odits.core.progress import open_reporter


def evaluate_crops(
    data: Data = None,
    checkpoint: Checkpoint = "embedded",
    split: Annotated[str, typer.Option(help="Which images: train, eval or all.")] = "eval",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """How often the word in a box is a model's first choice among the image's lexicon, and among all words."""
    dataset = load_data(data)
    from odits.evaluation.reading_tasks import score_crops
    from odits.models.clip.loading import load_word_model

    model = load_word_model(checkpoint, device)
    with open_reporter() as report:
        accuracy = score_crops(model, dataset, split, report.phase("reading boxes", len(dataset.split(split))).advance)
    found = {"model": model.name, "checkpoint": model.checkpoint, "split": split, **accuracy}
    if as_json:
        print_json(found)
    else:
        print_table(("measure", "value"), found.items(), "Reading boxed words")
