"""`odits finetune`: a CLIP model, trained further on the lexicons of a data set."""

from __future__ import annotations

from typing import Annotated

import typer

from odits.cli.common import (
    Checkpoint,
    Data,
    Device,
    Json,
    download_progress,
    exit_after,
    find_model,
    load_data,
    print_json,
    print_table,
    say,
)
from odits.cli.options import Out, Restart, Track, is_first_process, resumable, run_document, run_options, with_settings
from odits.core.progress import open_reporter
from odits.models.reference import EMBEDDED
from odits.training.settings import FinetuneSettings


@with_settings(FinetuneSettings)
def finetune(
    data: Data = None,
    checkpoint: Checkpoint = EMBEDDED,
    *,
    settings: FinetuneSettings,
    out: Out = None,
    restart: Restart = False,
    track: Track = "mlflow",
    evaluate: Annotated[
        str | None, typer.Option(help="Split (eval, train, all) whose metrics are tracked at the epochs of --keep.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Fine-tune on the training split (thesis, Algorithm 1, Table 2.5); resume a run that was interrupted.

    On several processes: torchrun --nproc-per-node 2 -m odits finetune ...
    """
    dataset = load_data(data)
    from odits.models.registry import load
    from odits.training.clip_parts import choose_part
    from odits.training.finetune import finetune as train
    from odits.training.finetune import finetune_folder
    from odits.training.machine import local_device
    from odits.training.saving import inherited_metadata

    first = is_first_process()
    with resumable(), open_reporter(quiet=not first) as report:
        options = run_options(report, track, restart, dataset.name)
        ref = find_model(checkpoint, report, "clip")
        clip = load(ref, device, download_progress(report), kind="clip")
        clip.model.to(local_device(clip.device))
        origin = {"parent": ref.stem, **inherited_metadata(ref), "name": clip.name}
        folder = out or finetune_folder(clip, ref.stem, dataset, settings)
        state = train(clip, dataset, folder, settings, origin, options, evaluate)
    if not first:
        return
    part = choose_part(clip.model, settings.train).name
    found = {**run_document(folder, state), "model": clip.name, "train": part}
    if as_json:
        print_json(found)
    else:
        saved = {one["epoch"]: ", ".join(one["reasons"]) for one in state.checkpoints}
        losses = [(x["epoch"], x["image"], x["text"], x["total"], saved.get(x["epoch"], "")) for x in state.history]
        print_table(("epoch", "image loss", "text loss", "total", "checkpoint"), losses)
        say(f"{len(saved)} checkpoints in {folder}")
    exit_after(state.problems)
