"""The fusion network: CLIP before training, led away from it only through its gates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from odits.models.fusion.layers import Attention, Recall
from odits.models.fusion.network import EncodedImages, Odits
from odits.models.fusion.settings import OditsConfig

WIDTH, WORDS, SCALE = 16, 50, 30.0


def embeddings(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(*shape, WIDTH, generator=torch.Generator().manual_seed(seed)), dim=-1)


def images(counts: tuple[int, ...] = (3, 0, 5)) -> EncodedImages:
    most = max(1, *counts)
    present = torch.arange(most)[None] < torch.tensor(counts)[:, None]
    objects = embeddings(len(counts), most, seed=1) * present[..., None]
    confidence = torch.rand(len(counts), most, generator=torch.Generator().manual_seed(2)) * present
    return EncodedImages(embeddings(len(counts), seed=3), objects, confidence, present)


def model(**parts: bool) -> Odits:
    torch.manual_seed(4)
    return Odits(OditsConfig(WIDTH, **parts), SCALE)


def lexicons(count: int = 7) -> Tensor:
    """float32 (count, WORDS), about a fifth of them 1."""
    return (torch.rand(count, WORDS, generator=torch.Generator().manual_seed(7)) < 0.2).float()


PARTS = ("object_attention", "weighted_text", "feature_enhancer", "evidence", "prior", "recall")


@pytest.mark.parametrize("left_out", [(), *((part,) for part in PARTS), PARTS])
def test_before_training_it_is_clip(left_out: tuple[str, ...]) -> None:
    batch, text = images(), embeddings(WORDS, seed=5)
    found = model(**dict.fromkeys(left_out, False))(batch, text, lexicons()).logits.softmax(-1)
    wanted = (SCALE * batch.image @ text.T).softmax(-1)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)


def test_an_image_without_objects_is_plain_clip_whatever_was_trained() -> None:
    network = model(feature_enhancer=False, prior=False)
    for parameter in network.parameters():
        parameter.data += 0.1
    network.log_scale.data.zero_()
    network.sharpness.data.zero_()
    batch, text = images((0,)), embeddings(WORDS, seed=5)
    wanted = SCALE * batch.image @ text.T
    torch.testing.assert_close(network(batch, text).logits, wanted, atol=1e-4, rtol=0)


def trained() -> Odits:
    """A network none of whose branches is zero."""
    network = model()
    generator = torch.Generator().manual_seed(6)
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return network.eval()


def test_images_with_different_numbers_of_objects_do_not_see_each_other() -> None:
    network, batch, text = trained(), images((3, 0, 5)), embeddings(WORDS, seed=5)
    together = network(batch, text)
    for row, count in enumerate((3, 0, 5)):
        alone = EncodedImages(
            batch.image[row : row + 1],
            batch.objects[row : row + 1, :count],
            batch.confidence[row : row + 1, :count],
            batch.present[row : row + 1, :count],
        )
        torch.testing.assert_close(network(alone, text).logits[0], together.logits[row], atol=1e-4, rtol=1e-4)


def test_the_order_of_objects_makes_no_difference() -> None:
    network, batch, text = trained(), images((5,)), embeddings(WORDS, seed=5)
    turned = EncodedImages(batch.image, batch.objects.flip(1), batch.confidence.flip(1), batch.present.flip(1))
    one, other = network(batch, text), network(turned, text)
    torch.testing.assert_close(one.logits, other.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(one.attention, other.attention.flip(1), atol=1e-5, rtol=1e-4)


def test_three_hundred_objects_work() -> None:
    found = trained()(images((300, 1)), embeddings(WORDS, seed=5))
    assert torch.isfinite(found.logits).all()
    assert found.similarity.shape == (2, 300, WORDS)
    torch.testing.assert_close(found.attention.sum(1), torch.ones(2))
    assert (found.attention[1, 1:] == 0).all()


def test_rows_that_were_read_take_the_place_of_seen_ones() -> None:
    batch, text = images((2,)), embeddings(WORDS, seed=5)
    read = torch.zeros(1, 2, WORDS)
    read[0, 1, 7] = 0.9
    given = EncodedImages(
        batch.image, batch.objects, batch.confidence, batch.present, read, torch.tensor([[False, True]])
    )
    similarity = model().object_text(given, text).similarity
    assert similarity[0, 1].argmax() == 7 and similarity[0, 1].sum() == pytest.approx(0.9)
    assert similarity[0, 0].sum() == pytest.approx(1)


@pytest.mark.parametrize("steps", [3])
def test_every_part_learns(steps: int) -> None:
    network, batch, text = model(), images(), embeddings(WORDS, seed=5)
    started = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(steps):  # what lies before a zero matrix learns from the second step on
        optimizer.zero_grad()
        F.cross_entropy(network(batch, text, lexicons()).logits, torch.tensor([1, 2, 3])).backward()
        optimizer.step()
    unmoved = [name for name, value in network.named_parameters() if torch.equal(value, started[name])]
    assert unmoved == []


def test_the_evidence_of_objects_is_what_they_add() -> None:
    evidence = model().evidence
    assert evidence is not None
    evidence.gate.data.fill_(2.0)
    similarity = torch.tensor([[[0.5, 0.0], [0.3, 0.2]]])
    floor = float(evidence.log_floor.detach().exp())
    added, told = evidence(similarity, torch.tensor([[1.0, 0.5]]))
    torch.testing.assert_close(told, torch.tensor([[0.65, 0.1]]))
    torch.testing.assert_close(added, 2 * torch.log1p(torch.tensor([[0.65, 0.1]]) / floor))
    assert evidence.object_weights(torch.zeros(1, 2, 5), torch.tensor([[True, False]])).tolist() == [[0.5, 0.0]]


def slow_recall(recall: Recall, lexicons: np.ndarray, told: np.ndarray, own: int) -> np.ndarray:
    """`Recall` as its docstring has it, a lexicon and a word at a time."""
    others = [row for row in range(len(lexicons)) if row != own]
    frequency = lexicons.sum(0)
    rarity = np.log((len(lexicons) + 1) / (frequency + 1))
    alike = {}
    for row in others:
        words = np.flatnonzero(lexicons[row])
        told_of = sum((1 - np.exp(-told[word])) * rarity[word] for word in words)
        alike[row] = (told_of / np.sqrt(sum(rarity[word] for word in words)) + 1e-6) ** (
            1 + float(recall.log_sharpness.exp())
        )
    rest = (1e-6 ** (1 + float(recall.log_sharpness.exp()))) if own >= 0 else 0.0
    total = max(sum(alike.values()) + rest, 1e-3)
    counts = np.zeros(lexicons.shape[1])
    for row in others:
        counts += lexicons[row] * (1 + float(recall.log_weight.exp()) * alike[row] / total)
    if own >= 0:
        counts += lexicons[own] * float(recall.log_weight.exp()) * rest / total
    return float(recall.gate) * np.log(counts + float(recall.log_floor.exp()))


@pytest.mark.parametrize("own", [-1, 2])
def test_recall_is_what_its_formula_says(own: int) -> None:
    recall = Recall()
    recall.gate.data.fill_(1.5)
    told = torch.rand(1, WORDS, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        found = recall(lexicons(), told, torch.tensor([own]))[0]
        wanted = slow_recall(recall, lexicons().numpy().astype(float), told[0].numpy().astype(float), own)
    np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)


def test_words_asked_for_are_those_of_all() -> None:
    network, batch, text = trained(), images(), embeddings(WORDS, seed=5)
    asked = torch.tensor([3, 30, 4])
    whole = network(batch, text, lexicons()).logits
    torch.testing.assert_close(
        network(batch, text, lexicons(), subset=asked).logits, whole[:, asked], atol=1e-4, rtol=1e-4
    )


def test_few_queries_take_the_short_way_to_the_same_result() -> None:
    attention = Attention(WIDTH)
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(9))
    query, key, value = (embeddings(2, count, seed=count) for count in (1, 6, 6))
    present = torch.tensor([[True] * 6, [False] * 6])
    short = attention(query, key, value, present)
    many = attention(query.expand(2, WIDTH, -1), key, value, present)
    torch.testing.assert_close(short[0], many[0][:, :1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(short[1], many[1][:, :1], atol=1e-6, rtol=1e-4)
    assert (short[0][1] == 0).all()


def test_ablations_are_the_same_model_without_a_part() -> None:
    names = {part: set(dict(model(**{part: False}).named_parameters())) for part in PARTS}
    whole = set(dict(model().named_parameters()))
    assert names["object_attention"] < whole and names["evidence"] < whole and names["feature_enhancer"] < whole
    for one, other in itertools.combinations(("object_attention", "evidence", "feature_enhancer"), 2):
        assert names[one] != names[other]
