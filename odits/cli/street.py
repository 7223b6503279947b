"""`odits render` and `odits train-street`: scenes with signs, and ODITS Street, which learns from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odits.cli.common import Data, Json, exit_after, load_data, print_json, print_table, say
from odits.cli.options import Restart, Track, resumable, run_document, run_options, with_settings
from odits.core.progress import open_reporter
from odits.training.settings import RenderSettings, StreetSettings


@with_settings(RenderSettings)
def render(
    settings: RenderSettings,
    out: Annotated[Path, typer.Option(help="Folder of the data set; an interrupted run goes on.")],
    fonts: Annotated[list[Path] | None, typer.Option(help="Font folders. Default: the system's.")] = None,
) -> None:
    """Draw street scenes with signs as a data set in SVT's layout; same seed, fonts and words: same bytes."""
    from odits.training.rendering import FONT_FOLDERS
    from odits.training.streets import render as draw

    with open_reporter() as report:
        found = draw(settings, out, fonts or FONT_FOLDERS, report.phase("drawing scenes"))
    say(f"{settings.scenes + settings.held_out} scenes in {out}, {found} fonts")


@with_settings(StreetSettings)
def train_street(
    out: Annotated[Path, typer.Option(help="Folder of the run; an interrupted one resumes.")],
    data: Data = None,
    *,
    settings: StreetSettings,
    restart: Restart = False,
    track: Track = "none",
    as_json: Json = False,
) -> None:
    """Train ODITS Street, the default model, on pictures with boxed words, such as those of `odits render`."""
    dataset = load_data(data)
    from odits.training.street import train_street as train

    with resumable(), open_reporter() as report:
        state = train(dataset, out, settings, run_options(report, track, restart, dataset.name))
    if as_json:
        print_json(run_document(out, state))
    else:
        print_table(("epoch", "loss", "held out"), [(x["epoch"], x["total"], x["held_out"]) for x in state.history])
        for one in state.checkpoints:
            say(f"{out / one['file']}: after epoch {one['epoch']}")
    exit_after(state.problems)
