"""The settings of the trainings, each stated once, with bounds and help that command line and pages read.

`FinetuneSettings` are those of Table 2.5 of the thesis by default.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from odits.core.files import sha256_of
from odits.core.settings import check_settings, setting
from odits.models.fusion.settings import GENERATORS, INITIALIZERS

SEED = "Same seed, same machine: same bytes."
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
    "sigmoid": "each pair is judged by itself, right where the word is true of the image (SigLIP, Zhai et al. 2023)",
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


def settings_digest(identity: dict[str, Any], others: tuple[str, ...], digits: int) -> str:
    """Return hexadecimal digits of what identifies a run: the same run has the same."""
    return sha256_of(json.dumps([identity, *others], sort_keys=True))[:digits]


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of a fine-tuning.

    Attributes:
        train: which part of the model, one of `PARTS`; "auto" is "reader" for the embedded model, "full" for others.
        betas: decay of the two moments.
        named_epochs: epochs after which a checkpoint is saved whatever the loss.
        chunk: images encoded at a time; 0 lets the part choose.

    Example:
        >>> FinetuneSettings(loss="best")
        Traceback (most recent call last):
        odits.core.errors.OditsError: There is no loss 'best': choose plain, masked, shared, sigmoid.
    """

    epochs: int = setting(40, "Epochs; a run with fewer is extended.", low=1)
    train: str = setting(
        "auto", choices={"auto": "reader for the embedded model, full for others", **PARTS}, noun="part"
    )
    loss: str = setting("plain", choices=LOSSES)
    batch: int = setting(128, "Pairs in a batch, over all processes.", low=2)
    draws: int = setting(1, "Words drawn of each lexicon in an epoch; each is a pass.", low=1)
    optimizer: str = setting("adam", choices=OPTIMIZERS)
    learning_rate: float = setting(5e-5, low=0)
    betas: tuple[float, float] = setting((0.9, 0.98), "Decay of the gradient's two moments.", low=0, below=1)
    epsilon: float = setting(1e-6, low=0)
    weight_decay: float = setting(0.2, low=0)
    temperature: str = setting("learned", choices=TEMPERATURES)
    lora_rank: int = setting(0, "Rank of updates to linear layers that are trained alone (LoRA); 0: weights.", low=0)
    seed: int = setting(0, SEED, low=0)
    named_epochs: tuple[int, ...] = setting(
        NAMED_EPOCHS, "Epochs whose checkpoint is saved whatever the loss.", flag="keep"
    )
    chunk: int = setting(0, "Images encoded at a time, for memory; 0: automatic.", low=0)

    def __post_init__(self) -> None:
        check_settings(self)

    def identity(self) -> dict[str, Any]:
        """Return what a resumed run must share: all but its length, what it saves, its chunk size, and a rank of 0."""
        found = asdict(self)
        beta1, beta2 = found.pop("betas")
        left_out = ("epochs", "named_epochs", "chunk", *(() if self.lora_rank else ("lora_rank",)))
        return {name: value for name, value in found.items() if name not in left_out} | {"beta1": beta1, "beta2": beta2}

    def digest(self, *others: str) -> str:
        """Return eight hexadecimal digits of `identity` and other strings."""
        return settings_digest(self.identity(), others, 8)


ABLATIONS = {
    "object_attention": "objects do not attend to each other",
    "weighted_text": "objects attend by their embeddings, not by their similarity-weighted words",
    "feature_enhancer": "image and words do not attend to each other",
    "evidence": "objects do not add to the logits of words by themselves",
    "prior": "words have no bias from the training lexicons",
    "recall": "training lexicons are not recalled by the words that the objects suggest",
}
"""Parts of a network that can be left out, and what that means."""

OBJECTS = {
    "all": "the image's own objects",
    "image": "the whole image as the only object",
    "shuffled": "another image's objects, in training and after",
    "lines": "only lines of text and their words, of the image's own objects",
    "regions": "only what is no line of text, of the image's own objects",
}
"""Whose objects a model is given: all but the first are controls."""

CLIP_PARTS = {
    "frozen": "CLIP stays as it is",
    "head": "the image tower's last projection learns too",
    "full": "image tower and text tower learn too; slow: every object is encoded in every step",
}
"""Which weights of CLIP are trained too."""


