"""Where the words of a picture stand, as far as the model on screen knows: what it read, and its objects.

Nothing is read or segmented for that while somebody annotates: the evaluation has stored what is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from odits.core.errors import OditsError
from odits.data import Vocabulary
from odits.figures.words import carriers_of_word
from odits.models.reading.ctc import Lexicon
from odits.models.reading.reader import stored_reading
from odits.models.reading.spotter import find_words, place_words
from odits.models.registry import parse
from pages._shared.answers import Kind, answer
from pages._shared.pictures import Opened
from pages._shared.word_models import load, reads, spotter_of

if TYPE_CHECKING:
    from odits.models.fusion.model import OditsModel

Outline = list[list[float]]
"""Corners, x and y in pixels of the upright picture."""
_READ = 0.05
"""Probability of a reading from which its place is shown."""
_PLACES = Kind("places of words", 512)


def read_places(
    words: list[str], limit: float, reference: str, opened: Opened
) -> tuple[dict[str, Outline], set[str] | None]:
    """Return where words were read, and which of them hold their place against others; None where nothing was read.

    Args:
        words: of the picture.
        limit: from which a word counts as read.
        reference: of the model.
        opened: the picture.
    """
    try:
        spotter = spotter_of(reference) if reads(reference) else None
    except OditsError:  # the model is gone; its evaluation can still be marked
        spotter = None
    lines = None if spotter is None else stored_reading(opened.digest, spotter.reader.key)
    if spotter is None or lines is None:
        return {}, None
    reading = spotter.score_lines(lines, Lexicon(tuple(words)))
    likely = [found for found in place_words(reading, words, spotter.scoring) if found and found.probability >= _READ]
    standing = find_words(reading, words, min(max(limit, 0.01), 0.99), spotter.scoring)
    outlines = {found.word: found.corners.round(1).tolist() for found in (*likely, *standing)}
    # other models that read name words that stand nowhere too: objects and neighbours make them likely
    return outlines, {found.word for found in standing} if parse(reference).kind == "spotting" else None


def object_places(words: list[str], reference: str, opened: Opened, vocabulary: Vocabulary) -> dict[str, Outline]:
    """Return, for words that an object carries, the frame of the object without which they lose most.

    Args:
        words: of the picture, out of the vocabulary.
        reference: of the model; one that is no ODITS model has no objects.
        opened: the picture.
        vocabulary: the n words that the model chose from.
    """
    try:
        model = load(reference, "odits") if parse(reference).kind == "odits" else None
    except OditsError:  # the model is gone; its evaluation can still be marked
        return {}
    from odits.models.fusion.inputs import InputEncoder
    from odits.models.fusion.model import OditsModel

    if not isinstance(model, OditsModel) or not isinstance(model.input_encoder, InputEncoder):
        return {}  # ODITS Street has read its words: their places are known
    if not model.input_encoder.is_stored(opened.digest):
        return {}
    key = opened.digest, model.checkpoint, vocabulary.digest, tuple(words)
    return answer(_PLACES, key, lambda: _carrying_objects(model, words, opened, vocabulary))


def _carrying_objects(
    model: OditsModel, words: list[str], opened: Opened, vocabulary: Vocabulary
) -> dict[str, Outline]:
    from odits.models.fusion.explanation import Explainer

    explainer = Explainer(model, model.input_encoder.encode(opened.image, vocabulary), vocabulary)
    indices = {word: index for word in words if (index := vocabulary.find(word)) is not None}
    contributed = explainer.contributions(list(indices.values()))
    found: dict[str, Outline] = {}
    for column, word in enumerate(indices):
        for strongest in carriers_of_word(contributed[:, column], 1):
            found[word] = explainer.groups[strongest].corners.astype(float).round(1).tolist()
    return found
