"""Pretraining of the embedded model from scratch, on rendered words and scenes.

Its reader learns by image-text contrast (Radford et al. 2021) on rendered words, its locator on rendered scenes. An
"epoch" of these runs is a number of steps after which the state is saved.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from odits.models.clip.embedded import CHARACTERS, new_model, normalise, tokenizer
from odits.models.clip.sign_tower import WordLocator, locator_loss
from odits.models.clip.text import encode_tokens
from odits.training.machine import Processes
from odits.training.rendering import SignRenderer
from odits.training.run import RunOptions, RunState, Task, open_run, run_lock, train
from odits.training.saving import save_model
from odits.training.scenes import draw_scene
from odits.training.settings import LocatorSettings, PretrainSettings, ReaderSettings, pretraining_identity

Batch = TypeVar("Batch")
READER, LOCATOR = "reader", "locator"
"""The folders of the two runs in that of a pretraining."""
_FORMER = {READER: "state.pt", LOCATOR: "locator.pt"}  # where versions before 0.2 saved their states


def pretrain(
    renderer: SignRenderer, folder: Path, settings: PretrainSettings, options: RunOptions | None = None
) -> Path:
    """Train the embedded model; interrupted runs resume.

    Args:
        renderer: draws words and scenes.
        folder: of the two runs and of the model.
        settings: of the training.
        options: tracker, restart and listener.

    Returns:
        The checkpoint, model.safetensors.

    Raises:
        OditsError: the folder holds other runs or running ones, or a loss is no longer a number.
    """
    locator = train_locator(renderer, folder / LOCATOR, settings.locator(), options)
    model = train_reader(renderer, folder / READER, settings.reader(), options)
    model.visual.trunk.locator.load_state_dict(locator.state_dict())
    made = {
        "words": str(len(renderer.words)),
        "fonts": str(len(renderer.fonts)),
        "seed": str(settings.seed),
        "steps": str(settings.steps),
    }
    save_model(model, folder / "model.safetensors", made)
    return folder / "model.safetensors"


def train_reader(
    renderer: SignRenderer, folder: Path, settings: ReaderSettings, options: RunOptions | None = None
) -> Any:
    """Train the embedded model to read; return it in evaluation mode.

    Args:
        renderer: draws words.
        folder: of the run: state.pt and history.json.
        settings: of the training.
        options: tracker, restart and listener.
    """
    task = ReaderTask(renderer, settings)
    _run(task, folder, options or RunOptions())
    return task.model.eval()


def train_locator(
    renderer: SignRenderer, folder: Path, settings: LocatorSettings, options: RunOptions | None = None
) -> WordLocator:
    """Train the embedded model's locator; return it in evaluation mode.

    Args:
        renderer: draws the words of scenes.
        folder: of the run: state.pt and history.json.
        settings: of the training.
        options: tracker, restart and listener.
    """
    task = LocatorTask(renderer, settings)
    _run(task, folder, options or RunOptions())
    return task.locator.eval()


def _run(task: RenderedTask[Any], folder: Path, options: RunOptions) -> RunState:
    former = folder.parent / _FORMER.get(folder.name, "")
    if former.is_file() and not folder.exists():
        options.listener.say(f"{former} is of an older version and is left alone: the {folder.name} begins anew.")
    with run_lock(folder, options.wait_s):
        state = open_run(folder, pretraining_identity(task.settings), options, Processes())
        return train(task, state, folder, asdict(task.settings), options)


class RenderedTask(Task[Batch]):
    """What is trained on batches that are rendered, number i from (seed, i) alone.

    Attributes:
        settings: of the training.
        clip_gradients: the greatest norm of the gradients.
    """

    settings: ReaderSettings | LocatorSettings
    clip_gradients: float

    def __init__(
        self, settings: ReaderSettings | LocatorSettings, rendered: Dataset[Batch], modules: nn.Module
    ) -> None:
        self.settings, self._rendered = settings, rendered
        self.epochs, self.seed = -(-settings.steps // settings.every), settings.seed
        self.tensors = modules.state_dict()
        self._modules = modules.train()
        self._step = 0
        self._loader: Iterator[Batch] | None = None

    @abstractmethod
    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""

    @abstractmethod
    def batch_losses(self, batch: Batch) -> tuple[Tensor, list[float]]:
        """Return the loss that is minimised, scalar, and the values by the names of `losses`."""

    def finished(self, state: RunState) -> bool:
        """Whether all steps are done."""
        return _steps(state) >= self.settings.steps

    def position(self, state: RunState) -> tuple[int, int]:
        """Return how many steps are done, and how many the run has."""
        return _steps(state) + state.step, self.settings.steps

    def describe(self, state: RunState) -> str:
        """Say how far the run is."""
        done, of = self.position(state)
        return f"step {done:,} of {of:,}"

    def batches(self, state: RunState, rng: np.random.Generator) -> Iterator[Batch]:
        """Return the batches up to the next step at which the state is saved."""
        begun, settings = _steps(state), self.settings
        self._step = begun + state.step
        if self._loader is None:  # one for all epochs, so that batches are rendered ahead
            loader = DataLoader(
                self._rendered,
                batch_size=None,
                sampler=range(self._step, settings.steps),
                num_workers=settings.workers,
                prefetch_factor=6 if settings.workers else None,
            )
            self._loader = iter(loader)
        end = min((begun // settings.every + 1) * settings.every, settings.steps)
        return islice(self._loader, end - self._step)

    def step(self, batch: Batch, rng: np.random.Generator) -> tuple[Sequence[float], float]:
        """Learn from a batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(self._step)
        total, values = self.batch_losses(batch)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self._modules.parameters(), self.clip_gradients)
        self.optimizer.step()
        self._step += 1
        return values, 1

    def close_epoch(self, line: dict[str, float], state: RunState) -> list[dict[str, Any]]:
        """Add the step that was reached; the model is written at the end."""
        line["step"] = self._step
        return []


