"""Every word model behind one reference: CLIP checkpoints that see, and the spotter that reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from odits.errors import OditsError
from odits.predictions import WordModel

if TYPE_CHECKING:
    from odits.models.hub import Progress

SPOTTING = "spotting"
"""Reference of the model that reads words in the picture."""


def load_any(reference: str, device: str = "auto", progress: Progress | None = None) -> WordModel:
    """The word model of a reference: "spotting", an ODITS checkpoint's path, or what `load_word_model` takes.

    Raises:
        OditsError: there is no such model, or its weights can't be had.
    """
    if reference == SPOTTING:
        from odits.spotting.spotter import WordSpotter

        return WordSpotter()
    if is_odits(reference):
        from odits.models.odits_model import load_odits

        return load_odits(Path(reference).expanduser(), device)
    from odits.models.loading import load_word_model

    return load_word_model(reference, device, progress)


def is_odits(reference: str) -> bool:
    """Whether a reference is the path of an ODITS checkpoint."""
    from odits.models.catalog import read_metadata

    path = Path(reference).expanduser()
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        return read_metadata(path).get("kind") == "odits"
    except OditsError:
        return False
