"""`odits evaluate`: the metrics of a checkpoint on a split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from odits.cli.common import (
    Checkpoint,
    Data,
    Device,
    Json,
    load_data,
    load_vocabulary,
    print_json,
    print_table,
    progress_bar,
)


def evaluate(
    data: Data = None,
    checkpoint: Checkpoint = "embedded",
    split: Annotated[str, typer.Option(help="Which images: train, eval or all.")] = "eval",
    vocabulary: Annotated[str, typer.Option(help="svt (union of the lexicons) or a text file of words.")] = "svt",
    save_probabilities: Annotated[Path | None, typer.Option(help="Write all probabilities to this .npz.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Confidence, threshold, uniformity and rank metrics, beside the rows that see no image (thesis, 2.3)."""
    dataset = load_data(data)
    asked = dataset.vocabulary() if vocabulary == "svt" else load_vocabulary(vocabulary, data)
    from odits import evaluation
    from odits.models.loading import load_word_model

    model = load_word_model(checkpoint, device)
    with progress_bar() as bar:
        task = bar.add_task("evaluating", total=len(dataset.split(split)))
        found = evaluation.evaluate(
            lambda images: model.probabilities(images, asked),
            dataset,
            split,
            asked,
            lambda count: bar.advance(task, count),
            save_probabilities,
        )
    found = {"model": model.name, "checkpoint": model.checkpoint, "data": dataset.name, "split": split, **found}
    if as_json:
        print_json(found)
    else:
        print_comparison({model.name: found, **found["baselines"]})


def print_comparison(rows: dict[str, dict[str, Any]]) -> None:
    """The metric groups of several models as one table for people, a model a column."""
    names = list(rows)
    flat: dict[str, list[Any]] = {}
    for groups in rows.values():
        for group in ("confidence", "threshold", "rank"):
            for name, value in groups[group].items():
                flat.setdefault(f"{group}: {name.replace('_', ' ')}", []).append(value)
        flat.setdefault("uniformity", []).append(groups["uniformity"])
    print_table(("metric", *names), [(name, *values) for name, values in flat.items()])
