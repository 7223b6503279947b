"""What CLIP is fine-tuned on: images as the trained part takes them, paired with words of their lexicons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from odits.core.errors import OditsError, WriteError
from odits.core.files import sha256_of
from odits.core.pool import Item, Task, collect, map_images, per_item
from odits.core.progress import Progress, no_progress
from odits.core.store import NPY, Store, make_key
from odits.data import Dataset, ImageRecord, open_image
from odits.data.images import ImageError
from odits.data.vocabulary import clean_word
from odits.models.clip.model import ClipModel
from odits.training.clip_parts import Part

FEATURES = Store("features", NPY)
"""Outputs of the frozen part of a model, float32, by image; hundreds of kilobytes each."""

_IN_MEMORY = 1 << 30  # bytes


def usable_records(dataset: Dataset, split: str) -> list[ImageRecord]:
    """Return the images of a split that have a lexicon.

    Raises:
        OditsError: fewer than two, so that there is nothing to contrast.
    """
    records = [record for record in dataset.split(split) if record.lexicon]
    require_two(records, dataset, split)
    return records


def require_two(records: Sequence[ImageRecord], dataset: Dataset, split: str) -> None:
    """Raise where fewer than two images are left, so that there is nothing to contrast.

    Raises:
        OditsError: there are fewer than two.
    """
    if len(records) < 2:
        raise OditsError(f"{dataset.name} has fewer than two {split} images with a lexicon: nothing to train on.")


def data_digest(records: Sequence[ImageRecord]) -> str:
    """Return the hexadecimal SHA-256 of names, image files and lexicons: what a run was trained on."""
    images = sha256_of("".join(_digest(record) for record in records))
    parts = ("\0".join((record.name, *record.lexicon)) + "\1" for record in records)
    return sha256_of(images, *parts)


def _digest(record: ImageRecord) -> str:
    try:
        return record.digest
    except ImageError:  # it is named when it is opened
        return "missing"


# Images


class Features:
    """What the trained part of a model takes of each image, from the store; memory stays flat.

    Attributes:
        problems: a sentence for each image that can't be used, by its place among the records.
        usable: the places of the others, in order.
    """

    def __init__(self, keys: Sequence[str], problems: dict[int, str]) -> None:
        self.problems = problems
        self.usable = [place for place in range(len(keys)) if place not in problems]
        self._keys = [keys[place] for place in self.usable]
        self._memory: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def rows(self, places: Sequence[int] | np.ndarray) -> Tensor:
        """Return float32 (len(places), ...) of images by their places among the usable ones.

        Raises:
            WriteError: they went from the store meanwhile.
        """
        return torch.from_numpy(np.stack([self._row(int(place)) for place in places]))

    def _row(self, place: int) -> np.ndarray:
        if place in self._memory:
            return self._memory[place]
        row = FEATURES.get(self._keys[place])
        if row is None:
            raise WriteError("Stored features of the training images have gone; start again to compute them.")
        if row.nbytes * len(self) <= _IN_MEMORY:
            self._memory[place] = row
        return row


def compute_features(
    clip: ClipModel, part: Part, records: Sequence[ImageRecord], progress: Progress = no_progress
) -> Features:
    """Compute `part.prepare` of each image, or find it in the store: no image is decoded twice.

    Args:
        clip: the model with the weights it starts from.
        part: what of it is trained.
        records: the images; one that can't be read is a problem of the result.
        progress: called with (images done, images in all).

    Raises:
        WriteError: the disk is full, or writing is not allowed.
    """
    keys = [make_key(part=part.name, model=clip.checkpoint, image=_digest(record)) for record in records]

    def ensure(item: Item) -> None:
        FEATURES.ensure(item.about, lambda: _prepare(clip, part, item))

    items = [Item(record.name, record.source, key) for record, key in zip(records, keys, strict=True)]
    done = collect(map_images(Task("", here=per_item(ensure)), items, progress=progress))
    return Features(keys, done.problems)


@torch.no_grad()
def _prepare(clip: ClipModel, part: Part, item: Item) -> np.ndarray:
    """Prepare one image at a time, so that the result does not depend on a batch."""
    pixels = clip.transforms["scene"](open_image(item.source, item.name))[None]
    found: np.ndarray = part.prepare(pixels.to(clip.device)).float().cpu().numpy()[0]
    return found


# Pairs


@dataclass(frozen=True, eq=False)
class Pairs:
    """A batch.

    Attributes:
        images: int64 (B,), which images.
        words: the B texts.
        true: bool (B, B), [i, j] where word j is in the lexicon of image i, whatever its case.
    """

    images: np.ndarray
    words: list[str]
    true: Tensor

    def __len__(self) -> int:
        return len(self.words)


class LexiconPairs:
    """Batches of pairs, drawn from (seed, epoch) alone: that is all the generator's state that a resumed run needs.

    Example:
        >>> records = [ImageRecord(name, b"", "train", ("BAR", "Cafe")) for name in ("a.png", "b.png", "c.png")]
        >>> pairs = LexiconPairs(records, batch=2, draws=2, seed=0)
        >>> len(pairs), [sorted(batch.true.diagonal().tolist()) for batch in pairs.epoch(1)]
        (4, [[True, True], [True], [True, True], [True]])
    """

    def __init__(self, records: Sequence[ImageRecord], batch: int, draws: int, seed: int) -> None:
        self.lexicons = [tuple(dict.fromkeys(clean_word(word) for word in record.lexicon)) for record in records]
        self.batch, self.draws, self.seed = batch, draws, seed
        self._folded = [{word.casefold() for word in words} for words in self.lexicons]

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return self.draws * -(-len(self.lexicons) // self.batch)

    def epoch(self, number: int) -> Iterator[Pairs]:
        """Yield the batches of an epoch: every image `draws` times, each time with another word of its lexicon.

        Batches are of nearly equal size, at most `batch`; no image is twice in one.
        """
        rng = np.random.default_rng((self.seed, number))
        words = [[lexicon[i] for i in rng.permutation(len(lexicon))] for lexicon in self.lexicons]
        for draw in range(self.draws):
            order = rng.permutation(len(words))
            for images in np.array_split(order, -(-len(order) // self.batch)):
                yield self._pairs(images, [words[i][draw % len(words[i])] for i in images])

    def _pairs(self, images: np.ndarray, words: list[str]) -> Pairs:
        folded = [word.casefold() for word in words]
        true = torch.tensor([[word in self._folded[image] for word in folded] for image in images])
        return Pairs(images, words, true)
