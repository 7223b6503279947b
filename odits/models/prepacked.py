"""Linear layers whose weights oneDNN has laid out for the processor, once: the same sums, to rounding, in less time.

PyTorch's own linear layers give their weights to the processor's library as they lie in memory. For inference they can
be put in blocks beforehand (`torch.ops.mkldnn`, what PyTorch's compiler does with them). The operators are private: a
small product is tried when they are first asked for, and where they are missing, fail or say something else, layers
stay what they are. Parameters, states and gradients are untouched; a weight that changes is laid out anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

TOLERANCE = 1e-4
"""How far the trial's sums, of 64 products of normal numbers, may lie from PyTorch's own."""

_plain: ContextVar[bool] = ContextVar("plain", default=False)
_packed: Any = WeakTensorKeyDictionary()  # of a weight: its version, and the weight as oneDNN takes it


@cache
def available() -> bool:
    """Return whether the operators are there and compute what PyTorch's own layers do."""
    try:
        draw = torch.Generator().manual_seed(0)
        rows, weight, bias = (torch.randn(size, generator=draw) for size in ((7, 64), (32, 64), (32,)))
        found = _multiply(rows, torch.ops.mkldnn._reorder_linear_weight(weight, None), bias)
        return bool(torch.allclose(found, F.linear(rows, weight, bias), atol=TOLERANCE))
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False


def prepack(model: nn.Module) -> nn.Module:
    """Let the linear layers and attentions of a model use prepacked weights in inference on the processor; return it.

    Layers of other classes than `nn.Linear` and `nn.MultiheadAttention` stay what they are, as all do where the
    operators are not available. What has gradients, is in training, on an accelerator, or in another type than float32
    is computed as before.

    Args:
        model: changed in place; its parameters stay.

    Example:
        >>> layer, rows = nn.Linear(8, 4).eval(), torch.ones(2, 8)
        >>> with torch.inference_mode():
        ...     before = layer(rows)
        ...     torch.allclose(prepack(layer)(rows), before, atol=1e-6)
        True
    """
    if available():
        for layer in model.modules():
            for plain, packed in _CLASSES.items():
                if type(layer) is plain:
                    layer.__class__ = packed  # the same parameters, forward in another way
    return model


@contextmanager
def plainly() -> Iterator[None]:
    """Let all layers of this thread compute as PyTorch's own do, for comparisons of the two."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def is_plain() -> bool:
    """Return whether layers of this thread compute as PyTorch's own do."""
    return _plain.get()


def release(model: nn.Module) -> None:
    """Free the prepacked weights of a model; where they are used again, they are laid out again."""
    for weight in model.parameters():
        _packed.pop(weight, None)


def _multiply(rows: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, packed, bias, "none", [], "")
    return found


def _usable(layer: nn.Module, rows: Tensor, weight: Tensor) -> bool:
    return not (
        _plain.get()
        or layer.training
        or torch.is_grad_enabled()
        or torch.is_autocast_enabled("cpu")
        or weight.is_inference()  # it has no version
        or {rows.device.type, weight.device.type} != {"cpu"}
        or {rows.dtype, weight.dtype} != {torch.float32}
    )


def _linear(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    version, packed = _packed.get(weight, (None, None))
    now = (weight._version, weight.data_ptr())
    if packed is None or version != now:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)
        _packed[weight] = now, packed
    return _multiply(rows, packed, bias)


class PackedLinear(nn.Linear):
    """A linear layer that uses a prepacked weight where it can."""

    def forward(self, input: Tensor) -> Tensor:
        """Compute as `nn.Linear` does, (..., in) to (..., out)."""
        if _usable(self, input, self.weight):
            return _linear(input, self.weight, self.bias)
        return super().forward(input)


class PackedAttention(nn.MultiheadAttention):
    """Self-attention that uses prepacked weights where it can."""

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Compute as `nn.MultiheadAttention` does."""
        plain = (
            query is key
            and key is value
            and key_padding_mask is None
            and not need_weights
            and (attn_mask is None or (attn_mask.ndim == 2 and attn_mask.is_floating_point()))
            and self.batch_first
            and self._qkv_same_embed_dim
            and self.bias_k is None
            and not self.add_zero_attn
            and query.ndim == 3
        )
        if not plain or self.in_proj_weight is None or not _usable(self, query, self.in_proj_weight):
            return super().forward(
                query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
            )
        count, length, width = query.shape
        whole = _linear(query, self.in_proj_weight, self.in_proj_bias)
        parts = whole.view(count, length, 3, self.num_heads, width // self.num_heads).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts.unbind()
        found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=attn_mask)
        found = found.transpose(1, 2).reshape(count, length, width)
        return _linear(found, self.out_proj.weight, self.out_proj.bias), None


_CLASSES: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: PackedLinear,
    nn.MultiheadAttention: PackedAttention,
}
