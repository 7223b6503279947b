"""`odits words`: the most probable words of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    PICTURE,
    Data,
    Device,
    Json,
    PictureWords,
    download_progress,
    exit_after,
    find_model,
    load_vocabulary,
    open_images,
    print_json,
    print_table,
    say,
)
from odits.cli.exporting import Export, Format, Pictures, check_export, write_export
from odits.cli.figures import FigureFile, FigureTheme, check_figure, write_figure
from odits.core.errors import OditsError
from odits.core.percent import percents
from odits.core.progress import open_reporter
from odits.models.reference import DEFAULT_MODEL, EMBEDDED, MODEL_FORMS, SPOTTING, WORD_MODELS, Kind

if TYPE_CHECKING:
    from odits.core.pool import Problem
    from odits.data.images import Size
    from odits.data.predictions import WordModel, WordProbability
    from odits.data.vocabulary import Vocabulary
    from odits.models.reading.read_words import PictureVocabularies

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
    vocabulary: PictureWords = PICTURE,
    top: Annotated[int, typer.Option(min=1, help="How many words.")] = 10,
    export: Export = None,
    export_format: Format = None,
    pictures: Pictures = None,
    figure: FigureFile = None,
    figure_theme: FigureTheme = "light",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show which words describe each image best, with their probabilities (thesis, 2.2.1)."""
    kinds, form = _kinds(model), check_export(export, export_format)
    check_figure(figure, figure_theme, len(images))
    reference = checkpoint or {"clip": EMBEDDED, "spotting": SPOTTING}.get(model or "", DEFAULT_MODEL)
    from odits.models.registry import load

    problems: list[Problem] = []
    opened = open_images(images, problems)
    words = load_vocabulary(vocabulary, data)

    with open_reporter() as report:
        word_model = load(find_model(reference, report, *kinds), device, download_progress(report))
    with_read = _picture_vocabularies(word_model, words) if vocabulary == PICTURE else None
    found: list[dict[str, Any]] = []
    empty: set[str] = set()
    exported: list[tuple[Path, Size, list[WordProbability]]] = []
    for path, image in opened:
        prediction = word_model.predict(image, with_read.of(image) if with_read else words)
        extra = set(prediction.vocabulary.extra)
        empty |= {str(path)} if prediction.is_empty else set()
        exported.append((path, image.size, prediction.top(top)))
        found.append(
            {
                "image": str(path),
                "model": prediction.model,
                "checkpoint": prediction.checkpoint,
                **({"engine": prediction.engine} if prediction.engine else {}),
                "vocabulary_size": len(prediction.vocabulary),
                "none": prediction.none,
                "readable": not prediction.is_empty,
                "words": [word._asdict() | {"in_list": word.word not in extra} for word in prediction.top(top)],
            }
        )
    if export and form:
        from odits.data.exports import Predictor, WordsOfImage, relative_names
        from odits.data.word_exports import export_words

        names = relative_names([path for path, _, _ in exported])
        listed = [WordsOfImage(name, size, best) for name, (_, size, best) in zip(names, exported, strict=True)]
        by = Predictor(FILES, word_model.name, word_model.checkpoint, words.digest)
        write_export(export, export_words(listed, by, form, pictures))
    if figure is not None:
        _draw(figure, figure_theme, found)
    if as_json:
        print_json(found)
    else:
        for entry in found:
            size = entry["vocabulary_size"]
            about = f"checkpoint {entry['checkpoint'][:12]}, {size:,} word{'' if size == 1 else 's'}"
            title = f"{entry['image']}: {entry['model']}, {about}"
            if entry["image"] in empty:
                say(f"{title}: none of these words is in the picture.")
            else:
                print_table(*_table(entry["words"]), title)
    exit_after(problems)


def _draw(figure: Path, theme: str, found: list[dict[str, Any]]) -> None:
    """Draw the words of the images below each other."""
    from odits.data.predictions import WordProbability
    from odits.figures.static_words import WordBars, words_figure

    bars = [
        WordBars(
            f"{Path(entry['image']).name}: {entry['model']}",
            [WordProbability(word["word"], word["probability"]) for word in entry["words"]],
            read=[word["word"] for word in entry["words"] if not word["in_list"]],
        )
        for entry in found
    ]
    if bars:
        write_figure(figure, lambda at: words_figure(bars, at), theme, [text for one in bars for text in one.texts()])


def _picture_vocabularies(model: WordModel, base: Vocabulary) -> PictureVocabularies:
    from odits.models.reading.read_words import PictureVocabularies

    return PictureVocabularies(model, base)


def _table(words: list[dict[str, Any]]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Return columns and rows: the words, their probabilities, and where there are any which are in no list."""
    shares = percents([word["probability"] for word in words])
    rows: list[Sequence[str]] = [(word["word"], share) for word, share in zip(words, shares, strict=True)]
    if all(word["in_list"] for word in words):
        return ("word", "probability"), rows
    marks = ("" if word["in_list"] else "read, in no list" for word in words)
    return ("word", "probability", ""), [(*row, mark) for row, mark in zip(rows, marks, strict=True)]


def _kinds(model: str | None) -> tuple[Kind, ...]:
    """Return what `--model` asks for: every word model where it was not given."""
    if model is None:
        return WORD_MODELS
    found = tuple(kind for kind in WORD_MODELS if kind == model)
    if not found:
        raise OditsError(f"There is no word model '{model}'; there is {', '.join(WORD_MODELS)}.")
    return found
