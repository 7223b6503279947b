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

from odits.core.errors import OditsError
from odits.models.clip.embedded import SignTower
from odits.training.finetune_config import PARTS

UNLIMITED = 1 << 30

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Part:
    """A model cut in two on the image side.

    Attributes:
        name: one of `PARTS`.
        prepare: normalised pixels (B, 3, H, W) -> what the trained part sees (B, ...); none of its weights is trained.
        encode: what `prepare` returned -> image embeddings (B, d); `encode(prepare(x))` is `encode_image(x)`.
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
    tower: Any = getattr(visual, "trunk", None)
    signs = isinstance(tower, SignTower)
    if name == "auto":
        name = "reader" if signs else "full"
    if name == "full" and signs:  # the locator chooses places, and no gradient flows through a choice
        return Part(name, tower.crops, lambda c: visual.head(read_crops(tower, c)), (tower.locator,), 16)
    if name == "full":
        return Part(name, nn.Identity(), visual, ())
    if name == "text":
        return Part(name, visual, nn.Identity(), (visual,), chunk=UNLIMITED)
    if name == "reader" and signs:
        frozen = (tower.locator, tower.trunk, tower.column)
        return Part(name, tower.windows, lambda w: visual.head(tower.average(w)), frozen)
    if name == "head" and isinstance(visual, TimmModel):
        return Part(name, tower, visual.head, (tower,), chunk=UNLIMITED)
    if name == "head" and isinstance(visual, VisionTransformer) and visual.proj is not None:
        frozen = tuple(p for key, p in visual.named_parameters() if key != "proj")
        return Part(name, lambda x: _unprojected(visual, x), lambda x: x @ visual.proj, frozen, chunk=UNLIMITED)
    if name in PARTS:
        raise OditsError(f"The part '{name}' can't be trained alone in this model; use full or text.")
    raise OditsError(f"There is no part '{name}' to train: choose auto, {', '.join(PARTS)}.")


def trained_parameters(model: Any, part: Part, temperature: str = "learned") -> dict[str, nn.Parameter]:
    """The parameters that are trained, by name; the others no longer ask for gradients."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for frozen in part.frozen:
        frozen.requires_grad_(False)
    model.logit_scale.requires_grad_(temperature == "learned")
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def read_crops(tower: SignTower, crops: Tensor) -> Tensor:
    """Features (B, num_features) of crops (B, n, 3, 32, 128)."""
    return tower.average(tower.windows(crops.flatten(0, 1)).squeeze(1).unflatten(0, crops.shape[:2]))


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
