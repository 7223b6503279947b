"""`odits calibration`: whether the probabilities beside words are what they say."""

from __future__ import annotations

from odits.cli.common import (
    PICTURE,
    AnyModel,
    Data,
    Device,
    Json,
    PictureWords,
    Ray,
    Split,
    Workers,
    chosen_workers,
    download_progress,
    exit_after,
    find_model,
    load_data,
    load_vocabulary,
    print_json,
    print_table,
    report_problems,
)
from odits.core.errors import OditsError
from odits.core.progress import open_reporter
from odits.models.reference import DEFAULT_MODEL, WORD_MODELS


def calibration(
    data: Data = None,
    checkpoint: AnyModel = DEFAULT_MODEL,
    split: Split = "eval",
    vocabulary: PictureWords = PICTURE,
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Compare the probability shown beside words with how often they are boxed in the picture.

    Pairs of a picture and a word count by what is shown: the top ten from 1 % up, all of the top ten, all from 5 % up,
    and those of the picture's own lexicon (SVT boxes no others, even where they can be read).
    """
    dataset = load_data(data)
    records = dataset.split(split)
    if not any(record.boxed for record in records):
        raise OditsError(f"No {split} image of {dataset.name} has boxed words, which probabilities are compared with.")
    words = load_vocabulary(vocabulary, data)
    from odits.core.pool import name_problems
    from odits.evaluation.calibration import CalibrationRequest, measure_calibration
    from odits.models.registry import load

    with open_reporter() as report:
        ref = find_model(checkpoint, report, *WORD_MODELS)
        model = load(ref, device, download_progress(report))
        request = CalibrationRequest(ref.reference, words, vocabulary == PICTURE, device)
        phase = report.phase("predicting", len(records))
        quality = measure_calibration(model, records, request, phase, chosen_workers(workers, ray, 0))
    problems = report_problems(name_problems(records, quality.problems))
    found = {
        "model": model.name,
        "checkpoint": model.checkpoint,
        "data": dataset.name,
        "split": split,
        **quality.to_document(),
        "problems": problems,
    }
    if as_json:
        print_json(found)
    else:
        rows = [(name, int(one.counts.sum()), f"{100 * one.error:.1f} %") for name, one in quality.reliability.items()]
        print_table(("words", "pairs", "expected calibration error"), rows, f"{model.name} on {dataset.name}")
        shown = quality.reliability["shown"]
        bins = zip(shown.counts.tolist(), shown.predicted.tolist(), shown.observed.tolist(), strict=True)
        shares = [(f"{100 * said:.1f} %", f"{100 * there:.1f} %", count) for count, said, there in bins if count]
        print_table(("shown with", "are there", "pairs"), shares)
    exit_after(problems)
