"""What SAM's mask decoder needs of an image and what is equal for all points: computed once an image.

The two-way transformer changes the image's N tokens by attention to T point tokens, T being 7 where N is 4096. Each
change is therefore of low rank, and with layer norm as a scale per image token, the image tokens in layer l are

    keys_l = rho_l K_l + Z_l^T U_l + beta_l        (N, C); U_l = v_s F_ls, one block of rows per earlier layer s

with K_l (N, C), F_ls and beta_l (C) equal for all points, and with rho_l (N), Z_l (l H T, N: attention weights, scaled)
and v_s (H, T, D + 1: the values, and a one for the bias) of the point. Every projection W keys_l that attention needs
comes from W K_l, held here, and small products: the (N, C) image tokens of a point are never written. In exact
arithmetic this is what the library computes; in 32-bit floats it differs from it by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.transformer import Attention
from torch import Tensor


def centred(values: Tensor) -> Tensor:
    """`values` less the mean of the last dimension: layer norm's first half, which is linear."""
    return values - values.mean(dim=-1, keepdim=True)


def split_heads(values: Tensor, heads: int) -> Tensor:
    """(H, D, N) from (N, H D), contiguous."""
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
class Reading:
    """Attention from point tokens to image tokens: the image's scores and values."""

    attention: Attention
    scores: Scores
    values: Tensor  # (H, D, N)
    weight: Tensor  # (H, D, C), for the point's own part
    offset: Tensor  # (H, 1, D): what every image token adds


@dataclass(frozen=True, eq=False)
class Writing:
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
    """One image, as every point of it needs it.

    Attributes:
        readings: attention to the image, one a layer and the final one.
        writings: attention from the image, one a layer.
        upscaling: K_L through the first transposed convolution, centred, (4, C / 4, N); the first axis is the pixel.
        grid: height and width of the image embedding.
    """

    readings: tuple[Reading, ...]
    writings: tuple[Writing, ...]
    upscaling: Tensor
    grid: tuple[int, int]


def share_image(sam: Sam, embedding: Tensor) -> SharedImage:
    """What all points share of an image with this embedding (1, C, h, w)."""
    prompt, decoder = sam.prompt_encoder, sam.mask_decoder
    transformer = decoder.transformer
    dense = prompt.no_mask_embed.weight.reshape(-1, 1)
    base = (embedding[0].flatten(1) + dense).T
    height, width = embedding.shape[2:]
    position = prompt.get_dense_pe()[0].flatten(1).T
    offset = torch.zeros_like(dense[:, 0])
    factors: tuple[Tensor, ...] = ()
    readings: list[Reading] = []
    writings: list[Writing] = []
    for layer in transformer.layers:
        readings.append(_reading(layer.cross_attn_token_to_image, base, position, offset, first=not writings))
        writing = _writing(layer, base, position, offset, factors)
        writings.append(writing)
        norm = layer.norm4
        base = centred(base) * norm.weight
        factors = tuple(factor * norm.weight for factor in writing.factors)
        offset = norm.bias
    readings.append(_reading(transformer.final_attn_token_to_image, base, position, offset, first=not writings))
    upscaling = first_kernel(sam) @ base.T
    return SharedImage(tuple(readings), tuple(writings), upscaling, (height, width))


def first_kernel(sam: Sam) -> Tensor:
    """The first transposed convolution, (4, C / 4, C), centred over its outputs for the layer norm that follows."""
    weight = sam.mask_decoder.output_upscaling[0].weight  # (C, C / 4, 2, 2)
    return centred(weight.permute(2, 3, 0, 1).flatten(0, 1)).transpose(1, 2).contiguous()


def _scores(linear: torch.nn.Linear, base: Tensor, position: Tensor, offset: Tensor, heads: int, first: bool) -> Scores:
    weight = linear.weight.view(heads, -1, linear.in_features)
    if first:
        return Scores(split_heads(linear(base + position + offset), heads), None, weight)
    return Scores(split_heads(base @ linear.weight.T, heads), split_heads(linear(position + offset), heads), weight)


def _reading(attention: Attention, base: Tensor, position: Tensor, offset: Tensor, first: bool) -> Reading:
    heads, linear = attention.num_heads, attention.v_proj
    return Reading(
        attention,
        _scores(attention.k_proj, base, position, offset, heads, first),
        split_heads(base @ linear.weight.T, heads),
        linear.weight.view(heads, -1, linear.in_features),
        linear(offset).view(heads, 1, -1),
    )


def _writing(
    layer: torch.nn.Module, base: Tensor, position: Tensor, offset: Tensor, factors: tuple[Tensor, ...]
) -> Writing:
    attention: Attention = layer.cross_attn_image_to_token
    heads, out = attention.num_heads, attention.out_proj
    weight = out.weight.T.view(heads, -1, out.out_features)
    # Weights of one head sum to one, so that each head can carry an equal part of what is added to every image token.
    bias = ((out.bias + offset) / heads).expand(heads, 1, -1)
    own = torch.cat([weight, bias], dim=1)
    middle = centred(base)
    centred_factors = tuple(centred(factor) for factor in (*factors, own))
    return Writing(
        attention,
        _scores(attention.q_proj, base, position, offset, heads, first=not factors),
        centred_factors,
        tuple((factor @ middle.T).contiguous() for factor in centred_factors),
        middle.square().sum(dim=1),
        layer.norm4.weight,
        layer.norm4.eps,
    )
