"""Low-rank updates of a model's linear layers (LoRA): few numbers are trained, and added to the weights in the end.

References:
    Hu et al. (2022), "LoRA: Low-Rank Adaptation of Large Language Models", ICLR.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from odits.core.errors import OditsError

_MATRICES = ((nn.Linear, "weight"), (nn.MultiheadAttention, "in_proj_weight"))
"""Layers by their class, and which of their weights get an update."""


class LowRank(nn.Module):
    """W + U D, where U (rows, r) begins with zeros, so that training begins with the weight as it is.

    The paper's scale alpha / r is 1 here: it acts like the learning rate.

    Args:
        weight: W (rows, columns).
        rank: r, at most the smaller side of W.
        generator: draws D (r, columns), normal with variance 1 / columns.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        rank = min(rank, rows, columns)
        drawn = torch.randn(rank, columns, generator=generator) / columns**0.5
        self.down = nn.Parameter(drawn.to(weight.device, weight.dtype))
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device, dtype=weight.dtype))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with its update."""
        return weight + self.up @ self.down


def add_low_rank(
    model: nn.Module, trained: Mapping[str, nn.Parameter], rank: int, seed: int
) -> dict[str, nn.Parameter]:
    """Train low-rank updates in place of a model's weights.

    Args:
        model: changed in place, until `merge_low_rank`.
        trained: the parameters that would be trained, by name. Of them only matrices of linear layers and attentions
            get updates; the others stay as they are, but for the logit scale.
        rank: of the updates.
        seed: of their beginning.

    Returns:
        What is trained now, by name.

    Raises:
        OditsError: no such matrix would be trained.
    """
    generator = torch.Generator().manual_seed(seed)
    matrices = [(module, name) for module, name in _matrices(model) if getattr(module, name).requires_grad]
    if not matrices:
        raise OditsError(
            "No linear layer of this part of the model is trained, so there is nothing for LoRA to update."
        )
    for name, parameter in trained.items():
        parameter.requires_grad_(name == "logit_scale")
    for module, name in matrices:
        parametrize.register_parametrization(module, name, LowRank(getattr(module, name), rank, generator))
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def merge_low_rank(model: nn.Module) -> None:
    """Add all updates to the weights that they belong to; a model without any stays as it is."""
    for module, name in list(_matrices(model)):
        if parametrize.is_parametrized(module, name):
            parametrize.remove_parametrizations(module, name)


def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the state of a model by the names that it has without updates, the weights with theirs."""
    state: dict[str, Tensor] = model.state_dict()
    for prefix, module in model.named_modules():
        if parametrize.is_parametrized(module):
            before = f"{prefix}." if prefix else ""
            parametrizations = module.parametrizations
            assert isinstance(parametrizations, nn.ModuleDict)
            for name in parametrizations:
                inner = f"{before}parametrizations.{name}."
                state = {key: value for key, value in state.items() if not key.startswith(inner)}
                state[f"{before}{name}"] = getattr(module, name).detach()
    return state


def _matrices(model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for module in model.modules():
        for kind, name in _MATRICES:
            if isinstance(module, kind) and getattr(module, name) is not None:
                yield module, name
