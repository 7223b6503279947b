"""How sharply a trained network recalls lexicons, chosen by how well it ranks the words of its training images.

The loss that trains a network is about all probabilities; which ten words come first hangs on a few numbers of the
recall (`odits.models.fusion.layers.Recall`) that hardly move it. They are chosen afterwards, each training image
without its own lexicon, as a new image is.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from odits.metrics.probabilities import rank_metrics
from odits.models.fusion.layers import Recall

STEPS = {
    "log_sharpness": math.log(1.5),
    "log_weight": math.log(3.0),
    "gate": 0.2,
    "log_floor": math.log(3.0),
}
"""By how much each number is moved at a time; the gate by this share of itself."""
STRIDES = (4, 4, 1, 1, 1)
"""So many steps at once: all numbers are tried with each of these in turn, coarsely first."""
LEAST_GAIN = 1e-4
"""By how much average precision must rise for a number to be moved: less is chance."""


@torch.no_grad()
def choose_recall(
    recall: Recall, others: Tensor, support: Tensor, lexicons: Tensor, own: Tensor
) -> tuple[float, float]:
    """Move a recall's numbers, one at a time, as long as the images' words are ranked better; in place.

    Args:
        recall: of a trained network; its numbers are changed.
        others: logits (B, n) of the images without the recall.
        support: of the evidence (B, n).
        lexicons: (L, n), 1 where a training lexicon holds a word.
        own: int64 (B,), the lexicon of each image, which is left out and which says what is true.

    Returns:
        The mean average precision before and after, in 0..1.
    """
    true = (lexicons[own] > 0).numpy()

    def quality() -> float:
        logits = others + recall(lexicons, support, own)
        return float(np.nanmean(rank_metrics(logits.numpy(), true)["average_precision"]))

    before = best = quality()
    for stride in STRIDES if recall.attends else ():
        for name, step in STEPS.items():
            number = getattr(recall, name)
            for steps in (stride, -stride):
                while True:
                    old = number.clone()
                    number.copy_(number * (1 + step) ** steps if name == "gate" else number + steps * step)
                    found = quality()
                    if found < best + LEAST_GAIN:
                        number.copy_(old)
                        break
                    best = found
    return before, best
