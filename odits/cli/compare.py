"""`odits compare`: ODITS, its ablations and its controls against CLIP, with confidence intervals."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from odits.cli.common import (
    Checkpoint,
    Data,
    Device,
    Json,
    Segmenter,
    exit_after,
    find_model,
    load_data,
    print_json,
    print_table,
    say,
)
from odits.cli.options import View, resumable
from odits.core.progress import open_reporter
from odits.models.reference import DEFAULT_SEGMENTER, EMBEDDED

SHOWN = {
    "P@10": "rank precision_at_10",
    "average precision": "rank average_precision",
    "confidence precision": "confidence precision",
    "confidence F1": "confidence f1",
}
"""The metrics that decide: columns for people, and their names among a row's intervals."""


def compare(
    data: Data = None,
    checkpoint: Checkpoint = EMBEDDED,
    finetuned: Annotated[
        str | None, typer.Option(help="A fine-tuned CLIP to compare with. Default: trained now, 5 epochs.")
    ] = None,
    segmenter: Segmenter = DEFAULT_SEGMENTER,
    view: View = "crop",
    split: Annotated[str, typer.Option(help="Which images: eval or train.")] = "eval",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each row.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="Only these trained rows (repeat for several).")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train side by side.")] = 1,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Compare rows without an image, CLIP, ODITS and what is left when its parts are taken away, by every metric.

    Trainings are stored: repeated or interrupted comparisons go on where they were.
    """
    dataset = load_data(data)
    from odits.evaluation.comparison import VARIANTS, ComparisonRequest
    from odits.evaluation.comparison import compare as compare_models

    rows = tuple(dict.fromkeys(only or VARIANTS))
    with resumable(), open_reporter() as report:
        clip = find_model(checkpoint, report, "clip").reference
        tuned = find_model(finetuned, report, "clip").reference if finetuned else None
        finder = find_model(segmenter, report, "segmenter").reference  # a wrong one is told before the work
        request = ComparisonRequest(clip, tuned, finder, view, split, seeds, rows, workers, device)
        document = compare_models(dataset, request, report)
    for problem in document["problems"]:
        say(f"Left out: {problem['problem']}")
    if as_json:
        print_json(document)
    else:
        print_rows(document["rows"])
        say("± is half of the 95 % interval of the difference to CLIP: paired bootstrap over images.")
    exit_after(document["problems"])


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print the metrics that decide, with half the width of the interval of their difference to CLIP."""
    lines = []
    for row in rows:
        cells = [row["name"]]
        for key in SHOWN.values():
            group, _, name = key.partition(" ")
            ci = row["ci"].get(key)
            cells.append(f"{row[group][name]:.3f}" + (f" ± {(ci['high'] - ci['low']) / 2:.3f}" if ci else ""))
        lines.append(cells)
    print_table(("model", *SHOWN), lines)
