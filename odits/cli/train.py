"""`odits train`: ODITS, trained on the objects and lexicons of a data set."""

from __future__ import annotations

from typing import Annotated

import typer

from odits.cli.common import (
    Checkpoint,
    Data,
    Device,
    Json,
    Ray,
    Segmenter,
    Workers,
    chosen_workers,
    download_progress,
    exit_after,
    find_model,
    load_data,
    print_json,
    print_table,
    say,
)
from odits.cli.options import Out, Restart, Track, View, resumable, run_document, run_options, with_settings
from odits.core.progress import open_reporter
from odits.models.reference import DEFAULT_SEGMENTER, EMBEDDED
from odits.training.settings import OditsSettings


@with_settings(OditsSettings)
def train(
    data: Data = None,
    checkpoint: Checkpoint = EMBEDDED,
    segmenter: Segmenter = DEFAULT_SEGMENTER,
    view: View = "crop",
    read: Annotated[bool, typer.Option("--read", help="Lines that the spotter reads are objects too.")] = False,
    *,
    settings: OditsSettings,
    out: Out = None,
    restart: Restart = False,
    track: Track = "mlflow",
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train ODITS on the training split (thesis, 3.1); resume a run that was interrupted.

    Objects and their embeddings are computed once and stored. A part of the training images chooses the epoch; the
    evaluation images are not used.
    """
    dataset = load_data(data)
    from odits.core.pool import Item
    from odits.models.segmentation.batch import ObjectsRequest, precompute
    from odits.training.odits import make_input_encoder, origin_of, run_folder, train_odits

    with resumable(), open_reporter() as report:
        options = run_options(report, track, restart, dataset.name)
        ref = find_model(checkpoint, report, "clip")
        find_model(segmenter, report, "segmenter")  # a wrong one ends before a model is loaded
        input_encoder = make_input_encoder(ref.reference, segmenter, view, read, device)
        folder = out or run_folder(input_encoder, dataset, settings)
        if workers is not None or ray is not None:  # what can't be read is named by the training itself
            items = [Item(record.name, record.source) for record in dataset.split("train") if record.lexicon]
            progress = report.phase("finding objects", len(items))
            request = ObjectsRequest(segmenter, device=device)
            precompute(items, request, chosen_workers(workers, ray), progress, download_progress(report))
        origin = origin_of(ref.reference, segmenter, input_encoder)
        state = train_odits(input_encoder, dataset, folder, settings, origin, options)
    if as_json:
        print_json(run_document(folder, state))
    else:
        print_table(("epoch", "loss", "held out"), [(x["epoch"], x["total"], x["held_out"]) for x in state.history])
        for one in state.checkpoints:
            say(f"{folder / one['file']}: after epoch {one['epoch']}")
    exit_after(state.problems)