def _steps(state: RunState) -> int:
    """Return how many steps were done before the epoch that follows."""
    return int(state.history[-1]["step"]) if state.history else 0


def plain_share(step: int, settings: ReaderSettings) -> float:
    """Return the share of plainly printed words: reading starts sooner on them. All at first, a few to the end."""
    return max(0.05, 1 - step / settings.plain_steps)


class RenderedBatches(Dataset[dict[str, Any]]):
    """Batch number i, rendered from (seed, i) alone, so that a resumed run sees what it would have seen."""

    def __init__(self, renderer: SignRenderer, settings: ReaderSettings) -> None:
        self.renderer, self.settings = renderer, settings
        ordered = sorted(renderer.words)
        backwards = sorted(renderer.words, key=lambda word: word[::-1])
        self._similar = (
            (ordered, {w: i for i, w in enumerate(ordered)}),
            (backwards, {w: i for i, w in enumerate(backwards)}),
        )

    def __len__(self) -> int:
        return self.settings.steps

    def __getitem__(self, index: int) -> dict[str, Any]:
        cv2.setNumThreads(0)  # the trainer needs the other cores
        rng = np.random.default_rng((self.settings.seed, index))
        words = self._words(rng)
        plain = plain_share(index, self.settings)
        crops = [(self.renderer.plain if rng.random() < plain else self.renderer.crop)(word, rng) for word in words]
        crops += [
            self.renderer.misframed(words[int(rng.integers(len(words)))], rng) for _ in range(self.settings.misframed)
        ]
        return {"images": torch.from_numpy(np.stack(crops)), "words": words, "rivals": self._rivals(words, rng)}

    def _words(self, rng: np.random.Generator) -> list[str]:
        """Draw distinct words; some are made of two halves or of digits, so that spelling has to be read."""
        source = self.renderer.words
        chosen: dict[str, None] = {}
        while len(chosen) < self.settings.batch:
            word = source[int(len(source) * rng.random() ** 1.5)]  # common words come first in the list
            draw = rng.random()
            if draw < 0.12:
                other = source[int(rng.integers(len(source)))]
                word = word[: rng.integers(1, len(word) + 1)] + other[rng.integers(0, len(other)) :]
            elif draw < 0.14:
                word = str(rng.integers(1, 10 ** int(rng.integers(2, 5))))
            if 2 <= len(word) <= 16:
                chosen[word.lower()] = None
        return list(chosen)

    def _rivals(self, words: Sequence[str], rng: np.random.Generator) -> list[str]:
        """Draw words spelled like the batch's own at the start or at the end: negatives without an image."""
        taken = set(words)
        rivals: dict[str, None] = {}
        for word in words[: len(words) // 2]:
            ordered, place = self._similar[rng.integers(2)]
            if word in place:
                rival = ordered[(place[word] + int(rng.choice((-3, -2, -1, 1, 2, 3)))) % len(ordered)]
                if rival not in taken:
                    rivals[rival] = None
        return list(rivals)


class SpellingHead(nn.Module):
    """Letters at each column of a window, by CTC: a second task that teaches the tower to read, thrown away later."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.letters = nn.Linear(width, len(CHARACTERS) + 1)

    def loss(self, tokens: Tensor, words: Sequence[str]) -> Tensor:
        """Return the CTC loss of window tokens (B, 32, width) against the words."""
        spelled = [[CHARACTERS.index(c) + 1 for c in word if c in CHARACTERS] for word in words]
        targets = torch.tensor([c for letters in spelled for c in letters])
        lengths = torch.tensor([len(letters) for letters in spelled])
        log_probabilities = self.letters(tokens).log_softmax(-1).transpose(0, 1)
        columns = torch.full((len(words),), tokens.shape[1])
        return F.ctc_loss(log_probabilities, targets, columns, lengths, zero_infinity=True)


@dataclass(frozen=True, eq=False)
class ReaderLosses:
    """The parts of one step's loss and the share of the batch's crops matched to their own word."""

    contrast: Tensor
    gate: Tensor
    spelling: Tensor
    accuracy: float


def batch_losses(
    model: Any, head: SpellingHead, batch: dict[str, Any], tokenize: Callable[[list[str]], Tensor]
) -> ReaderLosses:
    """Return contrastive, gate and spelling loss of one rendered batch."""
    words, tower = batch["words"], model.visual.trunk
    count = len(words)
    windows = tower.windows(normalise(batch["images"]))[:, 0]
    framed = torch.zeros(len(windows))
    framed[:count] = 1
    gate = F.binary_cross_entropy_with_logits(tower.gate_logits(windows), framed)
    tokens = tower.read(windows[:count])
    image = F.normalize(model.visual.head(tower.pool(tokens)), dim=-1)
    text = F.normalize(encode_tokens(model, tokenize(words + batch["rivals"])), dim=-1)
    logits = model.logit_scale.exp() * image @ text.T
    target = torch.arange(count)
    contrast = (F.cross_entropy(logits, target) + F.cross_entropy(logits[:, :count].T, target)) / 2
    accuracy = float((logits.argmax(1) == target).float().mean())
    return ReaderLosses(contrast, gate, head.loss(tokens, words), accuracy)


def learning_rate(step: int, settings: ReaderSettings) -> float:
    """Return the reader's learning rate of a step: warm-up, plateau, linear fall to zero."""
    fall = settings.steps * settings.decay
    return settings.learning_rate * min(1.0, (step + 1) / settings.warmup, max(0.0, (settings.steps - step) / fall))


class RenderedScenes(Dataset[tuple[Tensor, list[Tensor]]]):
    """Batch number i of scenes, uint8 (B, 256, 384, 3), with their words' boxes; drawn from (seed, i) alone."""

    def __init__(self, renderer: SignRenderer, settings: LocatorSettings) -> None:
        self.renderer, self.settings = renderer, settings

    def __len__(self) -> int:
        return self.settings.steps

    def __getitem__(self, index: int) -> tuple[Tensor, list[Tensor]]:
        cv2.setNumThreads(0)  # the trainer needs the other cores
        rng = np.random.default_rng((self.settings.seed, 1, index))
        scenes = [draw_scene(self.renderer, rng) for _ in range(self.settings.batch)]
        images = torch.from_numpy(np.stack([scene.image for scene in scenes]))
        return images, [torch.from_numpy(scene.boxes) for scene in scenes]


class ReaderTask(RenderedTask[dict[str, Any]]):
    """The embedded model, learning to read rendered words.

    Attributes:
        model: an open_clip model of the embedded architecture.
    """

    name = "training the reader"
    losses = ("contrast", "gate", "spelling", "accuracy")
    watched = "contrast"
    clip_gradients = 2.0
    settings: ReaderSettings

    def __init__(self, renderer: SignRenderer, settings: ReaderSettings) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.model = new_model()
            self._head = SpellingHead(self.model.visual.trunk.norm.normalized_shape[0])
        self._tokenize = tokenizer()
        modules = nn.ModuleList([self.model, self._head])
        super().__init__(settings, RenderedBatches(renderer, settings), modules)
        decayed = [p for p in modules.parameters() if p.ndim >= 2]
        others = [p for p in modules.parameters() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return learning_rate(step, self.settings)

    def batch_losses(self, batch: dict[str, Any]) -> tuple[Tensor, list[float]]:
        """Return the loss that is minimised, scalar, and the values by the names of `losses`."""
        found = batch_losses(self.model, self._head, batch, self._tokenize)
        total = found.contrast + 0.5 * found.gate + self.settings.spelling_weight * found.spelling
        return total, [found.contrast.item(), found.gate.item(), found.spelling.item(), found.accuracy]

    def step(self, batch: dict[str, Any], rng: np.random.Generator) -> tuple[Sequence[float], float]:
        """Learn from a batch; the temperature stays within CLIP's bounds."""
        found = super().step(batch, rng)
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(100))
        return found


class LocatorTask(RenderedTask[tuple[Tensor, list[Tensor]]]):
    """The embedded model's locator, learning where words stand in rendered scenes.

    Attributes:
        locator: what learns.
    """

    name = "training the locator"
    losses = ("cells", "boxes")
    watched = "cells"
    clip_gradients = 5.0
    settings: LocatorSettings

    def __init__(self, renderer: SignRenderer, settings: LocatorSettings) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.locator = WordLocator()
        super().__init__(settings, RenderedScenes(renderer, settings), self.locator)
        self.optimizer = torch.optim.AdamW(self.locator.parameters(), lr=settings.learning_rate, weight_decay=0.01)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: warm-up, then half a cosine down to zero."""
        settings = self.settings
        fall = (1 + math.cos(math.pi * (step / settings.steps))) / 2
        return settings.learning_rate * min(1.0, (step + 1) / settings.warmup) * fall

    def batch_losses(self, batch: tuple[Tensor, list[Tensor]]) -> tuple[Tensor, list[float]]:
        """Return the loss that is minimised, scalar, and the values by the names of `losses`."""
        images, boxes = batch
        cells, places = locator_loss(self.locator, normalise(images), boxes)
        return cells + self.settings.box_weight * places, [cells.item(), places.item()]
