"""Words as CLIP's text towers embed them: nothing is computed that doesn't change the embedding, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odits.core.stopping import step

TEXT_BATCH = 256
"""Texts that are encoded at a time where each is a sequence of its own."""

SHARED_TOKENS = 512
"""Tokens of one sequence of many texts: attention is computed between all of them, so more would not pay."""


def encode_vocabulary(model: Any, tokenize: Callable[[list[str]], Tensor], words: Sequence[str]) -> Tensor:
    """Embed words, what several of them begin with once (`encode_prefixes`).

    Args:
        model: the open_clip model.
        tokenize: its tokenizer: texts -> ids (B, context).
        words: the n words.

    Returns:
        Normalised text embeddings float32 (n, d), exact to rounding, on the CPU.
    """
    device = model.logit_scale.device
    tokens = tokenize(list(words))
    with torch.inference_mode():
        causal = is_causal(model)
        batches = _sharing(tokens, _ends(model, tokens)) if causal else torch.arange(len(tokens)).split(TEXT_BATCH)
        encode = encode_prefixes if causal else encode_tokens
        features: list[Tensor] = []
        for batch in batches:
            step()
            features.append(F.normalize(encode(model, tokens[batch].to(device)), dim=-1).float().cpu())
    embeddings = torch.empty(len(tokens), features[0].shape[1])
    embeddings[torch.cat(batches)] = torch.cat(features)
    return embeddings


def _sharing(tokens: Tensor, ends: Tensor) -> list[Tensor]:
    """Sort texts by their tokens, so that equal beginnings meet, and cut the list where a sequence is full."""
    rows = [tuple(row[: end + 1]) for row, end in zip(tokens.tolist(), ends.tolist(), strict=True)]
    batches: list[list[int]] = []
    before: tuple[int, ...] = ()
    held = 0
    for place in sorted(range(len(rows)), key=rows.__getitem__):
        row = rows[place]
        shared = next((at for at, (one, other) in enumerate(zip(row, before, strict=False)) if one != other), len(row))
        shared = min(shared, len(before))
        if not batches or held + len(row) - shared > SHARED_TOKENS:
            batches.append([])
            shared = held = 0
        batches[-1].append(place)
        held += len(row) - shared
        before = row
    return [torch.tensor(batch) for batch in batches]


def encode_prefixes(model: nn.Module, tokens: Tensor) -> Tensor:
    """Encode token ids (B, context) as one sequence in which each beginning that texts share stands once.

    In a causal tower what a token becomes depends on the tokens before it alone. So the texts are a tree, each token of
    it sees those on the way to its root, and the tower's own blocks compute it under a mask that says so.

    Args:
        model: the open_clip model; its text tower `is_causal`.
        tokens: ids (B, context), padded.

    Returns:
        Text features (B, d), unnormalised, as `model.encode_text` returns them to rounding.
    """
    tower: Any = getattr(model, "text", model)
    ids, depths, parents, ends = _tree(tokens.tolist(), _ends(model, tokens).tolist())
    sees = torch.eye(len(ids), dtype=torch.bool)
    for place, parent in enumerate(parents):
        if parent >= 0:
            sees[place] |= sees[parent]
    dtype, device = tower.transformer.get_cast_dtype(), tokens.device
    mask = torch.zeros(sees.shape).masked_fill(~sees, float("-inf")).to(device)
    x = tower.token_embedding(torch.tensor(ids, device=device)).to(dtype)
    x = x + tower.positional_embedding[torch.tensor(depths, device=device)].to(dtype)
    x = tower.transformer(x[None], attn_mask=mask)[0]
    return _projected(tower, x[torch.tensor(ends, device=device)])


def _tree(rows: list[list[int]], ends: list[int]) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return each node's token, depth and parent (-1 at a root), and the node at which each text ends."""
    nodes: dict[tuple[int, int], int] = {}
    ids: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    last: list[int] = []
    for row, end in zip(rows, ends, strict=True):
        parent = -1
        for depth, token in enumerate(row[: end + 1]):
            node = nodes.setdefault((parent, token), len(ids))
            if node == len(ids):
                ids.append(token)
                depths.append(depth)
                parents.append(parent)
            parent = node
        last.append(parent)
    return ids, depths, parents, last


def is_causal(model: nn.Module) -> bool:
    """Return whether a text's embedding depends only on its tokens up to the end-of-text token.

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
    """Encode token ids (B, context) at the shortest context that loses nothing.

    A causal tower never looks beyond the end-of-text token, so the columns after the longest text are not computed.
    Gradients flow. Other towers are called as they are.

    Args:
        model: the open_clip model.
        tokens: ids (B, context), padded with zeros.

    Returns:
        Text features (B, d), unnormalised, as `model.encode_text` returns them.
    """
    if not is_causal(model):
        return model.encode_text(tokens)  # type: ignore[operator]
    tower: Any = getattr(model, "text", model)
    ends = _ends(model, tokens)
    length = int(ends.max()) + 1
    tokens = tokens[:, :length]
    dtype = tower.transformer.get_cast_dtype()
    x = tower.token_embedding(tokens).to(dtype) + tower.positional_embedding[:length].to(dtype)
    x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
    return _projected(tower, x[torch.arange(len(x), device=x.device), ends])


def _ends(model: nn.Module, tokens: Tensor) -> Tensor:
    """Return the place of each text's end-of-text token."""
    tower: Any = getattr(model, "text", model)
    if _pool_type(tower) == "argmax":
        return tokens.argmax(dim=1)
    end = getattr(tower, "text_eos_id", None) or getattr(tower, "eos_id", 2)
    return (tokens == end).int().argmax(dim=1)


def _projected(tower: Any, x: Tensor) -> Tensor:
    """Return text features of what the blocks made of the end-of-text tokens."""
    x, projection = tower.ln_final(x), tower.text_projection
    if projection is None:
        return x
    return projection(x) if isinstance(projection, nn.Linear) else x @ projection
