"""What every command shares: options, JSON, progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer
from rich.console import Console
from rich.table import Table

from odits.core.errors import OditsError
from odits.core.progress import Phase, Progress, Reporter, open_reporter
from odits.data import Dataset, Vocabulary, find_data_folder, read_dataset

if TYPE_CHECKING:
    from odits.models.segmentation.parameters import SamParameters
    from odits.models.segmentation.precompute import Precomputed, Wanted

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder with train.xml, test.xml and img/ (SVT) or lexicons.csv. Default: $ODITS_DATA."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Checkpoint = Annotated[
    str, typer.Option(help="embedded, an open_clip model such as ViT-B-32/openai, or a safetensors file.")
]
AnyModel = Annotated[
    str,
    typer.Option(
        help="embedded, an open_clip model such as ViT-B-32/openai, a safetensors file, or spotting (it reads)."
    ),
]

Segmenter = Annotated[str, typer.Option(help="embedded, sam:vit_b, sam:vit_l, sam:vit_h, or sam:FILE.")]
SamValues = Annotated[
    list[str] | None,
    typer.Option(
        "--sam",
        help="One of SAM's parameters as NAME=VALUE, such as points_per_side=16; can be repeated.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processes that look for objects. Default: as many as the cores bear.", show_default=False
    ),
]


class NamedFile(Protocol):
    """An image in a file."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def path(self) -> Path:
        """Where it is."""
        ...


def sam_parameters(values: Sequence[str] | None, segmenter: str) -> SamParameters | None:
    """The parameters that `--sam` sets; None where it was not given.

    Raises:
        OditsError: an unknown name, a value that it cannot have, or a segmenter that is not SAM.
    """
    from odits.models.segmentation.parameters import read_parameters

    if not values:
        return None
    if not segmenter.startswith("sam"):
        raise OditsError("--sam sets parameters of SAM: choose a SAM with --segmenter.")
    return read_parameters(values)


def precompute_shown(
    images: Sequence[NamedFile], wanted: Wanted, workers: int | None = None, ray: str | None = None
) -> Precomputed:
    """`odits.models.segmentation.precompute.precompute` with a progress bar; images that can't be read are named on
    stderr.
    """
    from odits.models.segmentation.precompute import precompute

    what = "looking for objects" if wanted.kind == "objects" else "collecting SAM's masks"
    with open_reporter() as report:
        done = precompute(
            [(item.name, item.path) for item in images],
            wanted,
            workers,
            report.phase(what, len(images)),
            ray,
            download_progress(report),
        )
    for place in sorted(done.problems):
        say(f"Left out: {done.problems[place]}")
    return done


def load_data(folder: Path | None) -> Dataset:
    """The data set of `--data` or $ODITS_DATA; its warnings go to stderr.

    Raises:
        OditsError: there is none.
    """
    found = find_data_folder(folder)
    if found is None:
        raise OditsError("No data set: name its folder with --data or in ODITS_DATA.")
    dataset = read_dataset(found)
    for warning in dataset.warnings:
        say(warning)
    return dataset


def load_vocabulary(reference: str, data: Path | None) -> Vocabulary:
    """The vocabulary "svt" (union of the data set's lexicons), or that of a text file."""
    return load_data(data).vocabulary() if reference == "svt" else Vocabulary.from_file(Path(reference))


def say(message: str) -> None:
    """A line for people, on stderr."""
    sys.stderr.write(message + "\n")


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """A table for people on stdout: numbers to the right, text to the left."""
    table = Table(title=title, title_justify="left")
    kept = [list(row) for row in rows]
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in kept)
        table.add_column(column, justify="right" if numeric else "left")
    for row in kept:
        table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console().print(table)


def download_progress(report: Reporter, name: str = "downloading weights") -> Progress:
    """Return a `Progress` in bytes that begins its phase with the first byte: most models are here already."""
    phases: list[Phase] = []

    def show(done: int, of: int) -> None:
        if not phases:
            phases.append(report.phase(name, of, "bytes"))
        phases[0](done, of)

    return show
