"""Training of the embedded model's locator on rendered scenes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from odits.models.clip.embedded import WordLocator, locator_loss, normalise
from odits.training.rendering import SignRenderer
from odits.training.scenes import draw_scene


@dataclass(frozen=True)
class LocatorConfig:
    """Settings of the locator's training; the learning rate falls from its peak along half a cosine."""

    steps: int = 1500
    batch: int = 8
    learning_rate: float = 2e-3
    warmup: int = 50
    box_weight: float = 1.0
    seed: int = 0
    workers: int = 1
    every: int = 20


class RenderedScenes(Dataset[tuple[Tensor, list[Tensor]]]):
    """Batch number i of scenes, uint8 (B, 256, 384, 3), with their words' boxes; drawn from (seed, i) alone."""

    def __init__(self, renderer: SignRenderer, config: LocatorConfig) -> None:
        self.renderer, self.config = renderer, config

    def __len__(self) -> int:
        return self.config.steps

    def __getitem__(self, index: int) -> tuple[Tensor, list[Tensor]]:
        cv2.setNumThreads(0)  # the trainer needs the other cores
        rng = np.random.default_rng((self.config.seed, 1, index))
        scenes = [draw_scene(self.renderer, rng) for _ in range(self.config.batch)]
        images = torch.from_numpy(np.stack([scene.image for scene in scenes]))
        return images, [torch.from_numpy(scene.boxes) for scene in scenes]


def train_locator(
    renderer: SignRenderer,
    folder: Path,
    config: LocatorConfig,
    report: Callable[[dict[str, float]], None] = lambda _: None,
) -> WordLocator:
    """The locator trained for `config.steps`; resumes from `folder/locator.pt` where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    locator = WordLocator()
    optimizer = torch.optim.AdamW(locator.parameters(), lr=config.learning_rate, weight_decay=0.01)
    state_file, start = folder / "locator.pt", 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        locator.load_state_dict(state["locator"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    batches = DataLoader(
        RenderedScenes(renderer, config),
        batch_size=None,
        sampler=range(start, config.steps),
        num_workers=config.workers,
        prefetch_factor=6 if config.workers else None,
    )
    locator.train()
    totals: list[tuple[float, float]] = []
    for step, (images, boxes) in enumerate(batches, start):
        share = step / config.steps
        rate = config.learning_rate * min(1.0, (step + 1) / config.warmup) * (1 + math.cos(math.pi * share)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        cells, places = locator_loss(locator, normalise(images), boxes)
        optimizer.zero_grad(set_to_none=True)
        (cells + config.box_weight * places).backward()
        nn.utils.clip_grad_norm_(locator.parameters(), 5.0)
        optimizer.step()
        totals.append((cells.item(), places.item()))
        if (step + 1) % config.every == 0 or step + 1 == config.steps:
            state = {"locator": locator.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            torch.save(state, folder / "locator.pt.part")
            (folder / "locator.pt.part").replace(state_file)
            cell_loss, box_loss = np.mean(totals, axis=0)
            totals.clear()
            report({"step": step + 1, "cells": float(cell_loss), "boxes": float(box_loss)})
    return locator.eval()
