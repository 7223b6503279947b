"""SAM's image encoder on the library's weights, in blocks that stay in a processor's cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.image_encoder import Attention, Block
from torch import Tensor

ROWS = 512  # image tokens that pass through the MLP at once
QUERIES = 256  # queries of global attention whose scores are held at once, one head at a time


def encode_image(sam: Sam, pixels: Tensor, step: Callable[[], None]) -> Tensor:
    """The embedding (1, C, h, w) of a preprocessed image (1, 3, H, W).

    It is what `sam.image_encoder` returns, but for rounding.

    Args:
        sam: the model.
        pixels: normalized pixels.
        step: called after every block; may raise.
    """
    encoder = sam.image_encoder
    tokens = encoder.patch_embed(pixels)[0]
    if encoder.pos_embed is not None:
        tokens = tokens + encoder.pos_embed[0]
    for block in encoder.blocks:
        tokens = _block(block, tokens)
        step()
    return encoder.neck(tokens.permute(2, 0, 1)[None])


def _block(block: Block, tokens: Tensor) -> Tensor:
    """A transformer block on image tokens (h, w, C)."""
    attention = block.attn
    mixed = attention.qkv(block.norm1(tokens))
    mixed = _windows(attention, mixed, block.window_size) if block.window_size else _attend(attention, mixed)
    rows = (tokens + attention.proj(mixed)).flatten(0, 1)
    for part in rows.split(ROWS):
        part += block.mlp(block.norm2(part))
    return rows.view(tokens.shape)


def _windows(attention: Attention, mixed: Tensor, side: int) -> Tensor:
    """Attention within windows of side x side tokens, on projected tokens (h, w, 3 C)."""
    height, width, channels = mixed.shape
    padded = mixed.new_empty(-(-height // side) * side, -(-width // side) * side, channels)
    # The library pads with zeros before the projection, which leaves its bias.
    padded[height:] = padded[:, width:] = 0.0 if attention.qkv.bias is None else attention.qkv.bias
    padded[:height, :width] = mixed
    found = mixed.new_empty(*padded.shape[:2], channels // 3)
    for top in range(0, height, side):
        for left in range(0, width, side):
            window = (slice(top, top + side), slice(left, left + side))
            found[window] = _attend(attention, padded[window])
    return found[:height, :width]


def _attend(attention: Attention, mixed: Tensor) -> Tensor:
    """Attention of all tokens (h, w, 3 C) to each other, (h, w, C)."""
    height, width, channels = mixed.shape
    heads = attention.num_heads
    parts = mixed.reshape(height * width, 3, heads, -1).permute(1, 2, 0, 3)
    queries, keys, values = parts[0], parts[1].transpose(1, 2).contiguous(), parts[2].contiguous()
    found = mixed.new_empty(height * width, heads, channels // 3 // heads)
    if attention.use_rel_pos:
        down = _relative(attention.rel_pos_h, height)
        across = _relative(attention.rel_pos_w, width)
        lines = queries.reshape(heads, height, width, -1)
        below = torch.einsum("nhwc,hkc->nhwk", lines, down).flatten(1, 2)
        beside = torch.einsum("nhwc,wkc->nhwk", lines, across).flatten(1, 2)
    scaled = queries * attention.scale
    small = len(found) <= 2 * QUERIES  # a window: all its scores fit into the cache
    group, size = (heads, len(found)) if small else (1, QUERIES)
    for first in range(0, heads, group):
        some = slice(first, first + group)
        for start in range(0, len(found), size):
            at = slice(start, start + size)
            scores = scaled[some, at] @ keys[some]
            if attention.use_rel_pos:
                grid = scores.view(*scores.shape[:2], height, width)
                grid += below[some, at, :, None]
                grid += beside[some, at, None, :]
            found[at, some] = (torch.softmax(scores, dim=-1) @ values[some]).transpose(0, 1)
    return found.view(height, width, -1)


def _relative(table: Tensor, size: int) -> Tensor:
    """(size, size, D): what the table says of every query and key position."""
    middle = (len(table) - 1) // 2
    place = torch.arange(size, device=table.device)
    return table[place[:, None] - place[None, :] + middle]
