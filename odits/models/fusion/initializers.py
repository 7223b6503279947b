"""Initial weights of the layers that ODITS adds to CLIP (thesis 3.2), drawn from a named generator and a seed.

Every rule fills a matrix uniformly from [-bound, bound], with the bound from the matrix's fan-in and fan-out:

    xavier   sqrt(6 / (fan_in + fan_out))   Glorot and Bengio 2010, equation 16
    kaiming  sqrt(6 / fan_in)               He et al. 2015, for ReLU: the variance 2 / fan_in of their equation 10
    pytorch  1 / sqrt(fan_in)               what torch.nn.Linear does: kaiming_uniform with a = sqrt(5)

Biases are 0, save that pytorch draws them from the same range as their matrix. Normalising layers start as the
identity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from odits.core.errors import OditsError
from odits.models.fusion.random_streams import random_stream
from odits.models.fusion.settings import INITIALIZERS

if TYPE_CHECKING:
    from torch import Tensor, nn


def initialise(module: nn.Module, initializer: str, generator: str, seed: int) -> None:
    """Set the module's parameters, in the order of `named_parameters()`; the same seed gives the same bytes.

    Numbers are drawn one after another from one stream and used in that order, so that the values depend on names,
    shapes and the three arguments only; not on earlier values, the device or PyTorch's own generator.

    Left as they are: every parameter of a submodule that has `starts_at_zero = True` (the last layer of a residual
    branch, which must give exactly zero before training) and of all below it; and vectors that are neither a bias nor
    part of a normalising layer, such as gates or a word bias, whose start the model itself decides. Query, key and
    value matrices that nn.MultiheadAttention keeps stacked in one parameter count as three matrices, as linear layers.

    Args:
        module: any module, on any device; not one that holds CLIP itself, whose weights would be overwritten.
        initializer: a name from INITIALIZERS.
        generator: a name from odits.models.fusion.random_streams.GENERATORS.
        seed: 0 or more.

    Raises:
        OditsError: an unknown name, or a seed below zero.

    Example:
        >>> from torch import nn
        >>> layer = nn.Linear(6, 1)
        >>> initialise(layer, "kaiming", "mt19937", seed=0)
        >>> float(layer.weight.detach().abs().max()) <= 1.0, float(layer.bias.detach())
        (True, 0.0)
    """
    import torch

    if initializer not in INITIALIZERS:
        raise OditsError(f"There is no initialiser “{initializer}”; choose one of {', '.join(INITIALIZERS)}.")
    stream = random_stream(generator, seed)
    with torch.no_grad():
        drawn: list[tuple[Tensor, float]] = []
        for owner, name, parameter in _to_be_set(module):
            if _normalises(owner):
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            else:
                drawn += _with_bounds(initializer, owner, name, parameter)
        # One call for all: generators are fastest so, and what they return does not depend on how it is cut.
        numbers = stream.uniform(sum(tensor.numel() for tensor, bound in drawn if bound))
        for tensor, bound in drawn:
            if not bound:
                tensor.zero_()
                continue
            own, numbers = numbers[: tensor.numel()], numbers[tensor.numel() :]
            tensor.copy_(torch.from_numpy((2 * own - 1) * bound).view(tensor.shape))


def _with_bounds(initializer: str, owner: nn.Module, name: str, parameter: Tensor) -> list[tuple[Tensor, float]]:
    """Return the tensors of a parameter, each with its bound: 0 for zeros; nothing where it is left alone."""
    if parameter.ndim >= 2:
        return [(matrix, _bound(initializer, *_fans(matrix))) for matrix in _matrices(name, parameter)]
    weights = _weights_of(owner, name) if name.endswith("bias") else ()
    if not weights:
        return []
    bounds = [_bound(initializer, *_fans(weight)) if initializer == "pytorch" else 0.0 for weight in weights]
    return list(zip(parameter.chunk(len(weights)), bounds, strict=True))


def _to_be_set(module: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    """Yield (owner, name in it, parameter) in the order of named_parameters(), shared ones once, no zero branches."""
    seen: set[int] = set()
    marked = [prefix for prefix, owner in module.named_modules() if getattr(owner, "starts_at_zero", False)]
    zero = tuple(f"{prefix}." if prefix else "" for prefix in marked)
    for prefix, owner in module.named_modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if id(parameter) not in seen and not f"{prefix}.".startswith(zero):
                yield owner, name, parameter
            seen.add(id(parameter))


def _normalises(owner: nn.Module) -> bool:
    from torch import nn

    return isinstance(owner, nn.LayerNorm | nn.RMSNorm | nn.GroupNorm)


def _matrices(name: str, parameter: Tensor) -> tuple[Tensor, ...]:
    """Return the matrices that the parameter holds: three in nn.MultiheadAttention's in_proj_weight."""
    return parameter.chunk(3) if name == "in_proj_weight" else (parameter,)


def _weights_of(owner: nn.Module, bias: str) -> tuple[Tensor, ...]:
    """Return the matrices that the owner's bias is added to, in turn; none where it is not a layer's bias."""
    if bias != "in_proj_bias":
        weight = getattr(owner, bias.removesuffix("bias") + "weight", None)
        return () if weight is None or weight.ndim < 2 else (weight,)
    if owner.in_proj_weight is not None:
        return owner.in_proj_weight.chunk(3)
    return owner.q_proj_weight, owner.k_proj_weight, owner.v_proj_weight  # keys or values of another width


def _fans(weight: Tensor) -> tuple[int, int]:
    """Return fan-in and fan-out of a weight (outputs, inputs, *kernel)."""
    outputs, inputs, *kernel = weight.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


def _bound(initializer: str, fan_in: int, fan_out: int) -> float:
    if initializer == "xavier":
        return math.sqrt(6 / (fan_in + fan_out))
    return math.sqrt((6 if initializer == "kaiming" else 1) / fan_in)
