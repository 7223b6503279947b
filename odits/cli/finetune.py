"""`odits finetune`: a CLIP model, trained further on the lexicons of a data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from odits.cli.common import Checkpoint, Data, Device, Json, load_data, print_json, print_table, say
from odits.core.errors import OditsError
from odits.core.files import cache_home
from odits.core.progress import open_reporter
from odits.training.finetune_config import LOSSES, NAMED_EPOCHS, OPTIMIZERS, PARTS, TEMPERATURES, FinetuneConfig


def _choices(known: dict[str, str]) -> str:
    return "; ".join(f"{name}: {meaning}" for name, meaning in known.items()) + "."


def finetune(
    data: Data = None,
    checkpoint: Checkpoint = "embedded",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs; a run with fewer is gone on with.")] = 40,
    train: Annotated[
        str, typer.Option(help="auto (embedded model: reader, others: full); " + _choices(PARTS))
    ] = "auto",
    loss: Annotated[str, typer.Option(help=_choices(LOSSES))] = "plain",
    batch: Annotated[int, typer.Option(min=2, help="Pairs in a batch, over all processes.")] = 128,
    draws: Annotated[int, typer.Option(min=1, help="Words drawn of each lexicon in an epoch; each is a pass.")] = 1,
    optimizer: Annotated[str, typer.Option(help=_choices(OPTIMIZERS))] = "adam",
    learning_rate: Annotated[float, typer.Option(min=0)] = 5e-5,
    betas: Annotated[tuple[float, float], typer.Option(help="Decay of the gradient's two moments.")] = (0.9, 0.98),
    epsilon: Annotated[float, typer.Option(min=0)] = 1e-6,
    weight_decay: Annotated[float, typer.Option(min=0)] = 0.2,
    temperature: Annotated[str, typer.Option(help=_choices(TEMPERATURES))] = "learned",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same machine: same bytes.")] = 0,
    keep: Annotated[str, typer.Option(help="Epochs whose checkpoint is kept whatever the loss.")] = ",".join(
        map(str, NAMED_EPOCHS)
    ),
    chunk: Annotated[int, typer.Option(min=0, help="Images encoded at a time, for memory; 0: automatic.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. Default: one in ODITS_HOME/checkpoints, named after it.")
    ] = None,
    restart: Annotated[bool, typer.Option(help="Start over, rather than go on with the run in the folder.")] = False,
    track: Annotated[str, typer.Option(help="mlflow[:URI], neptune[:PROJECT] or none.")] = "mlflow",
    evaluate: Annotated[
        str | None, typer.Option(help="Split (eval, train, all) whose metrics are tracked at kept epochs.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Fine-tunes on the training split (thesis, Algorithm 1, Table 2.5); resumes a run that was interrupted.

    On several processes: torchrun --nproc-per-node 2 -m odits finetune ...
    """
    config = FinetuneConfig(
        train, loss, batch, draws, optimizer, learning_rate, *betas, epsilon, weight_decay, temperature,
        seed, epochs, _numbers(keep), chunk,
    )  # fmt: skip
    dataset = load_data(data)
    from odits.models.clip.loading import load_word_model
    from odits.tracking.trackers import make_tracker
    from odits.training.finetune import Listener, finetune
    from odits.training.lexicon_data import data_digest, usable_records
    from odits.training.lineage import code_version, inherited_metadata
    from odits.training.parts import choose_part
    from odits.training.processes import local_device

    tracker = make_tracker(track)
    clip = load_word_model(checkpoint, device)
    clip.model.to(local_device(clip.device))
    origin = {"parent": _plain(checkpoint), **inherited_metadata(checkpoint), "name": clip.name}
    part = choose_part(clip.model, train).name
    key = config.digest(part, clip.checkpoint, data_digest(usable_records(dataset, "train")))
    folder = out or cache_home() / "checkpoints" / f"{_plain(checkpoint).replace('/', '-')}-{part}-{loss}-{key}"
    first = os.environ.get("RANK", "0") == "0"
    with open_reporter(quiet=not first) as report:
        preparing, training = report.phase("preparing images"), report.phase("training", epochs)

        def show(line: dict[str, float]) -> None:
            training(int(line["epoch"]), epochs)

        listener = Listener(
            say if first else lambda _: None,
            show,
            preparing,
        )
        tags = {"code version": code_version(), "data set": dataset.name}
        state = finetune(clip, dataset, folder, config, origin, tracker, tags, evaluate, restart, listener)
    if not first:
        return
    found: dict[str, Any] = {
        "folder": str(folder),
        "tracker": state.tracker,
        "run": state.run,
        "model": clip.name,
        "train": part,
        "resumed_from": state.resumed_from,
        "epochs": state.epoch,
        "start": state.start,
        "history": state.history,
        "checkpoints": [{k: v for k, v in kept.items() if k != "metadata"} for kept in state.checkpoints],
    }
    if as_json:
        print_json(found)
        return
    kept = {one["epoch"]: ", ".join(one["reasons"]) for one in state.checkpoints}
    losses = [(x["epoch"], x["image"], x["text"], x["total"], kept.get(x["epoch"], "")) for x in state.history]
    print_table(("epoch", "image loss", "text loss", "total", "checkpoint"), losses)
    say(f"{len(kept)} checkpoints in {folder}")


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.replace(",", " ").split()}))
    except ValueError:
        raise OditsError(f"'{text}' is not a list of epochs such as 1,2,5.") from None


def _plain(reference: str) -> str:
    """The reference without folders or extension, where it names a file."""
    path = Path(reference.rpartition("@")[2])
    return path.stem if path.suffix else reference
