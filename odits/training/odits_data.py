"""What ODITS is trained on: encoded images with the objects that a model is to see, and the lexicons to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from odits.core.pool import Item, Results, collect, map_images, per_item
from odits.core.pool import Task as ImageTask
from odits.core.progress import Progress, no_progress
from odits.data import ImageRecord, Vocabulary
from odits.models.fusion.inputs import InputEncoder, OditsInput
from odits.training.settings import OditsSettings


@dataclass(frozen=True, eq=False)
class OditsData:
    """What a network is trained on.

    Attributes:
        inputs: the m images.
        text: normalised embeddings (n, d) of the vocabulary.
        lexicons: float32 (m, n), 1 where an image's lexicon holds a word.
        train: int64, which images are learned from.
        held_out: int64, which images choose the epoch.
    """

    inputs: Sequence[OditsInput]
    text: Tensor
    lexicons: Tensor
    train: np.ndarray
    held_out: np.ndarray


def split_data(inputs: Sequence[OditsInput], text: Tensor, lexicons: Tensor, settings: OditsSettings) -> OditsData:
    """Cut images into those to learn from and those to hold out, by the seed."""
    order = np.random.default_rng((settings.seed, 1)).permutation(len(inputs))
    count = min(len(inputs) - 1, max(1, round(settings.held_out * len(inputs))))
    return OditsData(inputs, text, lexicons, np.sort(order[count:]), np.sort(order[:count]))


def encode_images(
    input_encoder: InputEncoder,
    records: Sequence[ImageRecord],
    vocabulary: Vocabulary,
    progress: Progress = no_progress,
) -> Results:
    """Encode images, or find in the store what they were encoded to; one that can't be read is a problem.

    Args:
        input_encoder: finds and embeds objects.
        records: the images.
        vocabulary: the words that a spotter reads, where there is one.
        progress: called with (images done, images in all).

    Returns:
        An `OditsInput` for each image that can be used.
    """
    items = [Item(record.name, record.source) for record in records]
    function = per_item(lambda item: input_encoder.encode(item.source, vocabulary))
    return collect(map_images(ImageTask("", here=function), items, progress=progress))


def choose_objects(inputs: Sequence[OditsInput], objects: str, seed: int) -> list[OditsInput]:
    """Give images the objects that a model is to see.

    Args:
        inputs: images with their own objects.
        objects: "all": their own; "image": the whole image; "shuffled": another image's; "lines", "regions": their own
            of one kind, and what a spotter read.
        seed: of the shuffling.
    """
    if objects == "image":
        return [OditsInput(one.embeddings.image_as_object()) for one in inputs]
    if objects == "shuffled":
        order = np.random.default_rng(seed).permutation(len(inputs))
        other = np.empty(len(inputs), int)
        other[order] = np.roll(order, 1)  # one cycle: no image keeps its own
        return [
            OditsInput(inputs[there].embeddings.with_image(one.embeddings.image), inputs[there].read)
            for one, there in zip(inputs, other, strict=True)
        ]
    if objects in ("lines", "regions"):
        return [
            replace(one, embeddings=one.embeddings.only(one.is_read | (one.embeddings.is_text == (objects == "lines"))))
            for one in inputs
        ]
    return list(inputs)
