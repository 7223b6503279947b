"""Which part of a CLIP model is trained, and what the rest makes of an image, which can be computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from odits.errors import OditsError
from odits.models.sign_tower import SignTower
from odits.training.finetune_config import PARTS

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Part:
    """A model cut in two on the image side.

    Attributes:
        name: one of `PARTS`.
        prepare: normalised pixels (B, 3, H, W) -> what the trained part sees of them (B, ...); none of its weights is trained.
        encode: what `prepare` returned -> image embeddings (B, d), unnormalised. `encode(prepare(x))` is `encode_image(x)`.
        frozen: the modules and parameters that stay as they are.
        chunk: images to encode at a time, so that the backward pass fits into a few gigabytes.
    """

    name: str
    prepare: Step
    encode: Step
    frozen: tuple[nn.Module | nn.Parameter, ...]
    chunk: int = 32


def choose_part(model: Any, name: str = "auto") -> Part:
    """The part of an open_clip model to train; "auto": "reader" for the embedded model, "full" for others.

    Raises:
        OditsError: an unknown name, or one that this model can't be cut at.
    """
    visual = model.visual
    tower = getattr(visual, "trunk", None)
    signs = isinstance(tower, SignTower)
    if name == "auto":
        name = "reader" if signs else "full"
    if name == "full":
        return Part(name, nn.Identity(), visual, (), chunk=4 if signs else 32)
    if name == "text":
        return Part(name, visual, nn.Identity(), (visual,), chunk=1 << 30)
    if name == "reader" and signs:
        frozen = (tower.trunk, tower.column, tower.gate)
        return Part(name, lambda x: best_windows(tower, x), lambda w: visual.head(read_windows(tower, w)), frozen)
    if name == "head" and isinstance(visual, TimmModel):
        return Part(name, tower, visual.head, (tower,), chunk=1 << 30)
    if name == "head" and isinstance(visual, VisionTransformer) and visual.proj is not None:
        frozen = tuple(p for key, p in visual.named_parameters() if key != "proj")
        return Part(name, lambda x: _unprojected(visual, x), lambda x: x @ visual.proj, frozen, chunk=1 << 30)
    if name in PARTS:
        raise OditsError(f"The part '{name}' can't be trained alone in this model; use full or text.")
    raise OditsError(f"There is no part '{name}' to train: choose auto, {', '.join(PARTS)}.")


def trained_parameters(model: nn.Module, part: Part) -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name; the others no longer ask for gradients."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for frozen in part.frozen:
        frozen.requires_grad_(False)
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def best_windows(tower: SignTower, pixels: Tensor) -> Tensor:
    """The windows (B, top_windows, 32, width) of scenes (B, 3, H, W) that the tower's gate rates best, best first."""
    windows = tower.windows(pixels)
    logits = tower.gate_logits(windows.flatten(0, 1)).view(windows.shape[:2])
    index = logits.topk(min(tower.top_windows, logits.shape[1]), dim=1).indices
    return windows.gather(1, index[..., None, None].expand(-1, -1, *windows.shape[2:]))


def read_windows(tower: SignTower, windows: Tensor) -> Tensor:
    """Features (B, num_features) of the best windows (B, k, 32, width), averaged by the gate."""
    flat = windows.flatten(0, 1)
    weights = tower.gate_logits(flat).view(windows.shape[:2]).softmax(dim=1)
    features = tower.pool(tower.read(flat)).view(*windows.shape[:2], -1)
    return (weights.unsqueeze(-1) * features).sum(1)


def _unprojected(visual: VisionTransformer, pixels: Tensor) -> Tensor:
    """Features of a vision transformer before its last projection."""
    projection, visual.proj = visual.proj, None
    try:
        found: Tensor = visual(pixels)
        return found
    finally:
        visual.proj = projection


def encode_chunks(part: Part, kept: Tensor, chunk: int) -> Tensor:
    """Image embeddings (B, d) of what was kept of images, `chunk` at a time.

    With several chunks each is computed again in the backward pass, so that memory is that of one; the gradients are
    those of the whole batch.
    """
    chunks = kept.split(chunk)
    if len(chunks) == 1:
        return part.encode(kept)
    return torch.cat([checkpoint(part.encode, one, use_reentrant=False) for one in chunks])
