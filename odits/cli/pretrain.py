"""`odits pretrain`: the embedded model, from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odits.cli.common import progress_bar, say
from odits.errors import OditsError


def pretrain(
    out: Annotated[Path, typer.Option(help="Folder of the run: state, log and model; an interrupted run resumes.")],
    words: Annotated[list[Path], typer.Option(help="Word lists, a word a line, common ones first; may be repeated.")],
    fonts: Annotated[list[Path] | None, typer.Option(help="Font folders. Default: the system's.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps of 128 words.")] = 4000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that render.")] = 1,
) -> None:
    """Trains the embedded model on words rendered as signs; hours on two cores, resumable at any moment."""
    from odits.training.pretrain import PretrainConfig, pretrain, save_model
    from odits.training.rendering import FONT_FOLDERS, SignRenderer, read_words, usable_fonts

    known = read_words(words)
    found = usable_fonts(fonts or FONT_FOLDERS)
    if not found:
        raise OditsError("No usable font: install some, or name a folder of them with --fonts.")
    say(f"{len(known)} words, {len(found)} fonts")
    config = PretrainConfig(steps=steps, seed=seed, workers=workers)
    with progress_bar() as bar:
        task = bar.add_task("training", total=steps)

        def report(line: dict[str, float]) -> None:
            bar.update(task, completed=line["step"], description=f"loss {line['contrast']:.3f}")

        model = pretrain(SignRenderer(found, known), out, config, report)
    made = {"words": str(len(known)), "fonts": str(len(found)), "seed": str(seed), "steps": str(steps)}
    save_model(model, out / "model.safetensors", made)
    say(f"wrote {out / 'model.safetensors'}")
