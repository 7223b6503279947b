"""Initialisers: bounds and fans, which parameters are touched, and the same bytes for the same seed."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from odits.core.errors import OditsError
from odits.models.fusion.initializers import INITIALIZERS, initialise
from odits.models.fusion.random_streams import GENERATORS, random_stream


class Branch(nn.Module):
    """A little of everything that the fusion layers are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(64)
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.wide = nn.Linear(64, 256)
        self.convolution = nn.Conv2d(8, 16, (3, 5))
        self.token = nn.Parameter(torch.full((1, 64), 9.0))
        self.gate = nn.Parameter(torch.tensor(0.25))
        self.word_bias = nn.Parameter(torch.linspace(-1, 1, 7))
        self.back = nn.Linear(256, 64)
        nn.init.zeros_(self.back.weight)
        nn.init.zeros_(self.back.bias)
        self.back.starts_at_zero = True


def limit(tensor: torch.Tensor) -> float:
    return float(tensor.detach().abs().max())


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_bounds(initializer: str, generator: str) -> None:
    branch = Branch()
    initialise(branch, initializer, generator, 1)
    weights = {  # fan-in, fan-out
        branch.wide.weight: (64, 256),
        branch.convolution.weight: (8 * 15, 16 * 15),
        branch.attention.out_proj.weight: (64, 64),
        **{branch.attention.in_proj_weight[64 * k : 64 * (k + 1)]: (64, 64) for k in range(3)},
    }
    for weight, (fan_in, fan_out) in weights.items():
        bound = {
            "xavier": math.sqrt(6 / (fan_in + fan_out)),
            "kaiming": math.sqrt(6 / fan_in),
            "pytorch": math.sqrt(1 / fan_in),
        }[initializer]
        assert 0.98 * bound < limit(weight) <= bound * (1 + 1e-6)
        assert float(weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
    for bias in (branch.wide.bias, branch.convolution.bias, branch.attention.in_proj_bias):
        assert (limit(bias) > 0) == (initializer == "pytorch")
    assert limit(branch.wide.bias) <= 1 / 8


@pytest.mark.parametrize(
    ("initializer", "theirs"),
    [
        ("xavier", nn.init.xavier_uniform_),
        ("kaiming", lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu")),
        ("pytorch", lambda weight: nn.init.kaiming_uniform_(weight, a=math.sqrt(5))),
    ],
)
@pytest.mark.parametrize("layer", [nn.Linear(300, 500), nn.Conv2d(30, 20, (7, 5))])
def test_ranges_are_pytorchs(initializer: str, theirs: object, layer: nn.Module) -> None:
    initialise(layer, initializer, "mt19937", 0)
    ours = limit(layer.weight)
    theirs(layer.weight)  # type: ignore[operator]
    assert ours == pytest.approx(limit(layer.weight), rel=0.01)


def test_pytorch_biases_are_its_linear_layers() -> None:
    layer = nn.Linear(100, 5000)
    theirs = limit(layer.bias)
    initialise(layer, "pytorch", "well512a", 0)
    assert limit(layer.bias) == pytest.approx(theirs, rel=0.01)


def test_what_is_left_alone() -> None:
    branch = Branch()
    with torch.no_grad():
        branch.norm.weight.fill_(5)
        branch.norm.bias.fill_(5)
    initialise(branch, "pytorch", "mrg32k3a", 3)
    assert torch.equal(branch.norm.weight, torch.ones(64))
    assert torch.equal(branch.norm.bias, torch.zeros(64))
    assert limit(branch.back.weight) == limit(branch.back.bias) == 0
    assert branch.gate == 0.25
    assert torch.equal(branch.word_bias, torch.linspace(-1, 1, 7))
    assert limit(branch.token) < 1  # a matrix of one row, so drawn


def test_zero_marks_reach_below_and_up_to_the_root() -> None:
    inner = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4)))
    before = [parameter.clone() for parameter in inner.parameters()]
    inner.starts_at_zero = True
    for module in (inner, nn.ModuleList([nn.Linear(4, 4), inner])):
        initialise(module, "kaiming", "mt19937", 0)
        assert all(map(torch.equal, inner.parameters(), before))


def test_values_follow_the_stream_in_the_order_of_named_parameters() -> None:
    branch = Branch()
    initialise(branch, "kaiming", "mlfg6331_64", 5)
    drawn = [
        branch.token, *branch.attention.in_proj_weight.chunk(3), branch.attention.out_proj.weight, branch.wide.weight,
        branch.convolution.weight,
    ]  # fmt: skip
    names = [name for name, parameter in branch.named_parameters() if parameter.ndim > 1 and "back" not in name]
    assert names[0] == "token"
    numbers = random_stream("mlfg6331_64", 5).uniform(sum(weight.numel() for weight in drawn))
    for weight in drawn:
        bound = math.sqrt(6 / math.prod(weight.shape[1:]))
        mine, numbers = np.split(numbers, [weight.numel()])
        assert np.array_equal(weight.detach().numpy().ravel(), ((2 * mine - 1) * bound).astype(np.float32))


@pytest.mark.parametrize("generator", GENERATORS)
def test_same_seed_same_bytes(generator: str) -> None:
    branches = [Branch() for _ in range(3)]
    for branch, seed in zip(branches, (4, 4, 5), strict=True):
        torch.manual_seed(seed * 100)  # PyTorch's own generator has no part in it
        initialise(branch, "xavier", generator, seed)
    first, second, third = (
        b"".join(tensor.numpy().tobytes() for tensor in branch.state_dict().values()) for branch in branches
    )
    assert first == second
    assert first != third


def test_generators_differ() -> None:
    layers = [nn.Linear(8, 8) for _ in GENERATORS]
    for layer, generator in zip(layers, GENERATORS, strict=True):
        initialise(layer, "xavier", generator, 0)
    assert not any(torch.equal(a.weight, b.weight) for a, b in pairwise(layers))


def test_shared_parameters_are_drawn_once() -> None:
    tied = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])
    tied[1].weight = tied[0].weight
    alone = nn.Linear(6, 6)
    initialise(tied, "xavier", "mt19937", 0)
    initialise(alone, "xavier", "mt19937", 0)
    assert torch.equal(tied[0].weight, alone.weight)


def test_attention_over_keys_of_another_width() -> None:
    attention = nn.MultiheadAttention(32, 4, kdim=512, vdim=8)
    initialise(attention, "pytorch", "mt19937", 0)
    for weight, bias in zip(
        (attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight),
        attention.in_proj_bias.chunk(3),
        strict=True,
    ):
        bound = 1 / math.sqrt(weight.shape[1])
        assert 0.9 * bound < limit(weight) <= bound
        assert 0.6 * bound < limit(bias) <= bound


def test_half_precision_is_rounded_from_the_same_numbers() -> None:
    single, half = nn.Linear(64, 64), nn.Linear(64, 64).half()
    initialise(single, "pytorch", "well512a", 2)
    initialise(half, "pytorch", "well512a", 2)
    assert torch.allclose(half.weight.float(), single.weight, atol=1e-4)


@pytest.mark.parametrize(
    ("initializer", "generator", "seed", "message"),
    [
        ("orthogonal", "mt19937", 0, "xavier, kaiming, pytorch"),
        ("xavier", "pcg", 0, "well512a"),
        ("xavier", "mt19937", -3, "-3"),
    ],
)
def test_mistakes_are_named(initializer: str, generator: str, seed: int, message: str) -> None:
    with pytest.raises(OditsError, match=message):
        initialise(nn.Linear(2, 2), initializer, generator, seed)
