"""Prepacked layers compute what PyTorch's own do, and only where nothing else depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from odits.models import prepacked
from odits.models.clip.embedded import create_untrained
from odits.models.prepacked import PackedAttention, PackedLinear, plainly, prepack


@pytest.fixture(autouse=True)
def same_start() -> Iterator[None]:
    torch.manual_seed(0)
    prepacked.available.cache_clear()
    yield
    prepacked.available.cache_clear()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The rows that prepacked products were computed of."""
    if not prepacked.available():
        pytest.skip("this build of PyTorch lacks the operators")
    found, multiply = list[Tensor](), prepacked._multiply

    def counted(rows: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
        found.append(rows)
        return multiply(rows, packed, bias)

    monkeypatch.setattr(prepacked, "_multiply", counted)
    return found


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 24), (5, 24), (2, 3, 24), (0, 24)])
def test_a_linear_layer_gives_the_same_sums(shape: tuple[int, ...], bias: bool, calls: list[Tensor]) -> None:
    layer, rows = nn.Linear(24, 10, bias=bias).eval(), torch.randn(shape)
    with torch.inference_mode():
        before = layer(rows)
        torch.testing.assert_close(prepack(layer)(rows), before, atol=1e-5, rtol=1e-5)
    assert type(layer) is PackedLinear and len(calls) == 1


@pytest.mark.parametrize("masked", [True, False])
def test_attention_gives_the_same(masked: bool, calls: list[Tensor]) -> None:
    layer, rows = nn.MultiheadAttention(16, 4, batch_first=True).eval(), torch.randn(3, 7, 16)
    mask = torch.full((7, 7), float("-inf")).triu(1) if masked else None
    with torch.inference_mode():
        before, _ = layer(rows, rows, rows, need_weights=False, attn_mask=mask)
        found, weights = prepack(layer)(rows, rows, rows, need_weights=False, attn_mask=mask)
    torch.testing.assert_close(found, before, atol=1e-5, rtol=1e-5)
    assert type(layer) is PackedAttention and weights is None and len(calls) == 2


def test_attention_that_is_asked_for_more_is_pytorchs_own(calls: list[Tensor]) -> None:
    layer, rows, other = (
        nn.MultiheadAttention(16, 4, batch_first=True).eval(),
        torch.randn(3, 7, 16),
        torch.randn(3, 5, 16),
    )
    padding = torch.zeros(3, 7, dtype=torch.bool)
    padding[:, 5:] = True
    asked = (
        lambda: layer(rows, rows, rows)[1],
        lambda: layer(rows, other, other, need_weights=False)[0],
        lambda: layer(rows, rows, rows, need_weights=False, key_padding_mask=padding)[0],
    )
    with torch.inference_mode():
        before = [ask() for ask in asked]
        prepack(layer)
        for ask, expected in zip(asked, before, strict=True):
            torch.testing.assert_close(ask(), expected)
    assert all(rows.shape[-1] == 16 for rows in calls)


def test_a_weight_that_changes_is_laid_out_anew(calls: list[Tensor]) -> None:
    layer, rows = prepack(nn.Linear(8, 4).eval()), torch.randn(3, 8)
    with torch.inference_mode():
        layer(rows)
    with torch.no_grad():
        layer.weight.mul_(2)
    layer.load_state_dict({"weight": layer.state_dict()["weight"] + 1, "bias": torch.zeros(4)})
    with torch.inference_mode():
        torch.testing.assert_close(layer(rows), rows @ layer.weight.T, atol=1e-5, rtol=1e-5)
    layer.weight.data = torch.ones(4, 8)
    with torch.inference_mode():
        torch.testing.assert_close(layer(rows), rows.sum(1, keepdim=True).expand(3, 4), atol=1e-5, rtol=1e-5)
    assert len(calls) == 3


def test_training_gradients_and_states_are_untouched(calls: list[Tensor]) -> None:
    layer = prepack(nn.Linear(8, 4))
    plain = nn.Linear(8, 4)
    plain.load_state_dict(layer.state_dict())
    rows = torch.randn(3, 8)
    for one in (layer, plain):
        one.train()
        one(rows).sum().backward()
        one.eval()
        one(rows).sum().backward()
    assert torch.equal(layer.weight.grad, plain.weight.grad) and not calls
    assert list(layer.state_dict()) == list(plain.state_dict())
    copied = deepcopy(layer)
    with torch.inference_mode():
        torch.testing.assert_close(layer(rows), copied(rows))
        with plainly():
            layer(rows)
        layer.double()(rows.double())
    assert len(calls) == 2


def test_layers_stay_what_they_are_where_the_operators_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> Tensor:
        raise RuntimeError("no such operator")

    def wrong(rows: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
        return torch.zeros(len(rows), 32)

    for fault in (missing, wrong):
        prepacked.available.cache_clear()
        monkeypatch.setattr(prepacked, "_multiply", fault)
        layer = prepack(nn.Sequential(nn.Linear(8, 4)))[0]  # type: ignore[index]
        assert not prepacked.available() and type(layer) is nn.Linear
        with torch.inference_mode():
            assert layer(torch.ones(1, 8)).shape == (1, 4)


@pytest.mark.slow
def test_a_whole_clip_model_gives_the_same_embeddings(calls: list[Tensor]) -> None:
    model = create_untrained("ViT-B-32").eval()
    pixels, tokens = torch.randn(2, 3, 224, 224), torch.randint(1, 1000, (3, 77))
    with torch.inference_mode():
        before = model.encode_image(pixels, normalize=True), model.encode_text(tokens, normalize=True)
        prepack(model)
        after = model.encode_image(pixels, normalize=True), model.encode_text(tokens, normalize=True)
    assert len(calls) == 2 * 12 * 4  # both towers: two products of each attention and of each MLP
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, atol=2e-6, rtol=0)
