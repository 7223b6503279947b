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
VITSTR = f"{SPOTTING}:vitstr"
"""Reference of the same with docTR's ViTSTR as recogniser; a colon and a weights file may follow."""


def load_any(reference: str, device: str = "auto", progress: Progress | None = None) -> WordModel:
    """The word model of a reference.

    Args:
        reference: "spotting", "spotting:vitstr", the same with a colon and a weights file, an ODITS checkpoint's path,
            or what `load_word_model` takes.
        device: for models that see.
        progress: called with (bytes here, bytes in all) during a download.

    Raises:
        OditsError: there is no such model, or its weights can't be had.
    """
    if reference == SPOTTING:
        from odits.spotting.spotter import WordSpotter

        return WordSpotter()
    if reference == VITSTR or reference.startswith(f"{VITSTR}:"):
        from odits.spotting.reader import TextReader
        from odits.spotting.spotter import WordSpotter
        from odits.spotting.vitstr import Vitstr

        file = reference[len(VITSTR) + 1 :]
        return WordSpotter(TextReader(recogniser=Vitstr(Path(file).expanduser() if file else None)))
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
