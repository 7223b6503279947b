"""What every command shares: options, JSON, progress."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table

from odits.core.errors import OditsError, StoreError
from odits.core.files import asset
from odits.core.progress import Phase, Progress, Reporter, open_reporter
from odits.core.text import spell_out
from odits.models.reference import (
    CLIP_FORMS,
    MODEL_FORMS,
    ODITS_FORMS,
    SEGMENTER_FORMS,
    Kind,
    ModelRef,
    NotPulledError,
    parse,
)

if TYPE_CHECKING:
    from PIL import Image

    from odits.core.pool import Problem
    from odits.core.pool import Workers as PoolWorkers
    from odits.data import Dataset, ImageRecord, Vocabulary
    from odits.models.segmentation.batch import ObjectsRequest, Precomputed
    from odits.models.segmentation.parameters import SamParameters

_NARROWEST = 8  # characters of a column that may be folded

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder of SVT, of images with lexicons.csv, or of another layout (docs/data.md); or a Parquet or Arrow "
        "file. Default: $ODITS_DATA or data/svt1.",
    ),
]


class ReservedStdout(io.TextIOBase):
    """What stands in the place of `sys.stdout` while that is reserved for a document; what is printed goes to stderr.

    Attributes:
        document: where the document goes.
    """

    def __init__(self, document: TextIO) -> None:
        self.document = document

    def write(self, text: str) -> int:
        """Write to stderr."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Flush stderr."""
        sys.stderr.flush()

    def fileno(self) -> int:
        """Return the descriptor of stderr."""
        return sys.stderr.fileno()


@contextmanager
def reserved_stdout() -> Iterator[None]:
    """Keep stdout for the document of `print_json`: what libraries print in the block, in C too, goes to stderr.

    Where stdout is that of the process, it stays reserved afterwards: some libraries print when the process ends.
    """
    stdout = sys.stdout
    stdout.flush()
    try:
        of_process = stdout.fileno() == 1
    except (OSError, ValueError):  # a notebook's or a test's
        of_process = False
    descriptor = os.dup(1)
    os.dup2(2, 1)
    document = os.fdopen(descriptor, "w", encoding="utf-8") if of_process else stdout
    sys.stdout = ReservedStdout(document)
    try:
        yield
    finally:
        document.flush()
        stdout.flush()  # what was printed to it by those who held it; with the process's descriptor it goes to stderr
        if not of_process:
            sys.stdout = stdout
            os.dup2(descriptor, 1)
            os.close(descriptor)


def _reserve_stdout(context: typer.Context, chosen: bool) -> bool:
    if chosen:
        context.with_resource(reserved_stdout())
    return chosen


Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on stdout and nothing else there.", callback=_reserve_stdout),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Checkpoint = Annotated[str, typer.Option(help=f"A CLIP model: {CLIP_FORMS}.")]
AnyModel = Annotated[str, typer.Option(help=f"A word model: {MODEL_FORMS}.")]
OditsCheckpoint = Annotated[str, typer.Option(help=f"{ODITS_FORMS}; python -m odits train makes one.")]
Segmenter = Annotated[str, typer.Option(help=f"{SEGMENTER_FORMS}.")]
Split = Annotated[str, typer.Option(help="Which images: train, eval or all.")]
GENERAL, PICTURE = "general", "picture"
"""References of vocabularies: the general list; it and the words that are read in each picture."""
_LISTS = "svt (union of the data set's lexicons), general (frequent words and names), a text file, or the words"
Words = Annotated[str, typer.Option(help=f"{_LISTS} themselves, with commas between them.")]
PictureWords = Annotated[
    str,
    typer.Option(
        help=f"The words to choose from: picture (those read in it, and the general list), {_LISTS} themselves, with "
        "commas between them."
    ),
]
SamValues = Annotated[
    list[str] | None,
    typer.Option(
        "--sam",
        help="One of SAM's parameters as NAME=VALUE, such as points_per_side=16; can be repeated.",
        show_default=False,
    ),
]
Texts = Annotated[
    list[str] | None,
    typer.Option(
        "--text",
        help="What SAM 3 is to find, such as: sign. Can be repeated; without it SAM finds everything.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes that work on the images. Default: what keeps the cores busy, this one alone where a model "
        "uses them all.",
        show_default=False,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        help="Address of a Ray cluster that does the work, or local to start one here (requirements-ray.txt).",
        show_default=False,
    ),
]


