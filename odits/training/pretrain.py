"""Pretraining of the embedded model from scratch: image-text contrast (Radford et al. 2021) on rendered words."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from odits.models.clip.embedded import CHARACTERS, new_model, normalise, tokenizer
from odits.models.clip.model import encode_tokens
from odits.training.rendering import SignRenderer


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of one pretraining run.

    The learning rate warms up, stays, and falls linearly to zero over the last `decay` share of `steps`; a run that
    stopped before the fall can be resumed with more steps.
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


def plain_share(step: int, config: PretrainConfig) -> float:
    """Share of plainly printed words: reading starts sooner on them. All at first, then fewer, a few to the end."""
    return max(0.05, 1 - step / config.plain_steps)


class RenderedBatches(Dataset[dict[str, Any]]):
    """Batch number i, rendered from (seed, i) alone, so that a resumed run sees what it would have seen."""

    def __init__(self, renderer: SignRenderer, config: PretrainConfig) -> None:
        self.renderer, self.config = renderer, config
        ordered = sorted(renderer.words)
        backwards = sorted(renderer.words, key=lambda word: word[::-1])
        self._similar = (
            (ordered, {w: i for i, w in enumerate(ordered)}),
            (backwards, {w: i for i, w in enumerate(backwards)}),
        )

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, index: int) -> dict[str, Any]:
        cv2.setNumThreads(0)  # the trainer needs the other cores
        rng = np.random.default_rng((self.config.seed, index))
        words = self._words(rng)
        plain = plain_share(index, self.config)
        crops = [(self.renderer.plain if rng.random() < plain else self.renderer.crop)(word, rng) for word in words]
        crops += [
            self.renderer.misframed(words[int(rng.integers(len(words)))], rng) for _ in range(self.config.misframed)
        ]
        return {"images": torch.from_numpy(np.stack(crops)), "words": words, "rivals": self._rivals(words, rng)}

    def _words(self, rng: np.random.Generator) -> list[str]:
        """Distinct words of a batch; some are made of two halves or of digits, so that spelling has to be read."""
        source = self.renderer.words
        chosen: dict[str, None] = {}
        while len(chosen) < self.config.batch:
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
        """Words spelled like the batch's own at the start or at the end: negatives without an image."""
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
        """CTC loss of window tokens (B, 32, width) against the words."""
        spelled = [[CHARACTERS.index(c) + 1 for c in word if c in CHARACTERS] for word in words]
        targets = torch.tensor([c for letters in spelled for c in letters])
        lengths = torch.tensor([len(letters) for letters in spelled])
        log_probabilities = self.letters(tokens).log_softmax(-1).transpose(0, 1)
        columns = torch.full((len(words),), tokens.shape[1])
        return F.ctc_loss(log_probabilities, targets, columns, lengths, zero_infinity=True)


@dataclass
class Losses:
    """The parts of one step's loss and the share of the batch's crops matched to their own word."""

    contrast: Tensor
    gate: Tensor
    spelling: Tensor
    accuracy: float


def batch_losses(
    model: Any, head: SpellingHead, batch: dict[str, Any], tokenize: Callable[[list[str]], Tensor]
) -> Losses:
    """Contrastive, gate and spelling loss of one rendered batch."""
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
    return Losses(contrast, gate, head.loss(tokens, words), accuracy)


def learning_rate(step: int, config: PretrainConfig) -> float:
    """Warm-up, plateau, linear fall to zero."""
    fall = config.steps * config.decay
    return config.learning_rate * min(1.0, (step + 1) / config.warmup, max(0.0, (config.steps - step) / fall))


def pretrain(
    renderer: SignRenderer,
    folder: Path,
    config: PretrainConfig,
    report: Callable[[dict[str, float]], None] = lambda _: None,
) -> Any:
    """The model trained for `config.steps`; resumes from `folder/state.pt` where there is one.

    Every `config.every` steps the state is written under a temporary name and renamed, and `folder/log.jsonl` grows by
    a line. A run killed at any moment goes on from its last state as if it had not been.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model, tokenize = new_model(), tokenizer()
    head = SpellingHead(model.visual.trunk.norm.normalized_shape[0])
    modules = nn.ModuleList([model, head])
    decayed = [p for p in modules.parameters() if p.ndim >= 2]
    others = [p for p in modules.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
    state_file, start = folder / "state.pt", 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        modules.load_state_dict(state["modules"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    batches = DataLoader(
        RenderedBatches(renderer, config),
        batch_size=None,
        sampler=range(start, config.steps),
        num_workers=config.workers,
        prefetch_factor=6 if config.workers else None,
    )
    model.train()
    began, seen = time.monotonic(), 0
    totals: list[tuple[float, float, float, float]] = []
    for step, batch in enumerate(batches, start):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        losses = batch_losses(model, head, batch, tokenize)
        total = losses.contrast + 0.5 * losses.gate + config.spelling_weight * losses.spelling
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(modules.parameters(), 2.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        totals.append((losses.contrast.item(), losses.gate.item(), losses.spelling.item(), losses.accuracy))
        seen += config.batch
        if (step + 1) % config.every == 0 or step + 1 == config.steps:
            state = {"modules": modules.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            torch.save(state | {"config": asdict(config)}, folder / "state.pt.part")
            (folder / "state.pt.part").replace(state_file)
            names = ("contrast", "gate", "spelling", "accuracy")
            line = {"step": step + 1, **dict(zip(names, np.mean(totals, axis=0).tolist(), strict=True))}
            line["samples_per_second"] = seen / (time.monotonic() - began)
            totals.clear()
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps({key: round(value, 4) for key, value in line.items()}) + "\n")
            report(line)
    return model.eval()
