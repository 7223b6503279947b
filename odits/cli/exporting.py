"""What the commands that write files for other tools share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from odits.cli.common import say

if TYPE_CHECKING:
    from odits.data.exports import Files

Export = Annotated[
    Path | None,
    typer.Option(
        help="Write the results for another tool to this file: .json (Label Studio), .xml (CVAT), .csv or .parquet. "
        "Pictures are referred to, not copied.",
        show_default=False,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="The format of --export, where its ending doesn't tell: label-studio, cvat, csv or parquet.",
        show_default=False,
    ),
]
Shape = Annotated[
    str, typer.Option(help="How --export draws an object in Label Studio and CVAT: polygon, mask or box.")
]
Pictures = Annotated[
    str | None,
    typer.Option(
        help="What stands before a picture's name in --export: an address or a folder. Default: none; for Label Studio "
        "its local files.",
        show_default=False,
    ),
]


def check_export(export: Path | None, named: str | None, allowed: tuple[str, ...] | None = None) -> str | None:
    """Return the format of the file to write, None where there is none; a mistake ends the command before its work.

    Args:
        export: as `--export` names it.
        named: as `--format` names it.
        allowed: formats that there are here; default: those of every command.

    Raises:
        OditsError: no such format, or the file's folder is missing.
    """
    if export is None:
        return None
    from odits.core.files import require_folder
    from odits.data.exports import ENDINGS, format_of

    require_folder(export)
    return format_of(export, named, allowed or tuple(ENDINGS))


def write_export(export: Path, files: Files) -> None:
    """Write the files, and say which."""
    from odits.data.exports import write_files

    for written in write_files(export, files):
        say(f"wrote {written}")
