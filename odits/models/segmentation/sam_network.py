"""SAM's image encoder and mask decoder on the library's weights, in an order of computation that suits a CPU.

The encoder works in blocks that stay in a processor's cache. The decoder computes once an image what is equal for all
points of it.

The two-way transformer changes the image's N tokens by attention to T point tokens, T being 7 where N is 4096. Each
change is therefore of low rank, and with layer norm as a scale per image token, the image tokens in layer l are

    keys_l = rho_l K_l + Z_l^T U_l + beta_l        (N, C); U_l = v_s F_ls, one block of rows per earlier layer s

with K_l (N, C), F_ls and beta_l (C) equal for all points, and with rho_l (N), Z_l (l H T, N: attention weights, scaled)
and v_s (H, T, D + 1: the values, and a one for the bias) of the point. Every projection W keys_l that attention needs
comes from W K_l, held here, and small products: the (N, C) image tokens of a point are never written. In exact
arithmetic this is what the library computes; in 32-bit floats it differs from it by rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.image_encoder import Attention as WindowAttention
from segment_anything.modeling.image_encoder import Block
from segment_anything.modeling.transformer import Attention
from torch import Tensor
from torch.nn import functional

CHUNK = 4  # points whose image tokens are computed at once: they fit into a processor's cache
FIRST_CHUNK = 32  # points in the part of the first layer in which image tokens are not changed yet
ROWS = 512  # image tokens that pass through the MLP at once
QUERIES = 256  # queries of global attention whose scores are held at once, one head at a time


def centred(values: Tensor) -> Tensor:
    """Subtract the mean of the last dimension: layer norm's first half, which is linear."""
    return values - values.mean(dim=-1, keepdim=True)


def split_heads(values: Tensor, heads: int) -> Tensor:
    """Reshape (N, H D) to (H, D, N), contiguous."""
    return values.view(len(values), heads, -1).permute(1, 2, 0).contiguous()


@dataclass(frozen=True, eq=False)
class Scores:
    """One side of an attention's scores: image tokens projected, all (H, D, N).

    The projection of layer l's image tokens and their positions is rho_l `image` + `position` + the point's own part.
    In layer 0 there is no own part, and `image` holds everything.
    """

    image: Tensor
    position: Tensor | None
    weight: Tensor  # (H, D, C), for the point's own part


@dataclass(frozen=True, eq=False)
class TokenToImage:
    """Attention from point tokens to image tokens: the image's scores and values."""

    attention: Attention
    scores: Scores
    values: Tensor  # (H, D, N)
    weight: Tensor  # (H, D, C), for the point's own part
    offset: Tensor  # (H, 1, D): what every image token adds


@dataclass(frozen=True, eq=False)
class ImageToToken:
    """Attention from image tokens to point tokens, and the layer norm after it.

    Attributes:
        scores: of the image's queries.
        factors: F, one (H, D + 1, C) for this and every earlier layer, the last this layer's; rows are centred.
        energies: products of `factors` with the centred K_l, (H, D + 1, N) each.
        energy: the squared length of the centred K_l, (N,).
        weight: the layer norm's, (C,).
        eps: the layer norm's.
    """

    attention: Attention
    scores: Scores
    factors: tuple[Tensor, ...]
    energies: tuple[Tensor, ...]
    energy: Tensor
    weight: Tensor
    eps: float


@dataclass(frozen=True, eq=False)
class SharedImage:
    """What all points of an image share.

    Attributes:
        token_to_image: one a layer, and the final one.
        image_to_token: one a layer.
        upscaling: K_L through the first transposed convolution, centred, (4, C / 4, N); the first axis is the pixel.
        grid: height and width of the image embedding.
    """

    token_to_image: tuple[TokenToImage, ...]
    image_to_token: tuple[ImageToToken, ...]
    upscaling: Tensor
    grid: tuple[int, int]


