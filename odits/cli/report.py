"""`odits report`: evaluated checkpoints, their differences and chosen pictures as one HTML file or PDF."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from odits.cli.common import (
    Data,
    Device,
    Json,
    Ray,
    Split,
    Words,
    Workers,
    chosen_workers,
    exit_after,
    load_data,
    print_json,
    report_problems,
    say,
    vocabulary_for,
)
from odits.cli.evaluations import evaluated
from odits.core.files import require_folder, write_atomically
from odits.models.reference import MODEL_FORMS


def report(
    checkpoints: Annotated[
        list[str], typer.Argument(help=f"The first and those compared with it: {MODEL_FORMS}.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The file: .html or .pdf.", show_default=False)],
    data: Data = None,
    split: Split = "eval",
    vocabulary: Words = "svt",
    picture: Annotated[
        list[str] | None,
        typer.Option(help="A picture to show; several times. Default: those that make most of the difference."),
    ] = None,
    theme: Annotated[str, typer.Option(help="Colours of a PDF: light or dark.")] = "light",
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Write a report that stands alone: pictures, tables, figures, settings, digests, and the command to make it again.

    Evaluations are stored: what was evaluated before is not computed again.
    """
    from odits import __version__
    from odits.figures.report import make_report, report_format
    from odits.figures.report_files import report_html, report_pdf
    from odits.figures.static import missing_sentence, theme_of

    form = report_format(out)
    theme_of(theme)
    require_folder(out)
    dataset = load_data(data)
    words = vocabulary_for(dataset, vocabulary)
    stored = evaluated(checkpoints, dataset, split, words, chosen_workers(workers, ray, 0), device)
    made = make_report(stored, dataset, shlex.join(["odits", *sys.argv[1:]]), picture or (), __version__)
    write_atomically(out, report_html(made) if form == "html" else report_pdf(made, theme))
    missing = missing_sentence(made.texts()) if form == "pdf" else ""
    if missing:
        say(missing)
    problems = report_problems(stored[0].problems)
    if as_json:
        print_json({"file": str(out), "pictures": [slide.title for slide in made.slides], "problems": problems})
    else:
        say(f"{out}: {len(made.tables)} tables, {len(made.drawings)} figures, {len(made.slides)} pictures.")
    exit_after(problems)
