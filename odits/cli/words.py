"""`odits words`: the most probable words of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from odits.cli.common import Checkpoint, Data, Device, Json, download_progress, load_vocabulary, print_json, print_table
from odits.core.errors import OditsError
from odits.core.progress import open_reporter

MODELS = ("clip", "odits", "spotting")


def words(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    data: Data = None,
    model: Annotated[
        str, typer.Option(help="clip: sees; odits: sees objects too; spotting: reads what is written.")
    ] = "clip",
    checkpoint: Checkpoint = "embedded",
    vocabulary: Annotated[str, typer.Option(help="svt (union of the lexicons) or a text file of words.")] = "svt",
    top: Annotated[int, typer.Option(min=1, help="How many words.")] = 10,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Which words describe each image best, with their probabilities (thesis, 2.2.1)."""
    if model not in MODELS:
        raise OditsError(f"There is no word model '{model}'; there is {', '.join(MODELS)}.")
    from odits.models.registry import SPOTTING, is_odits, load_any

    if model == "odits" and not is_odits(checkpoint):
        raise OditsError("Name an ODITS checkpoint with --checkpoint; python -m odits train makes one.")
    from odits.data.images import open_image

    opened = [open_image(path) for path in images]  # a broken file is told before a model is loaded
    asked = load_vocabulary(vocabulary, data)

    with open_reporter() as report:
        speaker = load_any(SPOTTING if model == "spotting" else checkpoint, device, download_progress(report))
    found: list[dict[str, Any]] = []
    for path, image in zip(images, opened, strict=True):
        prediction = speaker.predict(image, asked)
        found.append(
            {
                "image": str(path),
                "model": prediction.model,
                "checkpoint": prediction.checkpoint,
                "vocabulary_size": len(asked),
                "words": [word._asdict() for word in prediction.top(top)],
            }
        )
    if as_json:
        print_json(found)
        return
    for entry in found:
        title = f"{entry['image']}: {entry['model']}, checkpoint {entry['checkpoint'][:12]}, {len(asked)} words"
        print_table(("word", "probability"), [tuple(word.values()) for word in entry["words"]], title)