def chosen_workers(workers: int | None, ray: str | None, default: int | None = None) -> PoolWorkers:
    """Return where images are worked on, by `--workers` and `--ray`.

    Args:
        workers: processes, or actors of the cluster.
        ray: the cluster.
        default: processes where neither is given; 0 is this one, None as many as the cores bear.
    """
    from odits.core.pool import Workers

    return Workers(default if workers is None and ray is None else workers, ray)


def report_problems(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """Name images that could not be used on stderr, and return them for a JSON document."""
    found = [problem._asdict() for problem in problems]
    for problem in found:
        say(f"Left out: {problem['problem']}")
    return found


def open_images(paths: Sequence[Path], problems: list[Problem]) -> Iterator[tuple[Path, Image.Image]]:
    """Open images one after the other; the first is opened at once, so that a mistake shows before a model is loaded.

    Args:
        paths: image files.
        problems: gets the files that can't be read, each named on stderr.

    Raises:
        OditsError: the only image can't be read.
    """
    from odits.core.pool import Problem
    from odits.data.images import ImageError, image_facts, open_image

    def opened() -> Iterator[tuple[Path, Image.Image]]:
        for path in paths:
            try:
                image = open_image(path)
                if image_facts(path).several:
                    say(f"{path} holds several frames or pages; the first is used.")
                yield path, image
            except ImageError as error:
                if len(paths) == 1:
                    raise
                problems.append(Problem(str(path), str(error)))
                report_problems(problems[-1:])

    images = opened()
    first = list(islice(images, 1))
    return chain(first, images)


def exit_after(problems: Sequence[Any]) -> None:
    """End the command with exit status 1 where images could not be used: the results are those of the others."""
    if problems:
        raise typer.Exit(1)


def find_model(reference: str, report: Reporter, *kinds: Kind) -> ModelRef:
    """Parse the reference of a model; a checkpoint that lies in the default store is brought here first.

    A reference that can stand for another checkpoint tomorrow, such as models:/NAME@ALIAS, is asked for each time.

    Args:
        reference: as the user gave it.
        report: shows the download.
        kinds: what is wanted; every kind by default.

    Raises:
        OditsError: it stands for nothing, for another kind of model, or the store doesn't have it.
    """
    from odits.models.pulled import may_move, recall, remember

    here: ModelRef | None = None
    with suppress(NotPulledError):
        here = parse(reference, *kinds)
        announce_download(here)
        if not may_move(reference):
            return here
    from odits.tracking.pulling import is_here, local_path, pull
    from odits.tracking.sources import open_store

    last = recall(reference)
    store = open_store(last.source if last else "mlflow")
    try:
        checkpoint = store.find(reference)
        path = local_path(checkpoint)
        if not is_here(checkpoint):
            path = pull(store, checkpoint, report.phase(f"bringing {checkpoint.name} here", unit="bytes"))
    except StoreError as error:
        if here is None:
            raise
        say(f"{error} What '{reference}' stood for when it was pulled last is used.")
        return here
    remember(reference, store.source, path)
    return parse(path, *kinds)


def announce_download(ref: ModelRef) -> None:
    """Say how large the download of a segmenter's published weights will be, where they are not here."""
    if ref.is_sam and not ref.ready:
        size = f"{ref.megabytes:,} MB" if ref.megabytes else "as much as the hub says"
        say(f"The weights of {ref.name} are not on this machine: {size} will be downloaded, once.")


def sam_parameters(
    values: Sequence[str] | None, segmenter: str, texts: Sequence[str] | None = None
) -> SamParameters | None:
    """Read the parameters that `--sam` and `--text` set; None where neither was given.

    Raises:
        OditsError: an unknown name, a value that it cannot have, or a segmenter that has no such parameters.
    """
    from odits.models.segmentation.parameters import read_parameters

    if not values and not texts:
        return None
    ref = parse(segmenter, "segmenter")
    if not ref.is_sam:
        option = "--sam sets parameters of SAM: choose a SAM" if values else "--text is for SAM 3: choose sam3"
        raise OditsError(f"{option} with --segmenter.")
    if texts and ref.family != "sam3":
        raise OditsError(f"--text is for SAM 3: {ref.name} takes no text.")
    return read_parameters([*(values or ()), *([f"text={', '.join(texts)}"] if texts else [])], ref.family)


def precompute_shown(
    images: Sequence[ImageRecord],
    request: ObjectsRequest,
    workers: int | None = None,
    ray: str | None = None,
    must_store: bool = True,
) -> tuple[Precomputed, list[dict[str, str]]]:
    """Find and store the objects of images, showing how far it is; name those that can't be read, and return them."""
    from odits.core.pool import Item, name_problems
    from odits.models.segmentation.batch import precompute

    what = "looking for objects" if request.kind == "objects" else "collecting SAM's masks"
    items = [Item(image.name, image.source) for image in images]
    announce_download(parse(request.reference, "segmenter"))
    with open_reporter() as report:
        phase = report.phase(what, len(images))
        where = chosen_workers(workers, ray)
        done = precompute(items, request, where, phase, download_progress(report), must_store)
    return done, report_problems(name_problems(items, done.problems))


def load_data(folder: Path | None) -> Dataset:
    """Read the data set of `--data` or $ODITS_DATA; its warnings go to stderr.

    Raises:
        OditsError: there is none.
    """
    from odits.data import find_data_folder, read_dataset  # numpy and Pillow come with it

    found = find_data_folder(folder)
    if found is None:
        raise OditsError("No data set: name its folder with --data or in ODITS_DATA.")
    dataset = read_dataset(found)
    for warning in dataset.warnings:
        say(warning)
    return dataset


def load_vocabulary(reference: str, data: Path | None) -> Vocabulary:
    """Read the vocabulary "svt" (union of the data set's lexicons), the general list, a text file, or the words given.

    Where no data set is named, "svt" stands for the words of the demo images.

    Args:
        reference: "svt", "general", "picture" (the general list, as its words of lists), a file, or words with commas
            between them.
        data: the data set's folder.

    Raises:
        OditsError: there is no such file, or no word.
    """
    from odits.data import Vocabulary, find_data_folder, read_dataset

    if reference in (GENERAL, PICTURE):
        from odits.data.general_words import general_vocabulary

        return general_vocabulary()
    if reference != "svt":
        if set(reference) & set(",\n") and not os.path.lexists(reference):
            return Vocabulary.from_text(reference, "words given")
        return Vocabulary.from_file(Path(reference))
    if find_data_folder(data) is None:
        say("No data set is named (--data or ODITS_DATA): the words to choose from are those of the demo images.")
        return read_dataset(asset("demo")).vocabulary()
    return load_data(data).vocabulary()


def vocabulary_for(dataset: Dataset, reference: str) -> Vocabulary:
    """Return the words to choose from for a data set that is read already; the references are `load_vocabulary`'s.

    Raises:
        OditsError: there is no such file, or no word.
    """
    return dataset.vocabulary() if reference == "svt" else load_vocabulary(reference, None)


def say(message: str) -> None:
    """Write a line for people, on stderr."""
    sys.stderr.write(harmless(message) + "\n")


def harmless(text: str) -> str:
    r"""Return a text without characters that a terminal would obey: names from outside may hold any.

    Example:
        >>> harmless("loss\x1b[2J")
        'loss\\x1b[2J'
    """
    return spell_out(text, keep="\t\n")


def print_json(document: Any) -> None:
    """Write one JSON document to stdout, which `--json` has reserved for it."""
    stream = sys.stdout.document if isinstance(sys.stdout, ReservedStdout) else sys.stdout
    stream.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
    stream.flush()


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None, whole: Sequence[str] = ()
) -> None:
    """Write a table for people to stdout: numbers to the right, text to the left.

    Args:
        columns: their headings.
        rows: with a cell for each column.
        title: stands above the table.
        whole: columns whose cells stay in one piece to be copied, however narrow the terminal is.
    """
    cells = [list(row) for row in rows]
    texts = [[f"{cell:.4g}" if isinstance(cell, float) else harmless(str(cell)) for cell in row] for row in cells]
    table = Table()
    narrowest = 1
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in cells)
        width = max(cell_len(text) for text in (column, *(row[index] for row in texts)))
        least = width if column in whole else min(width, _NARROWEST)
        justify: JustifyMethod = "right" if numeric else "left"
        table.add_column(column, justify=justify, overflow="fold", min_width=least, no_wrap=column in whole)
        narrowest += least + 3  # with a line and two spaces
    for row in texts:
        table.add_row(*row)
    console = Console(markup=False, emoji=False)
    console = console if console.width >= narrowest else Console(markup=False, emoji=False, width=narrowest)
    if title:
        console.print(harmless(title), style="italic", soft_wrap=True)  # in one piece: it may be a store's reference
    console.print(table)


def download_progress(report: Reporter, name: str = "downloading weights") -> Progress:
    """Return a `Progress` in bytes that begins its phase with the first byte: most models are here already."""
    phases: list[Phase] = []

    def show(done: int, of: int) -> None:
        if not phases:
            phases.append(report.phase(name, of, "bytes"))
        phases[0](done, of)

    return show
