"""Text embeddings at the shortest context that loses nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def is_causal(model: nn.Module) -> bool:
    """Whether a text's embedding depends only on its tokens up to the end-of-text token.

    True for open_clip's causal text towers pooled at the end-of-text token: their padding can be left out.
    """
    tower: Any = getattr(model, "text", model)
    return (
        getattr(tower, "attn_mask", None) is not None
        and getattr(tower, "cls_emb", None) is None
        and not getattr(tower, "use_pad_mask", False)
        and _pool_type(tower) in ("argmax", "eos")
    )


def _pool_type(tower: Any) -> str:
    return str(getattr(tower, "text_pool_type", None) or getattr(tower, "pool_type", ""))


def encode_tokens(model: nn.Module, tokens: Tensor) -> Tensor:
    """Text features (B, d) of token ids (B, context), unnormalised, as `model.encode_text` returns them.

    A causal tower never looks beyond the end-of-text token, so the columns after the longest text are not computed.
    Gradients flow. Other towers are called as they are.
    """
    if not is_causal(model):
        return model.encode_text(tokens)  # type: ignore[operator]
    tower: Any = getattr(model, "text", model)
    if _pool_type(tower) == "argmax":
        ends = tokens.argmax(dim=1)
    else:
        end = getattr(tower, "text_eos_id", None) or getattr(tower, "eos_id", 2)
        ends = (tokens == end).int().argmax(dim=1)
    length = int(ends.max()) + 1
    tokens = tokens[:, :length]
    dtype = tower.transformer.get_cast_dtype()
    x = tower.token_embedding(tokens).to(dtype) + tower.positional_embedding[:length].to(dtype)
    x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
    x = tower.ln_final(x[torch.arange(len(x), device=x.device), ends])
    projection = tower.text_projection
    if projection is None:
        return x
    return projection(x) if isinstance(projection, nn.Linear) else x @ projection