def share_image(sam: Sam, embedding: Tensor) -> SharedImage:
    """Compute what all points of an image share, from its embedding (1, C, h, w)."""
    prompt, decoder = sam.prompt_encoder, sam.mask_decoder
    transformer = decoder.transformer
    dense = prompt.no_mask_embed.weight.reshape(-1, 1)
    base = (embedding[0].flatten(1) + dense).T
    height, width = embedding.shape[2:]
    position = prompt.get_dense_pe()[0].flatten(1).T
    offset = torch.zeros_like(dense[:, 0])
    factors: tuple[Tensor, ...] = ()
    token_to_image: list[TokenToImage] = []
    image_to_token: list[ImageToToken] = []
    for layer in transformer.layers:
        token_to_image.append(
            _token_to_image(layer.cross_attn_token_to_image, base, position, offset, first=not image_to_token)
        )
        writing = _image_to_token(layer, base, position, offset, factors)
        image_to_token.append(writing)
        norm = layer.norm4
        base = centred(base) * norm.weight
        factors = tuple(factor * norm.weight for factor in writing.factors)
        offset = norm.bias
    token_to_image.append(
        _token_to_image(transformer.final_attn_token_to_image, base, position, offset, first=not image_to_token)
    )
    upscaling = first_kernel(sam) @ base.T
    return SharedImage(tuple(token_to_image), tuple(image_to_token), upscaling, (height, width))


def first_kernel(sam: Sam) -> Tensor:
    """Return the first transposed convolution, (4, C / 4, C), centred over its outputs for the layer norm after it."""
    weight = sam.mask_decoder.output_upscaling[0].weight  # (C, C / 4, 2, 2)
    return centred(weight.permute(2, 3, 0, 1).flatten(0, 1)).transpose(1, 2).contiguous()


def _scores(linear: torch.nn.Linear, base: Tensor, position: Tensor, offset: Tensor, heads: int, first: bool) -> Scores:
    weight = linear.weight.view(heads, -1, linear.in_features)
    if first:
        return Scores(split_heads(linear(base + position + offset), heads), None, weight)
    return Scores(split_heads(base @ linear.weight.T, heads), split_heads(linear(position + offset), heads), weight)


def _token_to_image(attention: Attention, base: Tensor, position: Tensor, offset: Tensor, first: bool) -> TokenToImage:
    heads, linear = attention.num_heads, attention.v_proj
    return TokenToImage(
        attention,
        _scores(attention.k_proj, base, position, offset, heads, first),
        split_heads(base @ linear.weight.T, heads),
        linear.weight.view(heads, -1, linear.in_features),
        linear(offset).view(heads, 1, -1),
    )


def _image_to_token(
    layer: torch.nn.Module, base: Tensor, position: Tensor, offset: Tensor, factors: tuple[Tensor, ...]
) -> ImageToToken:
    attention: Attention = layer.cross_attn_image_to_token
    heads, out = attention.num_heads, attention.out_proj
    weight = out.weight.T.view(heads, -1, out.out_features)
    # Weights of one head sum to one, so that each head can carry an equal part of what is added to every image token.
    bias = ((out.bias + offset) / heads).expand(heads, 1, -1)
    own = torch.cat([weight, bias], dim=1)
    middle = centred(base)
    centred_factors = tuple(centred(factor) for factor in (*factors, own))
    return ImageToToken(
        attention,
        _scores(attention.q_proj, base, position, offset, heads, first=not factors),
        centred_factors,
        tuple((factor @ middle.T).contiguous() for factor in centred_factors),
        middle.square().sum(dim=1),
        layer.norm4.weight,
        layer.norm4.eps,
    )


@dataclass(eq=False)
class _Point:
    """One point's part of the image tokens: rho K + weights^T rows + offset."""

    scale: Tensor | None = None  # rho, (N,)
    weights: Tensor | None = None  # Z, (l H T, N)
    rows: Tensor | None = None  # U, (l H T, C)
    values: list[Tensor] = field(default_factory=list)  # v, (H, T, D + 1), one a layer


@dataclass(frozen=True, eq=False)
class DecodedPoint:
    """A point before its masks are made.

    Attributes:
        quality: predicted IoU of its masks, (M,).
        tokens: what the masks are made from, (M, C).
        image: the point's part of the image tokens.
    """

    quality: Tensor
    tokens: Tensor
    image: _Point


