"""`odits explain`: which objects of an image carry a word."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from odits.cli.common import Data, Device, Json, load_vocabulary, print_json, print_table
from odits.core.errors import OditsError


def explain(
    image: Annotated[Path, typer.Argument(help="An image file.", show_default=False)],
    checkpoint: Annotated[Path, typer.Option(help="An ODITS checkpoint; python -m odits train makes one.")],
    word: Annotated[str | None, typer.Option(help="Default: the most probable one.")] = None,
    data: Data = None,
    vocabulary: Annotated[str, typer.Option(help="svt (union of the lexicons) or a text file of words.")] = "svt",
    top: Annotated[int, typer.Option(min=1, help="How many objects.")] = 10,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """What a word's logit loses without each object of the image, and how much the image attends to it."""
    asked = load_vocabulary(vocabulary, data)
    from odits.models.fusion.explanation import Explainer
    from odits.models.fusion.model import load_odits

    if word is not None and word.upper() not in asked.words:
        raise OditsError(f"'{word}' is not in the vocabulary.")
    model = load_odits(checkpoint, device)
    one = model.eyes.look(image, asked)
    prediction = model.predict_seen(one, asked)
    index = int(prediction.probabilities.argmax()) if word is None else asked.words.index(word.upper())
    explainer = Explainer(model, one, asked)
    told = explainer.contributions([index])[:, 0]
    attention = explainer.attention(prediction.attention)
    rows = [
        {
            "object": place + 1,
            "kind": explainer.places[place].kind,
            "contribution": float(told[place]),
            "attention": float(attention[place]),
            "corners": explainer.places[place].corners.round(1).tolist(),
        }
        for place in (-abs(told)).argsort(kind="stable")[:top].tolist()
    ]
    if as_json:
        print_json(
            {
                "image": str(image),
                "model": model.name,
                "checkpoint": model.checkpoint,
                "word": asked.words[index],
                "probability": float(prediction.probabilities[index]),
                "objects": rows,
            }
        )
        return
    title = f"{asked.words[index]}: {float(prediction.probabilities[index]):.3%} by {model.name}"
    columns = ("object", "kind", "contribution", "attention")
    print_table(columns, [[row[name] for name in columns] for row in rows], title)
