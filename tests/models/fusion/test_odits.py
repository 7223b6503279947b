"""The fusion network: CLIP before training, led away from it only through its gates."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from odits.models.fusion.layers import Attention, ObjectAttention, Recall
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
    added, support = evidence(similarity, torch.tensor([[1.0, 0.5]]))
    torch.testing.assert_close(support, torch.tensor([[0.65, 0.1]]))
    torch.testing.assert_close(added, 2 * torch.log1p(torch.tensor([[0.65, 0.1]]) / floor))
    assert evidence.object_weights(torch.zeros(1, 2, 5), torch.tensor([[True, False]])).tolist() == [[0.5, 0.0]]


def slow_recall(recall: Recall, lexicons: np.ndarray, support: np.ndarray, own: int) -> np.ndarray:
    """`Recall` as its docstring has it, a lexicon and a word at a time."""
    others = [row for row in range(len(lexicons)) if row != own]
    frequency = lexicons.sum(0)
    rarity = np.log((len(lexicons) + 1) / (frequency + 1))
    alike = {}
    for row in others:
        words = np.flatnonzero(lexicons[row])
        matching = sum((1 - np.exp(-support[word])) * rarity[word] for word in words)
        alike[row] = (matching / np.sqrt(sum(rarity[word] for word in words)) + 1e-6) ** (
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
    support = torch.rand(1, WORDS, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        found = recall(lexicons(), support, torch.tensor([own]))[0]
        wanted = slow_recall(recall, lexicons().numpy().astype(float), support[0].numpy().astype(float), own)
    np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)


def test_a_subset_has_the_logits_of_all() -> None:
    network, batch, text = trained(), images(), embeddings(WORDS, seed=5)
    subset = torch.tensor([3, 30, 4])
    whole = network(batch, text, lexicons()).logits
    torch.testing.assert_close(
        network(batch, text, lexicons(), subset=subset).logits, whole[:, subset], atol=1e-4, rtol=1e-4
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


def test_attention_is_pytorchs() -> None:
    ours = Attention(WIDTH, 4)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(9))
    theirs = torch.nn.MultiheadAttention(WIDTH, 4, batch_first=True)
    projections = (ours.query, ours.key, ours.value)
    theirs.load_state_dict(
        {
            "in_proj_weight": torch.cat([one.weight for one in projections]),
            "in_proj_bias": torch.cat([one.bias for one in projections]),
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    key, value = embeddings(2, 6, seed=1), embeddings(2, 6, seed=2)
    present = torch.tensor([[True] * 6, [True, False, True, True, False, False]])
    for count in (1, 2, 7):  # with few queries keys and values are not projected
        query = embeddings(2, count, seed=3)
        added, weights = ours(query, key, value, present)
        expected, expected_weights = theirs(query, key, value, key_padding_mask=~present)
        torch.testing.assert_close(added, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(weights, expected_weights, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("count", [2, WORDS])
def test_the_matrix_and_its_cues_are_what_their_formulas_say(count: int) -> None:
    batch, text = images((2,)), embeddings(count, seed=5)
    read = torch.zeros(1, 2, count)
    read[0, 1, 1] = 0.75
    batch = replace(batch, read=read, is_read=torch.tensor([[False, True]]))
    found = model().object_text(batch, text)
    cosines = (batch.objects[0, 0] @ text.T).double().numpy()
    row = np.exp(SCALE * cosines) / np.exp(SCALE * cosines).sum()
    np.testing.assert_allclose(found.similarity[0, 0].numpy(), row, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.weighted[0, 0].numpy(), row @ text.double().numpy(), rtol=1e-3, atol=1e-5)
    entropy = -(row * np.log(row)).sum() / max(1.0, np.log(count))
    wanted = [cosines.max(), row.max(), entropy, float(batch.confidence[0, 0]), 0.0]
    np.testing.assert_allclose(found.cues[0, 0].numpy(), wanted, rtol=1e-3, atol=1e-5)
    assert found.cues[0, 1, 1] == 0.75 and found.cues[0, 1, 4] == 1
    assert found.cues[0, 1, 2] == pytest.approx(-0.75 * np.log(0.75) / max(1.0, np.log(count)), rel=1e-4)


def test_temperatures_scale_the_logits() -> None:
    batch, text = images((0,)), embeddings(WORDS, seed=5)
    network = model()
    network.log_scale.data.fill_(np.log(2.0))
    network.sharpness.data.fill_(np.log(3.0))
    torch.testing.assert_close(network(batch, text).logits, 6 * SCALE * batch.image @ text.T, atol=1e-3, rtol=1e-4)


def test_evidence_and_prior_are_added_before_the_sharpness() -> None:
    batch, text, held = images((3, 0, 5)), embeddings(WORDS, seed=5), lexicons()
    network = model()
    assert network.evidence is not None and network.recall is not None
    network.evidence.gate.data.fill_(0.5)
    network.recall.gate.data.fill_(0.25)
    network.sharpness.data.fill_(np.log(3.0))
    matrix = network.object_text(batch, text)
    weights = network.evidence.object_weights(matrix.cues, batch.present)
    assert weights.tolist() == (0.5 * batch.present).tolist()
    evidence, support = network.evidence(matrix.similarity, weights)
    own = torch.tensor([1, -1, 4])
    expected = 3 * (SCALE * batch.image @ text.T + evidence + network.recall(held, support, own))
    found = network(batch, text, held, own)
    torch.testing.assert_close(found.logits, expected, atol=1e-4, rtol=1e-4)
    assert found.object_weights is not None and found.object_weights.tolist() == weights.tolist()
    assert not torch.allclose(network(batch, text, held).logits, expected, atol=1e-2)


def test_objects_count_by_their_confidence() -> None:
    objects = embeddings(2, 3, seed=1)
    confidence = torch.tensor([[1.0, 0.5, 0.25], [0.0, 1.0, 0.5]])
    found = ObjectAttention(WIDTH)(objects, objects, confidence, torch.ones(2, 3, dtype=torch.bool))
    torch.testing.assert_close(found, confidence[..., None] * objects)


def test_without_attention_the_prior_is_how_many_lexicons_hold_a_word() -> None:
    recall = Recall(attends=False)
    recall.gate.data.fill_(2.0)
    held = torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    with torch.no_grad():
        found = recall(held, torch.ones(2, 3), torch.tensor([0, -1]))
    expected = 2 * np.log(np.array([[1, 0, 0], [2, 0, 1]]) + 0.1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_the_enhancer_attends_to_the_subset_alone_in_training() -> None:
    network, batch, text = trained(), images(), embeddings(WORDS, seed=5)
    subset = torch.tensor([3, 30, 4])
    matrix = network.object_text(batch, text)
    sampled = network(batch, text, subset=subset, sampled=True, matrix=matrix)
    assert network.enhancer is not None
    enhanced = network.enhancer.enhance_text(text[subset])
    given = network(batch, text, subset=torch.arange(3), matrix=matrix, enhanced_text=enhanced)
    assert network.evidence is not None
    added, _ = network.evidence(matrix.similarity, network.evidence.object_weights(matrix.cues, batch.present))
    difference = network.sharpness.exp() * (added[:, subset] - added[:, :3])
    torch.testing.assert_close(sampled.logits, given.logits + difference, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(sampled.logits, network(batch, text, subset=subset).logits, atol=1e-3)
