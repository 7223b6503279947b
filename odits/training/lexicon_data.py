"""Image-text pairs for fine-tuning: the text of an image is a word drawn from its lexicon."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from odits.core.errors import OditsError
from odits.data import Dataset, ImageRecord
from odits.data.vocabulary import clean_word
from odits.core.files import file_digest


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


def usable_records(dataset: Dataset, split: str) -> list[ImageRecord]:
    """The images of a split that have a lexicon.

    Raises:
        OditsError: fewer than two, so that there is nothing to contrast.
    """
    records = [record for record in dataset.split(split) if record.lexicon]
    if len(records) < 2:
        raise OditsError(f"{dataset.name} has fewer than two {split} images with a lexicon: nothing to train on.")
    return records


def images_digest(records: Sequence[ImageRecord]) -> str:
    """Hexadecimal SHA-256 of the image files in their order."""
    return hashlib.sha256("".join(file_digest(record.path) for record in records).encode()).hexdigest()


def data_digest(records: Sequence[ImageRecord]) -> str:
    """Hexadecimal SHA-256 of names, image files and lexicons: what a run was trained on."""
    digest = hashlib.sha256(images_digest(records).encode())
    for record in records:
        digest.update("\0".join((record.name, *record.lexicon)).encode("utf-8", "surrogatepass") + b"\1")
    return digest.hexdigest()


class LexiconPairs:
    """Batches of pairs, drawn from (seed, epoch) alone: that is all the generator's state that a resumed run needs."""

    def __init__(self, records: Sequence[ImageRecord], batch: int, draws: int, seed: int) -> None:
        self.lexicons = [tuple(dict.fromkeys(clean_word(word) for word in record.lexicon)) for record in records]
        self.batch, self.draws, self.seed = batch, draws, seed
        self._folded = [{word.casefold() for word in words} for words in self.lexicons]

    def epoch(self, number: int) -> Iterator[Pairs]:
        """The batches of an epoch: every image `draws` times, each time with another word of its lexicon.

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
