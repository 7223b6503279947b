"""What every command shares: options, JSON, progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from odits.core.errors import OditsError
from odits.data import Dataset, Vocabulary, find_data_folder, read_dataset

if TYPE_CHECKING:
    from odits.models.segmentation.parameters import SamParameters
    from odits.models.segmentation.precompute import Precomputed, Wanted

Item = TypeVar("Item")

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
    with progress_bar() as bar:
        weights = bar.add_task("downloading weights", total=None, visible=False)
        task = bar.add_task(what, total=len(images))
        done = precompute(
            [(item.name, item.path) for item in images],
            wanted,
            workers,
            lambda done, of: bar.update(task, completed=done, total=of),
            ray,
            lambda here, of: bar.update(weights, completed=here, total=of, visible=True),
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


def track(items: Sequence[Item], description: str) -> Iterator[Item]:
    """The items one by one, with a progress bar on stderr."""
    with progress_bar() as bar:
        yield from bar.track(items, description=description)


def progress_bar() -> Progress:
    """A progress bar on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