class PointDecoder:
    """Masks of single foreground points of one image, as `Sam.mask_decoder` gives them with multimask_output=True.

    Args:
        sam: the model; its weights are used where they lie.
        embedding: the image's embedding, (1, C, h, w).
    """

    def __init__(self, sam: Sam, embedding: Tensor) -> None:
        self._sam = sam
        self._shared: SharedImage = share_image(sam, embedding)
        self._kernel = first_kernel(sam)

    def tokens(self, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Return point tokens (B, T, C) as they enter the decoder, and after the first layer's attention to the image.

        Args:
            coordinates: (B, 1, 2), x and y in the model's input.
        """
        decoder = self._sam.mask_decoder
        labels = torch.ones(coordinates.shape[:2], dtype=torch.int, device=coordinates.device)
        sparse, _ = self._sam.prompt_encoder(points=(coordinates, labels), boxes=None, masks=None)
        output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        start = torch.cat([output.expand(len(sparse), -1, -1), sparse], dim=1)
        return start, torch.cat([self._first(part) for part in start.split(FIRST_CHUNK)])

    def _first(self, start: Tensor) -> Tensor:
        layer, reading = self._sam.mask_decoder.transformer.layers[0], self._shared.token_to_image[0]
        queries = layer.norm1(layer.self_attn(q=start, k=start, v=start))
        heads = reading.attention.num_heads
        projected = reading.attention.q_proj(queries + start).flatten(0, 1)
        read = functional.scaled_dot_product_attention(
            projected.view(len(projected), heads, -1).transpose(0, 1)[None],
            reading.scores.image.transpose(1, 2)[None],
            reading.values.transpose(1, 2)[None],
        )[0]
        read = (read + reading.offset).transpose(0, 1).reshape(len(start), -1, projected.shape[-1])
        queries = layer.norm2(queries + reading.attention.out_proj(read))
        return layer.norm3(queries + layer.mlp(queries))

    def decode(self, start: Tensor, queries: Tensor) -> list[DecodedPoint]:
        """Decode points, from a few rows of the results of `tokens`."""
        decoder = self._sam.mask_decoder
        transformer = decoder.transformer
        points = [_Point() for _ in queries]
        for number, layer in enumerate(transformer.layers):
            if number:
                mixed = queries + start
                queries = layer.norm1(queries + layer.self_attn(q=mixed, k=mixed, v=queries))
                queries = layer.norm2(
                    queries + self._attend_points(self._shared.token_to_image[number], queries + start, points)
                )
                queries = layer.norm3(queries + layer.mlp(queries))
            self._update_points(self._shared.image_to_token[number], queries + start, queries, points)
        queries = queries + self._attend_points(self._shared.token_to_image[-1], queries + start, points)
        queries = transformer.norm_final_attn(queries)
        quality = decoder.iou_prediction_head(queries[:, 0])[:, 1:]
        tokens = queries[:, 2 : 1 + decoder.num_mask_tokens]
        return [DecodedPoint(*item) for item in zip(quality, tokens, points, strict=True)]

    def _attend_points(self, reading: TokenToImage, queries: Tensor, points: Sequence[_Point]) -> Tensor:
        """Attend from point tokens to image tokens, (B, T, C)."""
        projected = _heads(reading.attention.q_proj(queries), reading.attention.num_heads)
        return reading.attention.out_proj(
            torch.stack([_attend_to_image(reading, *item) for item in zip(projected, points, strict=True)])
        )

    def _update_points(self, writing: ImageToToken, keys: Tensor, values: Tensor, points: Sequence[_Point]) -> None:
        """Attend from image tokens to point tokens, and update the points' image tokens."""
        attention = writing.attention
        projected_keys = _heads(attention.k_proj(keys), attention.num_heads)
        projected_values = functional.pad(_heads(attention.v_proj(values), attention.num_heads), (0, 1), value=1.0)
        for key, value, point in zip(projected_keys, projected_values, points, strict=True):
            _update_image(writing, key, value, point)

    def masks(self, point: DecodedPoint, indices: Sequence[int], rows: int | None = None) -> Tensor:
        """Compute the logits (len(indices), 4 h, 4 w) of some of a point's masks.

        Args:
            point: from `decode`.
            indices: of its masks.
            rows: how many rows are needed, to which a few may be added; None: all.
        """
        decoder, shared, image = self._sam.mask_decoder, self._shared, point.image
        networks = decoder.output_hypernetworks_mlps
        # All masks are made, so that a mask does not depend, in its last bit, on which others are computed.
        hyper = torch.stack([networks[1 + index](token) for index, token in enumerate(point.tokens)])
        convolution, norm, activation, second, last = decoder.output_upscaling
        offset = self._sam.mask_decoder.transformer.layers[-1].norm4.bias
        bias = convolution.bias - convolution.bias.mean() + self._kernel @ offset  # (4, C / 4)
        assert image.rows is not None and image.weights is not None and image.scale is not None
        own = self._kernel @ image.rows.T  # (4, C / 4, l H T)
        weight = second.weight.permute(2, 3, 1, 0).reshape(-1, second.in_channels)
        second_bias = second.bias.repeat(4)[:, None]
        height, width = shared.grid
        height = height if rows is None else min(height, -(-rows // 4))
        used = slice(height * width)
        logits = hyper.new_empty(len(hyper), height, 2, 2, width, 2, 2)
        for pixel in range(4):
            part = shared.upscaling[pixel, :, used] * image.scale[used]
            part += bias[pixel][:, None]
            part.addmm_(own[pixel], image.weights[:, used])
            part *= part.square().mean(dim=0).add_(norm.eps).rsqrt_()
            part = activation(part.mul_(norm.weight[:, None]).add_(norm.bias[:, None]))
            fine = last(torch.addmm(second_bias, weight, part)).view(4, second.out_channels, -1)
            products = (hyper @ fine).view(2, 2, len(hyper), height, width)
            logits[:, :, pixel // 2, :, :, pixel % 2, :] = products.permute(2, 3, 0, 4, 1)
        return logits[list(indices)].view(len(indices), 4 * height, 4 * width)


def _heads(values: Tensor, heads: int) -> Tensor:
    """Reshape (B, T, H D) to (B, H, T, D)."""
    return values.view(*values.shape[:2], heads, -1).transpose(1, 2)


def _score(scores: Scores, token: Tensor, point: _Point) -> Tensor:
    """Score a point's tokens, (H, T, D), against its image tokens, (H, T, N)."""
    token = token / math.sqrt(token.shape[-1])
    output = torch.bmm(token, scores.image)
    if scores.position is None:
        return output
    assert point.rows is not None and point.weights is not None
    output *= point.scale
    output.baddbmm_(token, scores.position)
    folded = torch.bmm(token, scores.weight).flatten(0, 1) @ point.rows.T
    output.flatten(0, 1).addmm_(folded, point.weights)
    return output


def _attend_to_image(reading: TokenToImage, query: Tensor, point: _Point) -> Tensor:
    """Attend from a point's tokens to its image tokens, (T, H D)."""
    weights = torch.softmax(_score(reading.scores, query, point), dim=-1)
    assert point.rows is not None and point.weights is not None
    folded = (weights.flatten(0, 1) @ point.weights.T) @ point.rows
    read = torch.bmm(folded.view(*weights.shape[:2], -1), reading.weight.transpose(1, 2))
    weights *= point.scale
    read.baddbmm_(weights, reading.values.transpose(1, 2))
    return (read + reading.offset).transpose(0, 1).flatten(1)


def _update_image(writing: ImageToToken, key: Tensor, value: Tensor, point: _Point) -> None:
    """Update a point's image tokens by attention to its own tokens and the layer norm."""
    weights = torch.softmax(_score(writing.scores, key, point), dim=1).flatten(0, 1)
    point.values.append(value)
    if point.weights is not None:
        weights = torch.cat([point.weights, weights])
    rows = torch.cat(
        [torch.bmm(value, factor).flatten(0, 1) for value, factor in zip(point.values, writing.factors, strict=True)]
    )
    # The squared length of the centred image tokens, without writing these (N, C) down.
    cross = torch.cat(
        [torch.bmm(value, energy).flatten(0, 1) for value, energy in zip(point.values, writing.energies, strict=True)]
    )
    scale = point.scale
    if scale is not None:
        cross *= scale
    square = torch.addmm(cross, rows @ rows.T, weights, beta=2.0).mul_(weights).sum(dim=0)
    square += writing.energy if scale is None else writing.energy * scale.square()
    norm = square.div_(rows.shape[1]).clamp_(min=0.0).add_(writing.eps).rsqrt_()
    point.scale = norm if scale is None else norm * scale
    point.weights = weights.mul_(norm)
    point.rows = rows * writing.weight


def encode_image(sam: Sam, pixels: Tensor, step: Callable[[], None]) -> Tensor:
    """Encode an image, as `sam.image_encoder` does but for rounding.

    Args:
        sam: the model.
        pixels: normalised pixels (1, 3, H, W).
        step: called after every block; may raise.

    Returns:
        The embedding (1, C, h, w).
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
    """Apply a transformer block to image tokens (h, w, C)."""
    attention = block.attn
    mixed = attention.qkv(block.norm1(tokens))
    mixed = _windows(attention, mixed, block.window_size) if block.window_size else _attend(attention, mixed)
    rows = (tokens + attention.proj(mixed)).flatten(0, 1)
    for part in rows.split(ROWS):
        part += block.mlp(block.norm2(part))
    return rows.view(tokens.shape)


def _windows(attention: WindowAttention, mixed: Tensor, side: int) -> Tensor:
    """Attend within windows of side x side tokens, on projected tokens (h, w, 3 C)."""
    height, width, channels = mixed.shape
    padded = mixed.new_empty(-(-height // side) * side, -(-width // side) * side, channels)
    # The library pads with zeros before the projection, which leaves its bias.
    padded[height:] = padded[:, width:] = 0.0 if attention.qkv.bias is None else attention.qkv.bias
    padded[:height, :width] = mixed
    output = mixed.new_empty(*padded.shape[:2], channels // 3)
    for top in range(0, height, side):
        for left in range(0, width, side):
            window = (slice(top, top + side), slice(left, left + side))
            output[window] = _attend(attention, padded[window])
    return output[:height, :width]


def _attend(attention: WindowAttention, mixed: Tensor) -> Tensor:
    """Let all projected tokens (h, w, 3 C) attend to each other, (h, w, C)."""
    height, width, channels = mixed.shape
    heads = attention.num_heads
    parts = mixed.reshape(height * width, 3, heads, -1).permute(1, 2, 0, 3)
    queries, keys, values = parts[0], parts[1].transpose(1, 2).contiguous(), parts[2].contiguous()
    output = mixed.new_empty(height * width, heads, channels // 3 // heads)
    if attention.use_rel_pos:
        down = _relative(attention.rel_pos_h, height)
        across = _relative(attention.rel_pos_w, width)
        lines = queries.reshape(heads, height, width, -1)
        below = torch.einsum("nhwc,hkc->nhwk", lines, down).flatten(1, 2)
        beside = torch.einsum("nhwc,wkc->nhwk", lines, across).flatten(1, 2)
    scaled = queries * attention.scale
    small = len(output) <= 2 * QUERIES  # a window: all its scores fit into the cache
    group, size = (heads, len(output)) if small else (1, QUERIES)
    for first in range(0, heads, group):
        some = slice(first, first + group)
        for start in range(0, len(output), size):
            at = slice(start, start + size)
            scores = scaled[some, at] @ keys[some]
            if attention.use_rel_pos:
                grid = scores.view(*scores.shape[:2], height, width)
                grid += below[some, at, :, None]
                grid += beside[some, at, None, :]
            output[at, some] = (torch.softmax(scores, dim=-1) @ values[some]).transpose(0, 1)
    return output.view(height, width, -1)


def _relative(table: Tensor, size: int) -> Tensor:
    """Look up the relative position of every query and key, (size, size, D)."""
    middle = (len(table) - 1) // 2
    place = torch.arange(size, device=table.device)
    return table[place[:, None] - place[None, :] + middle]
