"""A SAM with random weights whose masks are regions and whose scores spread as a trained SAM's do."""

from __future__ import annotations

import numpy as np
import torch
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

LOGITS = 6.0  # standard deviation of mask logits
AREA = 0.06  # part of the image that a mask covers, about


def make_random(sam: Sam, image: np.ndarray, share: float, threshold: float = 0.88, seed: int = 0) -> Sam:
    """Make the SAM, random where its initialization leaves weights constant, and set up on an RGB image (H, W, 3).

    Freshly initialized, SAM gives masks that are a pattern of 4 x 4 pixels, cover everything and have the same quality.
    Here the two transposed convolutions have one weight for all pixels, so that masks are regions; the last layers
    are scaled and shifted, so that masks are small and `share` of them have a predicted IoU above `threshold`.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, weight in sam.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        if "rel_pos" in name or "pos_embed" in name or "norm" in name or name.endswith("bias"):
            weight.data += 0.1 * noise
    sam.eval().requires_grad_(False)
    decoder = sam.mask_decoder
    for layer in decoder.transformer.layers:
        layer.cross_attn_image_to_token.q_proj.weight *= 4
        layer.cross_attn_image_to_token.v_proj.weight *= 4
    for number in (0, 3):
        weight = decoder.output_upscaling[number].weight
        weight.copy_(weight[:, :, :1, :1].expand_as(weight).clone())
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    side = torch.linspace(0.1, 0.9, 4, dtype=torch.float64)
    grid = torch.cartesian_prod(side * predictor.input_size[1], side * predictor.input_size[0])[:, None]
    _fit_masks(predictor, grid)
    _, quality, _ = predictor.predict_torch(grid, torch.ones(len(grid), 1, dtype=torch.int))
    head = decoder.iou_prediction_head.layers[-1]
    spread = quality.std(dim=0)
    head.weight[1:] *= (0.06 / spread)[:, None]
    head.bias[1:] *= 0.06 / spread
    head.bias[1:] += threshold - (quality * 0.06 / spread).quantile(1 - share, dim=0)
    return sam


def _fit_masks(predictor: SamPredictor, grid: torch.Tensor) -> None:
    """Scale and shift the last layers that make the masks, by what they give at the points (B, 1, 2)."""
    decoder = predictor.model.mask_decoder
    outputs: list[torch.Tensor] = []
    hook = decoder.output_upscaling.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    for part in grid.split(4):
        predictor.predict_torch(part, torch.ones(len(part), 1, dtype=torch.int))
    hook.remove()
    features = torch.cat(outputs)[..., : -(-predictor.input_size[0] // 4), : -(-predictor.input_size[1] // 4)]
    mean = features.mean(dim=(0, 2, 3))
    direction = mean / mean.square().sum()
    logits = _logits(predictor, grid)
    for index in range(logits.shape[1]):
        last = decoder.output_hypernetworks_mlps[1 + index].layers[-1]
        gain = LOGITS / logits[:, index].std()
        last.weight *= gain
        last.bias *= gain
        last.bias -= direction * (logits[:, index] * gain).flatten()[::7].quantile(1 - AREA)


def _logits(predictor: SamPredictor, grid: torch.Tensor) -> torch.Tensor:
    """Compute mask logits (B, M, h, w) without the padding."""
    parts = [predictor.predict_torch(part, torch.ones(len(part), 1, dtype=torch.int))[2] for part in grid.split(4)]
    height, width = (-(-side // 4) for side in predictor.input_size)
    return torch.cat(parts)[..., :height, :width]
