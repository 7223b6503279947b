"""One epoch of Algorithm 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odits.models.clip.model import encode_tokens
from odits.training.finetune_config import FinetuneConfig
from odits.training.lexicon_data import Pairs
from odits.training.losses import LexiconLoss
from odits.training.parts import Part, encode_chunks
from odits.training.processes import Processes


@dataclass(frozen=True, eq=False)
class Trainee:
    """A model being trained.

    Attributes:
        model: an open_clip model, in evaluation mode.
        tokenize: texts -> token ids (B, context).
        part: which part of it is trained.
        parameters: those that are, by name.
        inputs: float32 (images, ...), what `part.encode` takes.
    """

    model: Any
    tokenize: Callable[[list[str]], Tensor]
    part: Part
    parameters: dict[str, nn.Parameter]
    inputs: np.ndarray


def make_optimizer(parameters: dict[str, nn.Parameter], config: FinetuneConfig) -> torch.optim.Optimizer:
    """Adam or AdamW over the parameters."""
    values = list(parameters.values())
    options: dict[str, Any] = {
        "lr": config.learning_rate,
        "betas": (config.beta1, config.beta2),
        "eps": config.epsilon,
        "weight_decay": config.weight_decay,
    }
    if config.optimizer == "adam":
        return torch.optim.Adam(values, **options)
    spared = {"params": [value for value in values if value.ndim < 2], "weight_decay": 0.0}
    return torch.optim.AdamW([{"params": [value for value in values if value.ndim >= 2]}, spared], **options)


def train_epoch(
    trainee: Trainee,
    batches: Iterable[Pairs],
    loss: LexiconLoss,
    optimizer: torch.optim.Optimizer,
    processes: Processes,
    chunk: int = 0,
) -> dict[str, float]:
    """The losses of one epoch by name (image, text, total), each the mean over its pairs; the model has learned."""
    model, device = trainee.model, trainee.model.logit_scale.device
    sums, seen = np.zeros(3), 0
    for batch in batches:
        mine = processes.share(len(batch))
        count = (mine.stop - mine.start) * processes.world
        kept = torch.from_numpy(trainee.inputs[batch.images[mine]]).to(device)
        image = F.normalize(encode_chunks(trainee.part, kept, chunk or trainee.part.chunk), dim=-1)
        text = F.normalize(encode_tokens(model, trainee.tokenize(batch.words[mine]).to(device)), dim=-1)
        losses = loss(image, text, model.logit_scale.exp(), batch.true[:count, :count].to(device))
        optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        processes.average_gradients(list(trainee.parameters.values()))
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))  # as in CLIP's own training
        sums += count * np.array([value.item() for value in losses])
        seen += count
    return dict(zip(("image", "text", "total"), (sums / seen).tolist(), strict=True))
