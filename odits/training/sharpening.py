"""How sharp a trained model's probabilities are to be: a choice that changes no ranking."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from odits.metrics.probabilities import confidence_metrics

GRID = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)


def best_sharpness(logits: Tensor, true: Tensor, floor: float) -> float:
    """The factor of the logits with the highest precision of the confidence metrics (2.3.11) whose F1 is not below.

    The loss makes probabilities honest: an image's some 49 true words share them, and thousands of false ones keep a
    little each. The confidence metrics compare sums over both groups: precision rises with sharpness, recall falls. As
    for checkpoints, the highest precision counts that is no loss in F1 against the unmodified CLIP.

    Args:
        logits: (m, n) of images that were not learned from.
        true: (m, n), above 0 where a word is in the image's lexicon.
        floor: the F1 of the unmodified CLIP on the same images; where none reaches it, the highest F1 counts.
    """
    scores = [(factor, *_confidence(factor * logits, true)) for factor in GRID]
    allowed = [score for score in scores if score[2] >= floor] or [max(scores, key=lambda score: score[2])]
    return max(allowed, key=lambda score: score[1])[0]


def confidence_f1(logits: Tensor, true: Tensor) -> float:
    """F1 of the confidence metrics (2.3.13), averaged over images, of logits (m, n) and lexicons (m, n)."""
    return _confidence(logits, true)[1]


def _confidence(logits: Tensor, true: Tensor) -> tuple[float, float]:
    """Precision and F1."""
    found = confidence_metrics(torch.softmax(logits, 1).numpy(), true.numpy() > 0)
    return float(np.nanmean(found["precision"])), float(np.nanmean(found["f1"]))
