"""Losses of the trainings, and how sharp ODITS's probabilities are made on held-out images.

Fine-tuning contrasts images with words over a batch (thesis, Algorithm 1): open_clip's `ClipLoss`, and what to do about
words that are true of more than one image. A word drawn from one image's lexicon is often in another's too (RESTAURANT,
THE); plain contrast pushes that pair apart although it is right: a false negative. ODITS learns all words of an image's
lexicon at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from open_clip.loss import ClipLoss
from torch import Tensor
from torch.nn import functional as F

from odits.metrics.probabilities import confidence_metrics

_FAR, _HALVINGS = 20.0, 60  # sigma(-20) of a million pairs sums to less than one; 60 halvings leave no error


class Losses(NamedTuple):
    """L_I (2.4.1), L_T (2.4.2) and their mean, scalars."""

    image: Tensor
    text: Tensor
    total: Tensor


class LexiconLoss(ClipLoss):
    """Contrast over the pairs of all processes; gradients flow to the features of each.

    A constant `logit_bias` (SigLIP) does not change a softmax and is left out; "sigmoid" fits its own to each batch.
    """

    def __init__(self, variant: str = "plain", rank: int = 0, world_size: int = 1) -> None:
        super().__init__(gather_with_grad=True, rank=rank, world_size=world_size)
        self.variant = variant

    def forward(self, image: Tensor, text: Tensor, logit_scale: Tensor, true: Tensor) -> Losses:
        """Return the losses of a batch of B pairs, of which this process holds b.

        Args:
            image: normalised features (b, d) of this process's images.
            text: those of its words, (b, d).
            logit_scale: 1 / temperature, scalar.
            true: bool (B, B), [i, j] where text j is true of image i; the diagonal is.
        """
        per_image, per_text = self.get_logits(image, text, logit_scale)
        if self.variant == "sigmoid":
            loss = judge_pairs(per_image, true)
            return Losses(loss, loss, loss)
        pair = contrast(per_image, true, self.variant), contrast(per_text, true.T, self.variant)
        return Losses(*pair, (pair[0] + pair[1]) / 2)


def contrast(logits: Tensor, true: Tensor, variant: str) -> Tensor:
    """Return the mean cross-entropy, scalar, of logits (B, B) whose right answers lie on the diagonal.

    Args:
        logits: similarities, divided by the temperature.
        true: bool (B, B), which other answers are right too.
        variant: what becomes of them, one of `odits.training.settings.LOSSES`.
    """
    own = torch.arange(len(logits), device=logits.device)
    if variant == "plain":
        return F.cross_entropy(logits, own)
    if variant == "masked":
        others = true & (own[:, None] != own)
        return F.cross_entropy(logits.masked_fill(others, float("-inf")), own)
    return F.cross_entropy(logits, true / true.sum(1, keepdim=True))


def judge_pairs(logits: Tensor, true: Tensor) -> Tensor:
    """Return SigLIP's loss, scalar: -1/B sum over i, j of ln sigma(z_ij (l_ij + b)), z_ij = 1 where true, else -1.

    The bias b is the one with the lowest loss on the batch, which makes the sigmas sum to the number of true pairs. The
    loss does not change with b there, so the gradients are those of a bias that is learned with the weights, and no
    weight that CLIP's checkpoints lack is stored.

    Args:
        logits: similarities (B, B), divided by the temperature.
        true: bool (B, B).

    References:
        Zhai et al. (2023), "Sigmoid Loss for Language Image Pre-Training", eq. 1.
    """
    signs = true.to(logits.dtype) * 2 - 1
    return -F.logsigmoid(signs * (logits + _best_bias(logits.detach(), true))).sum() / len(logits)


def _best_bias(logits: Tensor, true: Tensor) -> Tensor:
    """Return the bias at which the sigmas of all pairs sum to the number of true ones, scalar, by bisection."""
    values, count = logits.double(), int(true.sum())
    low, high = -values.max() - _FAR, -values.min() + _FAR
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if torch.sigmoid(values + middle).sum() < count else (low, middle)
    return ((low + high) / 2).to(logits.dtype)


def multi_positive_loss(logits: Tensor, true: Tensor, weights: Tensor, offset: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy, scalar, of each image's softmax with its true words (Khosla et al. 2020, L_out).

    Args:
        logits: (B, q) of a subset of the words.
        true: bool (B, q), which of them are true.
        weights: (q,), how much each word counts among an image's true ones.
        offset: (q,), added inside the softmax: the logarithm of how many words each stands for (sampled softmax).
    """
    shares = true * weights
    shares = shares / shares.sum(1, keepdim=True).clamp_min(1e-12)
    everything = torch.logsumexp(logits if offset is None else logits + offset, 1, keepdim=True)
    return -((logits - everything) * shares).sum(1).mean()


def word_weights(frequency: Tensor, imbalance: float) -> Tensor:
    """Return weights (n,) of words: frequency ^ -imbalance, where `frequency` (n,) training lexicons hold each."""
    return frequency.clamp_min(1) ** -imbalance


def draw_words(true: Tensor, negatives: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw the words whose logits are computed: all true ones of a batch and some others.

    Args:
        true: bool (B, n).
        negatives: how many others; 0: all.
        rng: draws them.

    Returns:
        The words, int64 (q,), and the `offset` (q,) of `multi_positive_loss` that stands for the rest.
    """
    positive = true.any(0)
    others = torch.nonzero(~positive)[:, 0]
    if not 0 < negatives < len(others):
        return torch.arange(true.shape[1]), torch.zeros(true.shape[1])
    drawn = others[torch.from_numpy(np.sort(rng.permutation(len(others))[:negatives]))]
    subset = torch.cat([torch.nonzero(positive)[:, 0], drawn])
    offset = torch.zeros(len(subset))
    offset[int(positive.sum()) :] = float(np.log(len(others) / negatives))
    return subset, offset


SHARPNESS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)


def best_sharpness(logits: Tensor, true: Tensor, floor: float) -> float:
    """Return the factor of the logits with the highest precision of the confidence metrics (2.3.11) that keeps the F1.

    The loss makes probabilities honest: an image's some 49 true words share them, and thousands of false ones keep a
    little each. The confidence metrics compare sums over both groups: precision rises with sharpness, recall falls. As
    for checkpoints, the highest precision counts that is no loss in F1 against the unmodified CLIP.

    Args:
        logits: (m, n) of images that were not learned from.
        true: (m, n), above 0 where a word is in the image's lexicon.
        floor: the F1 of the unmodified CLIP on the same images; where none reaches it, the highest F1 counts.
    """
    scores = [(factor, *_confidence(factor * logits, true)) for factor in SHARPNESS]
    allowed = [score for score in scores if score[2] >= floor] or [max(scores, key=lambda score: score[2])]
    return max(allowed, key=lambda score: score[1])[0]


def confidence_f1(logits: Tensor, true: Tensor) -> float:
    """Return the F1 of the confidence metrics (2.3.13), averaged over images, of logits (m, n) and lexicons (m, n)."""
    return _confidence(logits, true)[1]


def _confidence(logits: Tensor, true: Tensor) -> tuple[float, float]:
    """Return precision and F1."""
    found = confidence_metrics(torch.softmax(logits, 1).numpy(), true.numpy() > 0)
    return float(np.nanmean(found["precision"])), float(np.nanmean(found["f1"]))
