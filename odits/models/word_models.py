"""Every word model behind one reference: CLIP checkpoints that see, and the spotter that reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odits.predictions import WordModel

if TYPE_CHECKING:
    from odits.models.hub import Progress

SPOTTING = "spotting"
"""Reference of the model that reads words in the picture."""


def load_any(reference: str, device: str = "auto", progress: Progress | None = None) -> WordModel:
    """The word model of a reference: "spotting", or what `odits.models.loading.load_word_model` takes.

    Raises:
        OditsError: there is no such model, or its weights can't be had.
    """
    if reference == SPOTTING:
        from odits.spotting.spotter import WordSpotter

        return WordSpotter()
    from odits.models.loading import load_word_model

    return load_word_model(reference, device, progress)
