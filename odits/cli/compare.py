"""`odits compare`: ODITS, its ablations and its controls against CLIP, with confidence intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from odits.cli.common import (
    Data,
    Json,
    exit_after,
    find_model,
    load_data,
    print_json,
    print_table,
    say,
)
from odits.cli.options import resumable, with_settings
from odits.core.progress import open_reporter
from odits.evaluation.settings import ComparisonRequest

SHOWN = {
    "P@10": "rank precision_at_10",
    "average precision": "rank average_precision",
    "confidence precision": "confidence precision",
    "confidence F1": "confidence f1",
}
"""The metrics that decide: columns for people, and their names among a row's intervals."""


@with_settings(ComparisonRequest)
def compare(data: Data = None, *, settings: ComparisonRequest, as_json: Json = False) -> None:
    """Compare ODITS, its ablations and its controls with CLIP, by every metric.

    Trainings are stored: repeated or interrupted comparisons go on where they were.
    """
    dataset = load_data(data)
    from odits.evaluation.comparison import compare as compare_models

    with resumable(), open_reporter() as report:
        clip = find_model(settings.checkpoint, report, "clip").reference
        finetuned = find_model(settings.finetuned, report, "clip").reference if settings.finetuned else None
        segmenter = find_model(settings.segmenter, report, "segmenter").reference  # a wrong one ends before the work
        request = replace(settings, checkpoint=clip, finetuned=finetuned, segmenter=segmenter)
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
