"""How sharply lexicons are recalled is chosen on training images, each without its own lexicon."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from odits.models.fusion.layers import Recall
from odits.training.recall import choose_recall

IMAGES, GROUPS, WORDS = 24, 4, 60


@pytest.fixture
def street() -> tuple[Tensor, Tensor, Tensor]:
    """Logits without recall, support of one word that is read in each image, and lexicons that lie in four groups."""
    draw = torch.Generator().manual_seed(0)
    of_group = torch.rand(GROUPS, WORDS, generator=draw) < 0.3
    group = torch.arange(IMAGES) % GROUPS
    lexicons = (of_group[group] & (torch.rand(IMAGES, WORDS, generator=draw) < 0.8)).float()
    support = torch.zeros(IMAGES, WORDS)
    support[torch.arange(IMAGES), lexicons.argmax(1)] = 5.0
    return torch.zeros(IMAGES, WORDS), support, lexicons


def test_words_are_ranked_better_and_the_numbers_say_by_what(street: tuple[Tensor, Tensor, Tensor]) -> None:
    others, support, lexicons = street
    recall = Recall()
    with torch.no_grad():
        recall.gate.fill_(0.1)
        recall.log_weight.fill_(-3.0)  # hardly looks at what was read
    before, after = choose_recall(recall, others, support, lexicons, torch.arange(IMAGES))
    assert before + 0.05 < after < 1
    assert float(recall.log_weight.detach()) > -3
    again, same = choose_recall(recall, others, support, lexicons, torch.arange(IMAGES))
    assert again == pytest.approx(after) and same >= again


def test_it_only_ever_gets_better_on_those_images(street: tuple[Tensor, Tensor, Tensor]) -> None:
    _, support, lexicons = street
    noise = torch.randn(IMAGES, WORDS, generator=torch.Generator().manual_seed(1))
    for weight in (-4.0, 2.0, 6.0):
        recall = Recall()
        with torch.no_grad():
            recall.gate.fill_(1.0)
            recall.log_weight.fill_(weight)
        before, after = choose_recall(recall, noise, support, lexicons, torch.arange(IMAGES))
        assert after >= before


def test_a_prior_that_attends_to_nothing_stays(street: tuple[Tensor, Tensor, Tensor]) -> None:
    others, support, lexicons = street
    recall = Recall(attends=False)
    before, after = choose_recall(recall, others, support, lexicons, torch.arange(IMAGES))
    assert before == after and float(recall.gate.detach()) == 0