@dataclass(frozen=True)
class OditsSettings:
    """Settings of a training of ODITS.

    Attributes:
        without: parts left out, of `ABLATIONS`.
        objects: one of `OBJECTS`.
        seed: of initial weights, batches, and the choice of held-out images.
        held_out: share of the training images that choose the epoch and the sharpness, and are not learned from.
        imbalance: a word's loss is weighted by (lexicons that hold it) ^ -imbalance.
        averaging: decay per step of the moving average of the added weights, which is what is saved.
        clip: one of `CLIP_PARTS`.
    """

    without: tuple[str, ...] = setting((), "A part to leave out.", choices=ABLATIONS, noun="part")
    objects: str = setting("all", choices=OBJECTS, noun="kind of objects")
    initializer: str = setting("xavier", choices=INITIALIZERS, noun="initialiser")
    generator: str = setting("mt19937", choices=GENERATORS)
    seed: int = setting(0, SEED, low=0)
    epochs: int = setting(20, "At most so many; a run with fewer is extended.", low=1)
    patience: int = setting(4, "Epochs without a lower held-out loss before it stops.", low=1)
    batch: int = setting(10, "Images in a batch.", low=1)
    learning_rate: float = setting(1e-3, "Of matrices.", low=0)
    gate_rate: float = setting(0.05, "Of gates, learned frequencies and the like.", low=0)
    weight_decay: float = setting(0.1, low=0)
    held_out: float = setting(0.2, "Share of the training images that choose the epoch.", above=0, below=1)
    object_dropout: float = setting(0.1, "Share of the objects left out at random.", low=0, below=1)
    imbalance: float = setting(0.0, "Words weigh (lexicons that hold them) ^ -imbalance.")
    negatives: int = setting(512, "False words drawn for each batch; 0: all.", low=0)
    averaging: float = setting(0.95, "Decay of the weights' moving average.", low=0, below=1)
    clip: str = setting("frozen", choices=CLIP_PARTS, noun="part of CLIP")
    clip_rate: float = setting(1e-5, "Learning rate of CLIP's weights.", low=0)

    def __post_init__(self) -> None:
        check_settings(self)

    def identity(self) -> dict[str, Any]:
        """Return what a resumed run must share; the rate of weights that are frozen is left out."""
        found = asdict(self) | {"without": sorted(self.without)}
        if self.clip == "frozen":
            del found["clip"], found["clip_rate"]
        return found

    def digest(self, *others: str) -> str:
        """Return ten hexadecimal digits of `identity` and other strings."""
        return settings_digest(self.identity(), others, 10)

    def described(self) -> dict[str, str]:
        """Return every setting as text, for a checkpoint's header."""
        return {
            name: ",".join(value) if isinstance(value, tuple) else str(value) for name, value in asdict(self).items()
        }


@dataclass(frozen=True)
class StreetSettings:
    """Settings of the training of ODITS Street.

    Attributes:
        penalty: of the squared weights of the readings' features.
    """

    epochs: int = setting(20, "Epochs; a run with fewer is extended.", low=1)
    batch: int = setting(8, "Scenes in a batch.", low=1)
    learning_rate: float = setting(0.03, low=0)
    penalty: float = setting(1e-4, "Of the squared weights of the readings' features.", low=0)
    seed: int = setting(0, SEED, low=0)

    def __post_init__(self) -> None:
        check_settings(self)

    def identity(self) -> dict[str, Any]:
        """Return what a resumed run must share: all but its length."""
        return {name: value for name, value in asdict(self).items() if name != "epochs"}


@dataclass(frozen=True)
class RenderSettings:
    """Settings of rendered scenes."""

    scenes: int = setting(600, "Scenes to train on.", low=1)
    held_out: int = setting(200, "Scenes to hold out.", low=0)
    neighbourhoods: int = setting(
        0,
        "Neighbourhoods whose words the lexicons are drawn from by a known law; 0: lexicons are what signs say.",
        low=0,
    )
    seed: int = setting(0, SEED, low=0)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class PretrainSettings:
    """Settings of a pretraining of the embedded model: `reader` and `locator` say what follows for its two parts."""

    steps: int = setting(4000, "Training steps of 128 words for reading.", low=1)
    locator_steps: int = setting(1500, "Training steps of 8 scenes for finding words.", low=1)
    seed: int = setting(0, SEED, low=0)
    workers: int = setting(1, "Processes that render.", low=0)

    def __post_init__(self) -> None:
        check_settings(self)

    def reader(self) -> ReaderSettings:
        """Return the settings of the reader's training."""
        return ReaderSettings(steps=self.steps, seed=self.seed, workers=self.workers)

    def locator(self) -> LocatorSettings:
        """Return the settings of the locator's training."""
        return LocatorSettings(steps=self.locator_steps, seed=self.seed, workers=self.workers)


@dataclass(frozen=True)
class ReaderSettings:
    """Settings of the training that teaches the embedded model to read.

    The learning rate warms up, stays, and falls linearly to zero over the last `decay` share of `steps`; a run that
    stopped before the fall can be extended to more steps.

    Attributes:
        batch: words in a batch.
        misframed: windows in a batch that frame no word well.
        plain_steps: steps over which plainly printed words give way to signs.
        spelling_weight: of the second task's loss.
        every: steps after which the state is saved.
    """

    steps: int = 4000
    batch: int = 128
    misframed: int = 16
    learning_rate: float = 1e-3
    warmup: int = 150
    decay: float = 0.3
    plain_steps: int = 1000
    weight_decay: float = 0.05
    spelling_weight: float = 0.4
    seed: int = 0
    workers: int = 1
    every: int = 20


@dataclass(frozen=True)
class LocatorSettings:
    """Settings of the locator's training; the learning rate falls from its peak along half a cosine.

    Attributes:
        batch: scenes in a batch.
        box_weight: of the boxes' loss.
        every: steps after which the state is saved.
    """

    steps: int = 1500
    batch: int = 8
    learning_rate: float = 2e-3
    warmup: int = 50
    box_weight: float = 1.0
    seed: int = 0
    workers: int = 1
    every: int = 20


def pretraining_identity(settings: ReaderSettings | LocatorSettings) -> dict[str, Any]:
    """Return what a resumed pretraining must share: all but its length, its processes and how often it saves."""
    return {name: value for name, value in asdict(settings).items() if name not in ("steps", "workers", "every")}
