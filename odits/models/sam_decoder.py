"""SAM's mask decoder for many single points of one image: the library's weights, in an order that suits a CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional

from odits.models.sam_shared import Reading, Scores, SharedImage, Writing, first_kernel, share_image

CHUNK = 4  # points whose image tokens are at work at once: they fit into a processor's cache
FIRST_CHUNK = 32  # points in the part of the first layer in which image tokens are not changed yet


@dataclass(eq=False)
class _Point:
    """One point's part of the image tokens: rho K + weights^T rows + offset (see `odits.models.sam_shared`)."""

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
        """Point tokens (B, T, C) as they enter the decoder, and after the first layer's steps that read the image.

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
        layer, reading = self._sam.mask_decoder.transformer.layers[0], self._shared.readings[0]
        queries = layer.norm1(layer.self_attn(q=start, k=start, v=start))
        heads = reading.attention.num_heads
        wanted = reading.attention.q_proj(queries + start).flatten(0, 1)
        read = functional.scaled_dot_product_attention(
            wanted.view(len(wanted), heads, -1).transpose(0, 1)[None],
            reading.scores.image.transpose(1, 2)[None],
            reading.values.transpose(1, 2)[None],
        )[0]
        read = (read + reading.offset).transpose(0, 1).reshape(len(start), -1, wanted.shape[-1])
        queries = layer.norm2(queries + reading.attention.out_proj(read))
        return layer.norm3(queries + layer.mlp(queries))

    def decode(self, start: Tensor, queries: Tensor) -> list[DecodedPoint]:
        """Points with predicted quality, from a few rows of what `tokens` returns."""
        decoder = self._sam.mask_decoder
        transformer = decoder.transformer
        points = [_Point() for _ in queries]
        for number, layer in enumerate(transformer.layers):
            if number:
                mixed = queries + start
                queries = layer.norm1(queries + layer.self_attn(q=mixed, k=mixed, v=queries))
                queries = layer.norm2(queries + self._read(self._shared.readings[number], queries + start, points))
                queries = layer.norm3(queries + layer.mlp(queries))
            self._write(self._shared.writings[number], queries + start, queries, points)
        queries = queries + self._read(self._shared.readings[-1], queries + start, points)
        queries = transformer.norm_final_attn(queries)
        quality = decoder.iou_prediction_head(queries[:, 0])[:, 1:]
        tokens = queries[:, 2 : 1 + decoder.num_mask_tokens]
        return [DecodedPoint(*item) for item in zip(quality, tokens, points, strict=True)]

    def _read(self, reading: Reading, queries: Tensor, points: Sequence[_Point]) -> Tensor:
        """Attention from point tokens to image tokens, (B, T, C)."""
        wanted = _heads(reading.attention.q_proj(queries), reading.attention.num_heads)
        return reading.attention.out_proj(
            torch.stack([_read_point(reading, *item) for item in zip(wanted, points, strict=True)])
        )

    def _write(self, writing: Writing, keys: Tensor, values: Tensor, points: Sequence[_Point]) -> None:
        """Attention from image tokens to point tokens, which changes the points' image tokens."""
        attention = writing.attention
        wanted = _heads(attention.k_proj(keys), attention.num_heads)
        carried = functional.pad(_heads(attention.v_proj(values), attention.num_heads), (0, 1), value=1.0)
        for key, value, point in zip(wanted, carried, points, strict=True):
            _write_point(writing, key, value, point)

    def masks(self, point: DecodedPoint, wanted: Sequence[int], rows: int | None = None) -> Tensor:
        """Mask logits (len(wanted), 4 h, 4 w) of some of the point's masks; with `rows`, so many or a few more rows."""
        decoder, shared, image = self._sam.mask_decoder, self._shared, point.image
        networks = decoder.output_hypernetworks_mlps
        # All masks are made, so that a mask does not depend, in its last bit, on which others are wanted.
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
        found = hyper.new_empty(len(hyper), height, 2, 2, width, 2, 2)
        for pixel in range(4):
            part = shared.upscaling[pixel, :, used] * image.scale[used]
            part += bias[pixel][:, None]
            part.addmm_(own[pixel], image.weights[:, used])
            part *= part.square().mean(dim=0).add_(norm.eps).rsqrt_()
            part = activation(part.mul_(norm.weight[:, None]).add_(norm.bias[:, None]))
            fine = last(torch.addmm(second_bias, weight, part)).view(4, second.out_channels, -1)
            products = (hyper @ fine).view(2, 2, len(hyper), height, width)
            found[:, :, pixel // 2, :, :, pixel % 2, :] = products.permute(2, 3, 0, 4, 1)
        return found[list(wanted)].view(len(wanted), 4 * height, 4 * width)


def _heads(values: Tensor, heads: int) -> Tensor:
    """(B, H, T, D) from (B, T, H D)."""
    return values.view(*values.shape[:2], heads, -1).transpose(1, 2)


def _score(scores: Scores, token: Tensor, point: _Point) -> Tensor:
    """Scores (H, T, N) of a point's tokens, (H, T, D), with its image tokens."""
    token = token / math.sqrt(token.shape[-1])
    found = torch.bmm(token, scores.image)
    if scores.position is None:
        return found
    assert point.rows is not None and point.weights is not None
    found *= point.scale
    found.baddbmm_(token, scores.position)
    folded = torch.bmm(token, scores.weight).flatten(0, 1) @ point.rows.T
    found.flatten(0, 1).addmm_(folded, point.weights)
    return found


def _read_point(reading: Reading, query: Tensor, point: _Point) -> Tensor:
    """What a point's tokens read, (T, H D)."""
    weights = torch.softmax(_score(reading.scores, query, point), dim=-1)
    assert point.rows is not None and point.weights is not None
    folded = (weights.flatten(0, 1) @ point.weights.T) @ point.rows
    read = torch.bmm(folded.view(*weights.shape[:2], -1), reading.weight.transpose(1, 2))
    weights *= point.scale
    read.baddbmm_(weights, reading.values.transpose(1, 2))
    return (read + reading.offset).transpose(0, 1).flatten(1)


def _write_point(writing: Writing, key: Tensor, value: Tensor, point: _Point) -> None:
    """The point's image tokens after attention to its own tokens and the layer norm."""
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
