"""Symmetric image-text contrast over a batch (thesis, Algorithm 1): open_clip's `ClipLoss`, and what to do about words
that are true of more than one image.

A word drawn from one image's lexicon is often in another's too (RESTAURANT, THE). Plain contrast pushes that pair apart
although it is right: a false negative.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from open_clip.loss import ClipLoss
from torch import Tensor
from torch.nn import functional as F


class Losses(NamedTuple):
    """L_I (2.4.1), L_T (2.4.2) and their mean, scalars."""

    image: Tensor
    text: Tensor
    total: Tensor


class LexiconLoss(ClipLoss):
    """Contrast over the pairs of all processes; gradients flow to the features of each.

    A constant `logit_bias` (SigLIP) does not change a softmax and is left out.
    """

    def __init__(self, variant: str = "plain", rank: int = 0, world_size: int = 1) -> None:
        super().__init__(gather_with_grad=True, rank=rank, world_size=world_size)
        self.variant = variant

    def forward(self, image: Tensor, text: Tensor, logit_scale: Tensor, true: Tensor) -> Losses:
        """The losses of a batch of B pairs, of which this process holds b.

        Args:
            image, text: normalised features (b, d) of this process's pairs.
            logit_scale: 1 / temperature, scalar.
            true: bool (B, B), [i, j] where text j is true of image i; the diagonal is.
        """
        per_image, per_text = self.get_logits(image, text, logit_scale)
        pair = contrast(per_image, true, self.variant), contrast(per_text, true.T, self.variant)
        return Losses(*pair, (pair[0] + pair[1]) / 2)


def contrast(logits: Tensor, true: Tensor, variant: str) -> Tensor:
    """Mean cross-entropy, scalar, of logits (B, B) whose right answers lie on the diagonal, by a variant of `LOSSES`.

    Args:
        true: bool (B, B), which other answers are right too.
    """
    own = torch.arange(len(logits), device=logits.device)
    if variant == "plain":
        return F.cross_entropy(logits, own)
    if variant == "masked":
        others = true & (own[:, None] != own)
        return F.cross_entropy(logits.masked_fill(others, float("-inf")), own)
    return F.cross_entropy(logits, true / true.sum(1, keepdim=True))
