"""ODITS's loss: every word of an image's lexicon is true of it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def multi_positive_loss(logits: Tensor, true: Tensor, weights: Tensor, offset: Tensor | None = None) -> Tensor:
    """Mean cross-entropy, scalar, of each image's softmax with its true words, by weight (Khosla et al. 2020, L_out).

    Args:
        logits: (B, q) of the words that were asked for.
        true: bool (B, q), which of them are true.
        weights: (q,), how much each word counts among an image's true ones.
        offset: (q,), added inside the softmax: the logarithm of how many words each stands for (sampled softmax).
    """
    shares = true * weights
    shares = shares / shares.sum(1, keepdim=True).clamp_min(1e-12)
    everything = torch.logsumexp(logits if offset is None else logits + offset, 1, keepdim=True)
    return -((logits - everything) * shares).sum(1).mean()


def word_weights(frequency: Tensor, imbalance: float) -> Tensor:
    """Weights (n,) of words that so many training lexicons hold (n,): frequency ^ -imbalance, 1 where that is 0."""
    return frequency.clamp_min(1) ** -imbalance


def draw_words(true: Tensor, negatives: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Words (q,) to compute, all true ones of a batch and some others, and the `offset` (q,) that stands for the rest.

    Args:
        true: bool (B, n).
        negatives: how many others; 0: all.
    """
    wanted = true.any(0)
    others = torch.nonzero(~wanted)[:, 0]
    if not 0 < negatives < len(others):
        return torch.arange(true.shape[1]), torch.zeros(true.shape[1])
    drawn = others[torch.from_numpy(np.sort(rng.permutation(len(others))[:negatives]))]
    asked = torch.cat([torch.nonzero(wanted)[:, 0], drawn])
    offset = torch.zeros(len(asked))
    offset[int(wanted.sum()) :] = float(np.log(len(others) / negatives))
    return asked, offset
