"""The settings of a fine-tuning; the defaults are SPEC's (thesis, Table 2.5)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from odits.core.errors import OditsError

NAMED_EPOCHS = (1, 2, 3, 4, 5, 7, 20, 40)
"""The epochs of Table 2.6."""

PARTS = {
    "full": "all weights; slow: every image goes through the whole model in every epoch",
    "reader": "embedded model only: all but the convolutions that find words and see strokes",
    "head": "the image tower's last projection and the text tower",
    "text": "the text tower; image embeddings stay as they are (locked-image tuning, Zhai et al. 2022)",
}
"""What can be trained."""

LOSSES = {
    "plain": "every other pair of the batch is wrong (open_clip's ClipLoss)",
    "masked": "a word that is true of another image too is left out of that image's wrong ones",
    "shared": "all words of the batch that are true of an image are right ones, with equal shares",
}
"""What to do about a word that is in the lexicons of several images of a batch."""

TEMPERATURES = {
    "learned": "the logit scale is one of the trained weights, as in CLIP's own training",
    "fixed": "it stays, as a hyperparameter of Algorithm 1",
}

OPTIMIZERS = {
    "adam": "weight decay is added to the gradient, as Table 2.5 has it",
    "adamw": "weight decay is kept apart from the gradient and spares gains and biases, as in CLIP's own training",
}


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of one run.

    Attributes:
        train: which part of the model, one of `PARTS`; "auto" is "reader" for the embedded model, "full" for others.
        loss: one of `LOSSES`.
        batch: pairs in a batch, over all processes.
        draws: how often an epoch goes through the images, each time with another word of each image's lexicon.
        optimizer: one of `OPTIMIZERS`.
        temperature: one of `TEMPERATURES`.
        epochs: how many epochs the run has in the end; an earlier run with fewer is gone on with.
        named_epochs: epochs after which a checkpoint is kept whatever the loss.
        chunk: images encoded at a time, for memory; 0 lets the part choose.
    """

    train: str = "auto"
    loss: str = "plain"
    batch: int = 128
    draws: int = 1
    optimizer: str = "adam"
    learning_rate: float = 5e-5
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-6
    weight_decay: float = 0.2
    temperature: str = "learned"
    seed: int = 0
    epochs: int = 40
    named_epochs: tuple[int, ...] = NAMED_EPOCHS
    chunk: int = 0

    def __post_init__(self) -> None:
        for kind, known in (("loss", LOSSES), ("optimizer", OPTIMIZERS), ("temperature", TEMPERATURES)):
            value = getattr(self, kind)
            if value not in known:
                raise OditsError(f"There is no {kind} '{value}': choose {', '.join(known)}.")
        if min(self.epochs, self.draws) < 1 or self.batch < 2:
            raise OditsError("A training needs at least one epoch, one draw, and batches of two.")

    def settings(self) -> dict[str, Any]:
        """What a run that is gone on with must share: all but how long it is, what it keeps and how it is cut up."""
        return {name: value for name, value in asdict(self).items() if name not in ("epochs", "named_epochs", "chunk")}

    def digest(self, *others: str) -> str:
        """Eight hexadecimal digits of `settings` and other strings: the same run has the same."""
        return hashlib.sha256(json.dumps([self.settings(), *others], sort_keys=True).encode()).hexdigest()[:8]
