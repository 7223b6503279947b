"""The settings of an ODITS training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from odits.core.errors import OditsError
from odits.models.fusion.initializers import INITIALIZERS
from odits.models.fusion.random_streams import GENERATORS

ABLATIONS = {
    "object_attention": "objects do not look at each other",
    "weighted_text": "objects ask by their looks, not by their similarity-weighted words",
    "feature_enhancer": "image and words do not look at each other",
    "evidence": "objects do not speak for words by themselves",
    "prior": "words have no bias from the training lexicons",
    "recall": "training lexicons are not recalled by what the objects say",
}
"""Parts of a model that can be left out, and what that means."""

OBJECTS = {
    "all": "the image's own objects",
    "image": "the whole image as the only object",
    "shuffled": "another image's objects, in training and after",
}
"""Whose objects a model is given: the last two are controls."""


CLIP_PARTS = {
    "frozen": "CLIP stays as it is",
    "head": "the image tower's last projection learns too",
    "full": "image tower and text tower learn too; slow: every object is encoded in every step",
}
"""What of CLIP is trained along."""


@dataclass(frozen=True)
class OditsTraining:
    """Settings of one run.

    Attributes:
        without: parts left out, of `ABLATIONS`.
        objects: one of `OBJECTS`.
        initializer, generator, seed: where the added layers start; the seed also draws batches and the held-out images.
        epochs: at most so many.
        patience: epochs without a lower loss on the held-out images after which training stops.
        batch: images.
        learning_rate: of the added matrices.
        gate_rate: of gates and of the other single numbers.
        weight_decay: of the matrices (AdamW).
        held_out: share of the training images that choose the epoch and the sharpness, and are not learned from.
        object_dropout: share of the objects that is left out at random in training.
        imbalance: a word's loss is weighted by (lexicons that hold it) ^ -imbalance.
        negatives: words drawn in each batch beside the true ones; 0: all.
        averaging: decay per step of the moving average of the added weights, which is what is kept.
        clip: one of `CLIP_PARTS`.
        clip_rate: learning rate of CLIP's weights.
    """

    without: tuple[str, ...] = ()
    objects: str = "all"
    initializer: str = "xavier"
    generator: str = "mt19937"
    seed: int = 0
    epochs: int = 20
    patience: int = 4
    batch: int = 10
    learning_rate: float = 1e-3
    gate_rate: float = 0.05
    weight_decay: float = 0.1
    held_out: float = 0.2
    object_dropout: float = 0.1
    imbalance: float = 0.0
    negatives: int = 512
    averaging: float = 0.95
    clip: str = "frozen"
    clip_rate: float = 1e-5

    def __post_init__(self) -> None:
        named = [("initialiser", self.initializer, INITIALIZERS), ("generator", self.generator, GENERATORS)]
        named += [
            ("kind of objects", self.objects, OBJECTS),
            ("part of CLIP", self.clip, CLIP_PARTS),
            *(("part", part, ABLATIONS) for part in self.without),
        ]
        for kind, value, known in named:
            if value not in known:
                raise OditsError(f"There is no {kind} '{value}': choose {', '.join(known)}.")
        if min(self.epochs, self.batch, self.patience) < 1 or not 0 < self.held_out < 1:
            raise OditsError("A training needs at least one epoch, batches of one, and some images to hold out.")
        if not (0 <= self.object_dropout < 1 and 0 <= self.averaging < 1):
            raise OditsError("Object dropout and averaging are shares from 0 to below 1.")

    def settings(self) -> dict[str, Any]:
        """What a run that is gone on with must share; a rate that nothing learns at is no part of it."""
        found = asdict(self) | {"without": sorted(self.without)}
        if self.clip == "frozen":
            del found["clip"], found["clip_rate"]
        return found

    def digest(self, *others: str) -> str:
        """Ten hexadecimal digits of the settings and other strings: the same run has the same."""
        return hashlib.sha256(json.dumps([self.settings(), *others], sort_keys=True).encode()).hexdigest()[:10]
