"""`odits pretrain`: the embedded model, from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odits.cli.common import say
from odits.cli.options import Restart, Track, resumable, run_options, with_settings
from odits.core.errors import OditsError
from odits.core.progress import open_reporter
from odits.training.settings import PretrainSettings


@with_settings(PretrainSettings)
def pretrain(
    settings: PretrainSettings,
    out: Annotated[Path, typer.Option(help="Folder of the runs and of the model; an interrupted run resumes.")],
    words: Annotated[list[Path], typer.Option(help="Word lists, a word a line, common ones first; may be repeated.")],
    fonts: Annotated[list[Path] | None, typer.Option(help="Font folders. Default: the system's.")] = None,
    restart: Restart = False,
    track: Track = "none",
) -> None:
    """Train the embedded model on words rendered as signs; hours on two cores; resumes."""
    from odits.training.pretraining import pretrain as train
    from odits.training.rendering import FONT_FOLDERS, SignRenderer, read_words, usable_fonts

    known = read_words(words)
    found = usable_fonts(fonts or FONT_FOLDERS)
    if not found:
        raise OditsError("No usable font: install some, or name a folder of them with --fonts.")
    say(f"{len(known)} words, {len(found)} fonts")
    with resumable(), open_reporter() as report:
        options = run_options(report, track, restart, "rendered words")
        path = train(SignRenderer(found, known), out, settings, options)
    say(f"wrote {path}")
