"""`odits evaluate-crops`: how well a model reads the boxed words of a split."""

from __future__ import annotations

from odits.cli.common import (
    Checkpoint,
    Data,
    Device,
    Json,
    Ray,
    Split,
    Workers,
    chosen_workers,
    download_progress,
    exit_after,
    find_model,
    load_data,
    print_json,
    print_table,
    report_problems,
)
from odits.core.progress import open_reporter
from odits.models.reference import EMBEDDED


def evaluate_crops(
    data: Data = None,
    checkpoint: Checkpoint = EMBEDDED,
    split: Split = "eval",
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show how often the word in a box is a model's first choice among the image's lexicon, and among all words."""
    dataset = load_data(data)
    from odits.core.pool import name_problems
    from odits.evaluation.reading_tasks import score_crops
    from odits.models.registry import load

    with open_reporter() as report:
        ref = find_model(checkpoint, report, "clip")
        model = load(ref, device, download_progress(report), kind="clip")
        records = dataset.split(split)
        phase = report.phase("reading boxes", len(records))
        where = chosen_workers(workers, ray, 0)
        quality = score_crops(model, dataset, split, phase, where, ref.reference, device)
    problems = report_problems(name_problems(records, quality.problems))
    found = {"model": model.name, "checkpoint": model.checkpoint, "split": split, **quality.values}
    if as_json:
        print_json({**found, "problems": problems})
    else:
        print_table(("measure", "value"), found.items(), "Reading boxed words")
    exit_after(problems)
