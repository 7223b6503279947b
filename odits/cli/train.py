"""`odits train`: ODITS, trained on the objects and lexicons of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    Checkpoint,
    Data,
    Device,
    Json,
    Segmenter,
    load_data,
    print_json,
    print_table,
    say,
)
from odits.core.files import cache_home
from odits.core.progress import open_reporter
from odits.models.fusion.initializers import INITIALIZERS
from odits.models.fusion.random_streams import GENERATORS
from odits.models.fusion.settings import OBJECT_VIEWS
from odits.training.odits_config import ABLATIONS, CLIP_PARTS, OBJECTS, OditsTraining

if TYPE_CHECKING:
    from odits.training.finetune import Listener

DEFAULT = OditsTraining()


def _choices(known: dict[str, str]) -> str:
    return "; ".join(f"{name}: {meaning}" for name, meaning in known.items()) + "."


def train(
    data: Data = None,
    checkpoint: Checkpoint = "embedded",
    segmenter: Segmenter = "embedded",
    view: Annotated[str, typer.Option(help="How CLIP sees an object. " + _choices(OBJECT_VIEWS))] = "crop",
    read: Annotated[bool, typer.Option("--read", help="Lines that the spotter reads are objects too.")] = False,
    without: Annotated[list[str] | None, typer.Option(help="A part to leave out. " + _choices(ABLATIONS))] = None,
    objects: Annotated[str, typer.Option(help=_choices(OBJECTS))] = DEFAULT.objects,
    initializer: Annotated[str, typer.Option(help=_choices(INITIALIZERS))] = DEFAULT.initializer,
    generator: Annotated[str, typer.Option(help=_choices(GENERATORS))] = DEFAULT.generator,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same machine: same bytes.")] = DEFAULT.seed,
    epochs: Annotated[
        int, typer.Option(min=1, help="At most so many; a run with fewer is gone on with.")
    ] = DEFAULT.epochs,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a lower held-out loss before it stops.")
    ] = DEFAULT.patience,
    batch: Annotated[int, typer.Option(min=1, help="Images in a batch.")] = DEFAULT.batch,
    learning_rate: Annotated[float, typer.Option(min=0, help="Of matrices.")] = DEFAULT.learning_rate,
    gate_rate: Annotated[
        float, typer.Option(min=0, help="Of gates, learned frequencies and the like.")
    ] = DEFAULT.gate_rate,
    weight_decay: Annotated[float, typer.Option(min=0)] = DEFAULT.weight_decay,
    held_out: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the training images that choose the epoch.")
    ] = DEFAULT.held_out,
    object_dropout: Annotated[float, typer.Option(min=0, max=1)] = DEFAULT.object_dropout,
    imbalance: Annotated[
        float, typer.Option(help="Words weigh (lexicons that hold them) ^ -imbalance.")
    ] = DEFAULT.imbalance,
    negatives: Annotated[
        int, typer.Option(min=0, help="False words drawn for each batch; 0: all.")
    ] = DEFAULT.negatives,
    averaging: Annotated[
        float, typer.Option(min=0, max=1, help="Decay of the weights' moving average.")
    ] = DEFAULT.averaging,
    clip: Annotated[str, typer.Option(help=_choices(CLIP_PARTS))] = DEFAULT.clip,
    clip_rate: Annotated[float, typer.Option(min=0, help="Learning rate of CLIP's weights.")] = DEFAULT.clip_rate,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. Default: one in ODITS_HOME/checkpoints.")] = None,
    restart: Annotated[bool, typer.Option(help="Start over, rather than go on with the run in the folder.")] = False,
    track: Annotated[str, typer.Option(help="mlflow[:URI], neptune[:PROJECT] or none.")] = "mlflow",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Trains ODITS on the training split (thesis, 3.1); resumes a run that was interrupted.

    Objects and their embeddings are computed once and kept. A part of the training images chooses the epoch; the
    evaluation images are not looked at.
    """
    config = OditsTraining(
        tuple(without or ()), objects, initializer, generator, seed, epochs, patience, batch, learning_rate, gate_rate,
        weight_decay, held_out, object_dropout, imbalance, negatives, averaging, clip, clip_rate,
    )  # fmt: skip
    dataset = load_data(data)
    from odits.tracking.sources import make_tracker
    from odits.training.lineage import code_version
    from odits.training.odits_runs import make_input_encoder, origin_of, run_folder
    from odits.training.train_odits import train_odits

    tracker = make_tracker(track)
    input_encoder = make_input_encoder(checkpoint, segmenter, view, read, device)
    folder = out or run_folder(cache_home() / "checkpoints", input_encoder, dataset, config)
    with open_reporter() as bar:
        state = train_odits(
            input_encoder,
            dataset,
            folder,
            config,
            origin_of(checkpoint, segmenter, input_encoder),
            tracker,
            {"code version": code_version(), "data set": dataset.name},
            restart,
            _listener(bar, epochs),
        )
    found: dict[str, Any] = {
        "folder": str(folder),
        "run": state.run,
        "resumed_from": state.resumed_from,
        "epochs": state.epoch,
        "start": state.start,
        "history": state.history,
        "checkpoints": [{k: v for k, v in kept.items() if k != "metadata"} for kept in state.checkpoints],
    }
    if as_json:
        print_json(found)
        return
    print_table(("epoch", "loss", "held out"), [(x["epoch"], x["total"], x["held_out"]) for x in state.history])
    for kept in state.checkpoints:
        say(f"{folder / kept['file']}: after epoch {kept['epoch']}")


def _listener(bar: Any, epochs: int) -> Listener:
    from odits.training.finetune import Listener

    training = bar.phase("training", epochs)

    def show(line: dict[str, float]) -> None:
        training(int(line["epoch"]), epochs)

    return Listener(say, show, bar.phase("objects"))
