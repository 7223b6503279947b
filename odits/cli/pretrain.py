"""`odits pretrain`: the embedded model, from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odits.cli.common import say
from odits.core.errors import OditsError
from odits.core.progress import open_reporter


def pretrain(
    out: Annotated[Path, typer.Option(help="Folder of the run: state, log and model; an interrupted run resumes.")],
    words: Annotated[list[Path], typer.Option(help="Word lists, a word a line, common ones first; may be repeated.")],
    fonts: Annotated[list[Path] | None, typer.Option(help="Font folders. Default: the system's.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of 128 words for reading.")] = 4000,
    locator_steps: Annotated[int, typer.Option(min=1, help="Training steps of 8 scenes for finding words.")] = 1500,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that render.")] = 1,
) -> None:
    """Trains the embedded model on words rendered as signs; hours on two cores, resumable at any moment."""
    from odits.training.fonts import FONT_FOLDERS, read_words, usable_fonts
    from odits.training.locate import LocatorConfig, train_locator
    from odits.training.pretrain import PretrainConfig, pretrain
    from odits.training.rendering import SignRenderer
    from odits.training.saving import save_model

    known = read_words(words)
    found = usable_fonts(fonts or FONT_FOLDERS)
    if not found:
        raise OditsError("No usable font: install some, or name a folder of them with --fonts.")
    say(f"{len(known)} words, {len(found)} fonts")
    renderer = SignRenderer(found, known)
    with open_reporter() as report:
        locating, reading = report.phase("locating", locator_steps), report.phase("reading", steps)
        locator = train_locator(
            renderer,
            out,
            LocatorConfig(steps=locator_steps, seed=seed, workers=workers),
            lambda line: locating(int(line["step"]), locator_steps),
        )
        model = pretrain(
            renderer,
            out,
            PretrainConfig(steps=steps, seed=seed, workers=workers),
            lambda line: reading(int(line["step"]), steps),
        )
    model.visual.trunk.locator.load_state_dict(locator.state_dict())
    made = {"words": str(len(known)), "fonts": str(len(found)), "seed": str(seed), "steps": str(steps)}
    save_model(model, out / "model.safetensors", made)
    say(f"wrote {out / 'model.safetensors'}")
