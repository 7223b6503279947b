"""The losses against the formulas written out word by word."""

import math

import pytest
import torch
from open_clip.loss import ClipLoss
from torch.nn import functional as F

from odits.training.losses import LexiconLoss, judge_pairs

PAIRS = 5


@pytest.fixture(scope="module")
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features of five pairs, and which word is true of which image."""
    generator = torch.Generator().manual_seed(0)
    image, text = (F.normalize(torch.randn(PAIRS, 4, generator=generator), dim=1) for _ in range(2))
    true = torch.eye(PAIRS, dtype=torch.bool)
    true[0, 3] = true[2, 1] = true[2, 4] = True
    return image, text, true


def slow_reference(
    image: torch.Tensor, text: torch.Tensor, scale: float, true: torch.Tensor, variant: str
) -> list[float]:
    """Image and text loss, one exponential at a time."""
    found = []
    for rows, columns, right in ((image, text, true), (text, image, true.T)):
        total = 0.0
        for i in range(PAIRS):
            similarity = [scale * float(rows[i] @ columns[j]) for j in range(PAIRS)]
            asked = [j for j in range(PAIRS) if variant != "masked" or j == i or not right[i, j]]
            denominator = math.log(sum(math.exp(similarity[j]) for j in asked))
            answers = [j for j in range(PAIRS) if right[i, j]] if variant == "shared" else [i]
            total += sum(denominator - similarity[j] for j in answers) / len(answers)
        found.append(total / PAIRS)
    return found


@pytest.mark.parametrize("variant", ["plain", "masked", "shared"])
def test_losses_are_what_their_formulas_say(batch: tuple[torch.Tensor, ...], variant: str) -> None:
    image, text, true = batch
    found = LexiconLoss(variant)(image, text, torch.tensor(7.0), true)
    expected = slow_reference(image, text, 7.0, true, variant)
    assert [float(found.image), float(found.text)] == pytest.approx(expected, rel=1e-5)
    assert float(found.total) == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_plain_is_open_clips_own(batch: tuple[torch.Tensor, ...]) -> None:
    image, text, true = batch
    scale = torch.tensor(7.0)
    assert torch.equal(LexiconLoss("plain")(image, text, scale, true).total, ClipLoss()(image, text, scale))


def test_sigmoid_is_siglips_loss_at_the_best_bias(batch: tuple[torch.Tensor, ...]) -> None:
    image, text, true = batch
    found = LexiconLoss("sigmoid")(image, text, torch.tensor(7.0), true)
    logits = (7.0 * image @ text.T).tolist()

    def loss(bias: float) -> float:
        pairs = [(1 if true[i, j] else -1) * (logits[i][j] + bias) for i in range(PAIRS) for j in range(PAIRS)]
        return sum(math.log1p(math.exp(-pair)) for pair in pairs) / PAIRS

    lowest = min(loss(step / 1000) for step in range(-10_000, 10_000))
    assert found.image == found.text == found.total
    assert float(found.total) == pytest.approx(lowest, rel=1e-5)


def test_sigmoid_does_not_care_for_a_constant(batch: tuple[torch.Tensor, ...]) -> None:
    image, text, true = batch
    logits = 7.0 * image @ text.T
    assert float(judge_pairs(logits + 3, true)) == pytest.approx(float(judge_pairs(logits, true)), rel=1e-5)
    assert bool(torch.isfinite(judge_pairs(logits, torch.ones_like(true))))


@pytest.mark.parametrize("variant", ["masked", "shared"])
def test_without_shared_words_all_variants_agree(batch: tuple[torch.Tensor, ...], variant: str) -> None:
    image, text, _ = batch
    alone = torch.eye(PAIRS, dtype=torch.bool)
    found = [LexiconLoss(name)(image, text, torch.tensor(7.0), alone).total for name in ("plain", variant)]
    assert torch.allclose(*found)


def test_a_masked_pair_pulls_nowhere(batch: tuple[torch.Tensor, ...]) -> None:
    """The gradient of image 0 does not depend on the other word that is true of it."""
    image, text, true = batch
    gradients = []
    for moved in (text, text.clone().index_copy(0, torch.tensor([3]), -text[3:4])):
        features = image.clone().requires_grad_()
        LexiconLoss("masked")(features, moved, torch.tensor(7.0), true).image.backward()
        gradients.append(features.grad[0])
    assert torch.allclose(*gradients)
