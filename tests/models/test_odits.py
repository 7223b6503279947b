"""The fusion network: CLIP before training, led away from it only through its gates."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from odits.models.odits import EncodedImages, Odits, OditsConfig

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
    return Odits(OditsConfig(WIDTH, **parts), SCALE, torch.randn(WORDS))


PARTS = ("object_attention", "weighted_text", "feature_enhancer", "evidence", "prior")


@pytest.mark.parametrize("left_out", [(), *((part,) for part in PARTS), PARTS])
def test_before_training_it_is_clip(left_out: tuple[str, ...]) -> None:
    batch, text = images(), embeddings(WORDS, seed=5)
    found = model(**dict.fromkeys(left_out, False))(batch, text).logits.softmax(-1)
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
    similarity = model().object_text(given, text)
    assert similarity[0, 1].argmax() == 7 and similarity[0, 1].sum() == pytest.approx(0.9)
    assert similarity[0, 0].sum() == pytest.approx(1)


@pytest.mark.parametrize("steps", [3])
def test_every_part_learns(steps: int) -> None:
    network, batch, text = model(), images(), embeddings(WORDS, seed=5)
    started = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(steps):  # what lies before a zero matrix learns from the second step on
        optimizer.zero_grad()
        F.cross_entropy(network(batch, text).logits, torch.tensor([1, 2, 3])).backward()
        optimizer.step()
    unmoved = [name for name, value in network.named_parameters() if torch.equal(value, started[name])]
    assert unmoved == []


def test_the_evidence_of_one_object_is_what_it_adds() -> None:
    evidence = model().evidence
    assert evidence is not None
    evidence.gate.data.fill_(2.0)
    similarity = torch.tensor([[[0.5, 0.0], [0.3, 0.2]]])
    confidence, present = torch.tensor([[1.0, 0.5]]), torch.tensor([[True, True]])
    floor = float(evidence.log_floor.detach().exp())
    found = evidence(similarity, confidence, present)
    wanted = 2 * torch.log1p(torch.tensor([[0.65, 0.1]]) / floor)
    torch.testing.assert_close(found, wanted)


def test_ablations_are_the_same_model_without_a_part() -> None:
    names = {part: set(dict(model(**{part: False}).named_parameters())) for part in PARTS}
    whole = set(dict(model().named_parameters()))
    assert names["object_attention"] < whole and names["evidence"] < whole and names["feature_enhancer"] < whole
    for one, other in itertools.combinations(("object_attention", "evidence", "feature_enhancer"), 2):
        assert names[one] != names[other]
