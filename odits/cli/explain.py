"""`odits explain`: which objects of an image carry a word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from odits.cli.common import (
    PICTURE,
    Data,
    Device,
    Json,
    OditsCheckpoint,
    PictureWords,
    download_progress,
    find_model,
    load_vocabulary,
    print_json,
    print_table,
)
from odits.cli.figures import FigureFile, FigureTheme, check_figure, write_figure
from odits.core.errors import OditsError
from odits.core.percent import percent
from odits.core.progress import open_reporter

if TYPE_CHECKING:
    import numpy as np

    from odits.data.vocabulary import Vocabulary
    from odits.models.fusion.explanation import Explainer


def explain(
    image: Annotated[Path, typer.Argument(help="An image file.", show_default=False)],
    checkpoint: OditsCheckpoint,
    word: Annotated[str | None, typer.Option(help="Default: the most probable one.")] = None,
    data: Data = None,
    vocabulary: PictureWords = PICTURE,
    top: Annotated[int, typer.Option(min=1, help="How many objects.")] = 10,
    shapley: Annotated[
        bool, typer.Option("--shapley", help="Shapley values too, which share what several objects bring together.")
    ] = False,
    figure: FigureFile = None,
    figure_theme: FigureTheme = "light",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show what a word's logit loses without each object of the image, and how much the image attends to it."""
    check_figure(figure, figure_theme)
    words = load_vocabulary(vocabulary, data)
    from odits.data import open_image
    from odits.models.fusion.explanation import Explainer
    from odits.models.registry import load

    if vocabulary != PICTURE:
        _find(words, word)
    with open_reporter() as report:
        model = load(find_model(checkpoint, report, "odits"), device, download_progress(report), kind="odits")
    if vocabulary == PICTURE:
        from odits.models.reading.read_words import PictureVocabularies

        words = PictureVocabularies(model, words).of(open_image(image))
    place = _find(words, word)
    inputs = model.input_encoder.encode(image, words)
    prediction = model.predict_input(inputs, words)
    index = int(prediction.probabilities.argmax()) if place is None else place
    explainer = Explainer(model, inputs, words)
    contributions = explainer.contributions([index])[:, 0]
    attention = explainer.attention(prediction.attention)
    shares = explainer.shapley(index) if shapley else None
    rows = [
        {
            "object": place + 1,
            "kind": explainer.groups[place].kind,
            "contribution": float(contributions[place]),
            "attention": float(attention[place]),
            "corners": explainer.groups[place].corners.round(1).tolist(),
            **({} if shares is None else {"shapley": shares.values[place], "shapley_error": shares.errors[place]}),
        }
        for place in (-abs(contributions)).argsort(kind="stable")[:top].tolist()
    ]
    if figure is not None:
        _draw(figure, figure_theme, image, explainer, (words.words[index], contributions), len(rows))
    if as_json:
        print_json(
            {
                "image": str(image),
                "model": model.name,
                "checkpoint": model.checkpoint,
                "word": words.words[index],
                "probability": float(prediction.probabilities[index]),
                "objects": rows,
            }
        )
        return
    title = f"{words.words[index]}: {percent(float(prediction.probabilities[index]))} by {model.name}"
    columns = ("object", "kind", "contribution", "attention", *(("shapley", "shapley_error") if shapley else ()))
    print_table(columns, [[row[name] for name in columns] for row in rows], title)


def _find(words: Vocabulary, word: str | None) -> int | None:
    """Return the place of the word to explain; None where none was named."""
    place = None if word is None else words.find(word)
    if word is not None and place is None:
        raise OditsError(f"'{word}' is not in the vocabulary.")
    return place


def _draw(
    figure: Path, theme: str, path: Path, explainer: Explainer, explained: tuple[str, np.ndarray], most: int
) -> None:
    """Draw the image with its objects coloured by what they contribute to a word, and the strongest as bars below."""
    from odits.data import open_image
    from odits.figures.object_drawings import carrier_labels, carrier_outlines, values_drawing
    from odits.figures.static_explanation import explained_figure
    from odits.figures.static_pictures import Panel
    from odits.models.fusion.places import PlaceEncoder
    from odits.objects.codec import stored_objects
    from odits.objects.detections import masks_of

    word, values = explained
    image, encoder = open_image(path), explainer.model.input_encoder
    # ODITS Street tells the segmenter what was read
    of_street = encoder.objects(image) if isinstance(encoder, PlaceEncoder) else None
    found = stored_objects(path, encoder.segmenter) if of_street is None else of_street
    labels = carrier_labels(explainer.groups, explainer.matrix, explainer.vocabulary)
    outlines = carrier_outlines(explainer.groups, masks_of(found))
    drawing = values_drawing(outlines, labels, values, f"adds to “{word}” (logit)")
    panel = Panel(image, drawing, path.name)
    order = (-abs(values)).argsort(kind="stable")[:most].tolist()
    strongest = [place for place in order if values[place]] or order[:1]
    names, title = [labels[place] for place in strongest], f"{word} without each object"
    texts = [path.name, title, *labels, *drawing.texts()]
    write_figure(figure, lambda at: explained_figure(panel, names, values[strongest], at, title), theme, texts)
