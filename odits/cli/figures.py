"""`--figure FILE`: what a command found as a figure, drawn without a browser."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from odits.cli.common import say
from odits.core.errors import OditsError
from odits.core.files import require_folder, write_atomically

if TYPE_CHECKING:
    from odits.figures.static import Draw

FigureFile = Annotated[
    Path | None,
    typer.Option(help="Draw what was found into this .svg, .pdf or .png (twice as large), fonts embedded."),
]
FigureTheme = Annotated[str, typer.Option(help="Colours of --figure: light or dark.")]


MOST_DRAWN = 32
"""Images that one figure shows; Matplotlib draws no larger ones as pixels."""


def check_figure(path: Path | None, theme: str, images: int = 1) -> None:
    """Raise before the work where a figure can't be written afterwards.

    Args:
        path: of the file.
        theme: its colours.
        images: how many it is to show.

    Raises:
        OditsError: its name says no format, its folder is missing, no such theme is there, or it shows too many images.
    """
    if path is None:
        return
    if images > MOST_DRAWN:
        raise OditsError(f"--figure shows at most {MOST_DRAWN} images, not {images:,}.")
    from odits.figures.static import format_of, theme_of

    format_of(path)
    theme_of(theme)
    require_folder(path)


def write_figure(path: Path | None, draw: Draw, theme: str, texts: Iterable[str] = ()) -> None:
    """Draw a figure into a file, and say which letters no font has; nothing where none was asked for.

    Args:
        path: of the file.
        draw: draws the figure in a theme.
        theme: its name.
        texts: what is written in it that comes from outside.

    Raises:
        OditsError: the disk is full, or writing is not allowed.
    """
    if path is None:
        return
    from odits.figures.static import format_of, missing_sentence, save

    write_atomically(path, save(draw, format_of(path), theme))
    missing = missing_sentence(texts)
    if missing:
        say(missing)
