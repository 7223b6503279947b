"""`odits words`: the most probable words of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    Data,
    Device,
    Json,
    Words,
    download_progress,
    exit_after,
    find_model,
    load_vocabulary,
    open_images,
    print_json,
    print_table,
)
from odits.cli.exporting import Export, Format, Pictures, check_export, write_export
from odits.core.errors import OditsError
from odits.core.progress import open_reporter
from odits.models.reference import DEFAULT_MODEL, EMBEDDED, MODEL_FORMS, WORD_MODELS, Kind

if TYPE_CHECKING:
    from odits.core.pool import Problem
    from odits.data.images import Size
    from odits.data.predictions import WordProbability

FILES = "files"
"""What stands for the name of the data set where images are named one by one."""


def words(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    data: Data = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="clip: the whole image; odits: its objects too; spotting: its text. Default: as --checkpoint says.",
            show_default=False,
        ),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help=f"{MODEL_FORMS}. Default: {DEFAULT_MODEL}.", show_default=False)
    ] = None,
    vocabulary: Words = "svt",
    top: Annotated[int, typer.Option(min=1, help="How many words.")] = 10,
    export: Export = None,
    export_format: Format = None,
    pictures: Pictures = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show which words describe each image best, with their probabilities (thesis, 2.2.1)."""
    kinds, form = _kinds(model), check_export(export, export_format)
    if model == "odits" and checkpoint is None:
        raise OditsError("Name an ODITS checkpoint with --checkpoint; python -m odits train makes one.")
    reference = checkpoint or (EMBEDDED if model == "clip" else DEFAULT_MODEL)
    from odits.models.registry import load

    problems: list[Problem] = []
    opened = open_images(images, problems)
    words = load_vocabulary(vocabulary, data)

    with open_reporter() as report:
        word_model = load(find_model(reference, report, *kinds), device, download_progress(report))
    found: list[dict[str, Any]] = []
    exported: list[tuple[Path, Size, list[WordProbability]]] = []
    for path, image in opened:
        prediction = word_model.predict(image, words)
        exported.append((path, image.size, prediction.top(top)))
        found.append(
            {
                "image": str(path),
                "model": prediction.model,
                "checkpoint": prediction.checkpoint,
                "vocabulary_size": len(words),
                "words": [word._asdict() for word in prediction.top(top)],
            }
        )
    if export and form:
        from odits.data.exports import Predictor, WordsOfImage, relative_names
        from odits.data.word_exports import export_words

        names = relative_names([path for path, _, _ in exported])
        listed = [WordsOfImage(name, size, best) for name, (_, size, best) in zip(names, exported, strict=True)]
        by = Predictor(FILES, word_model.name, word_model.checkpoint, words.digest)
        write_export(export, export_words(listed, by, form, pictures))
    if as_json:
        print_json(found)
    else:
        for entry in found:
            title = f"{entry['image']}: {entry['model']}, checkpoint {entry['checkpoint'][:12]}, {len(words)} words"
            print_table(("word", "probability"), [tuple(word.values()) for word in entry["words"]], title)
    exit_after(problems)


def _kinds(model: str | None) -> tuple[Kind, ...]:
    """Return what `--model` asks for: every word model where it was not given."""
    if model is None:
        return WORD_MODELS
    found = tuple(kind for kind in WORD_MODELS if kind == model)
    if not found:
        raise OditsError(f"There is no word model '{model}'; there is {', '.join(WORD_MODELS)}.")
    return found
