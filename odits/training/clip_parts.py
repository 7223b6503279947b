"""Which part of a CLIP model is trained, and the output of its frozen part, which is computed once an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from odits.core.errors import OditsError
from odits.core.progress import Progress, no_progress
from odits.data import Vocabulary, open_image
from odits.models.clip.sign_tower import SignTower
from odits.models.clip.text import encode_tokens, encode_vocabulary
from odits.models.fusion.inputs import ObjectEncoder
from odits.models.fusion.network import EncodedImages
from odits.models.fusion.object_views import object_views
from odits.models.fusion.settings import clip_view
from odits.objects.codec import stored_objects
from odits.training.settings import PARTS

UNLIMITED = 1 << 30

Encoder = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Part:
    """A model cut in two on the image side.

    Attributes:
        name: one of `PARTS`.
        prepare: normalised pixels (B, 3, H, W) -> input of the trained part (B, ...); none of its weights is trained.
        encode: what `prepare` returned -> image embeddings (B, d); `encode(prepare(x))` is `encode_image(x)`.
        frozen: the modules and parameters that stay as they are.
        chunk: images to encode at a time, so that the backward pass fits into a few gigabytes.
    """

    name: str
    prepare: Encoder
    encode: Encoder
    frozen: tuple[nn.Module | nn.Parameter, ...]
    chunk: int = 32


def choose_part(model: Any, name: str = "auto") -> Part:
    """Return the part of an open_clip model to train; "auto": "reader" for the embedded model, "full" for others.

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
    """Return the parameters that are trained, by name; the others no longer require gradients."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for frozen in part.frozen:
        frozen.requires_grad_(False)
    model.logit_scale.requires_grad_(temperature == "learned")
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def read_crops(tower: SignTower, crops: Tensor) -> Tensor:
    """Return features (B, num_features) of crops (B, n, 3, 32, 128)."""
    return tower.average(tower.windows(crops.flatten(0, 1)).squeeze(1).unflatten(0, crops.shape[:2]))


def _unprojected(visual: VisionTransformer, pixels: Tensor) -> Tensor:
    """Return features of a vision transformer before its last projection."""
    projection, visual.proj = visual.proj, None
    try:
        found: Tensor = visual(pixels)
        return found
    finally:
        visual.proj = projection


def encode_chunks(part: Part, features: Tensor, chunk: int) -> Tensor:
    """Return image embeddings (B, d) of prepared images (B, ...), `chunk` at a time.

    With several chunks each is computed again in the backward pass, so that memory is that of one; the gradients are
    those of the whole batch.
    """
    chunks = features.split(chunk)
    if len(chunks) == 1:
        return part.encode(features)
    return torch.cat([checkpoint(part.encode, one, use_reentrant=False) for one in chunks])


_CHUNK = 256  # crops encoded at a time where nothing has to be remembered for gradients


class LiveClip:
    """The trained part of a CLIP model, and what goes into it.

    The frozen part is computed once for every picture and kept in memory. Lines that a spotter read keep their stored
    embeddings.

    Args:
        encoder: finds and shows objects; its CLIP model is changed in place.
        paths: the training images.
        vocabulary: the words.
        part: "head": the image tower's last projection; "full": image tower and text tower.
        progress: called with (images done, images in all).

    Attributes:
        parameters: those that are trained, by name.
    """

    def __init__(
        self,
        encoder: ObjectEncoder,
        paths: Sequence[Path],
        vocabulary: Vocabulary,
        part: str,
        progress: Progress = no_progress,
    ) -> None:
        self.clip, self._vocabulary, self._full = encoder.clip, vocabulary, part == "full"
        model = self.clip.model
        head = None if self._full else choose_part(model, "head")
        self._prepare = nn.Identity() if head is None else head.prepare
        self._encode = model.visual if head is None else head.encode
        self.parameters = self._trained(head is None)
        self._tokens = self.clip.tokenize(list(vocabulary.words)) if self._full else None
        self._scenes: list[Tensor] = []
        self._objects: list[Tensor | None] = []
        for number, path in enumerate(paths):
            progress(number, len(paths))
            image = open_image(path)
            views = object_views(image, stored_objects(path, encoder.segmenter), encoder.view, encoder.words)
            transform = self.clip.transforms[clip_view(encoder.view)]
            self._scenes.append(self._prepared([self.clip.transforms["scene"](image)]))
            self._objects.append(self._prepared([transform(one.picture) for one in views]) if views else None)
        progress(len(paths), len(paths))

    def _trained(self, everything: bool) -> dict[str, nn.Parameter]:
        """Return the parameters to train; the others no longer require gradients."""
        model = self.clip.model
        trained = {}
        for name, parameter in model.named_parameters():
            image = name.startswith("visual.")
            last = name.startswith("visual.head") or name == "visual.proj"
            # a locator chooses places, and no gradient flows through a choice
            learns = (everything and name != "logit_scale" and "locator" not in name) or (image and last)
            parameter.requires_grad_(learns)
            if learns:
                trained[f"clip {name}"] = parameter
        return trained

    @torch.no_grad()
    def _prepared(self, pictures: list[Tensor]) -> Tensor:
        parts = torch.stack(pictures).split(_CHUNK)
        return torch.cat([self._prepare(part.to(self.clip.device)) for part in parts])

    def embed(self, images: Sequence[int], batch: EncodedImages) -> EncodedImages:
        """Return the batch of these images with embeddings by the weights as they are now."""
        scenes = F.normalize(self._encode(torch.cat([self._scenes[i] for i in images])), dim=-1)
        rows = []
        for row, i in enumerate(images):
            prepared = self._objects[i]
            objects = batch.objects[row]
            if prepared is not None:
                live = F.normalize(self._encode(prepared), dim=-1) * batch.present[row, : len(prepared), None]
                objects = torch.cat([live, objects[len(prepared) :]])
            rows.append(objects)
        return replace(batch, image=scenes, objects=torch.stack(rows))

    def text(self, before: Tensor, subset: Tensor | None = None) -> Tensor:
        """Return embeddings (n, d) of the words by the weights as they are now.

        Args:
            before: those by the weights that training began with.
            subset: words (q,) to embed anew, the others stay as before; None: all.
        """
        if self._tokens is None:
            return before
        if subset is None:
            return encode_vocabulary(self.clip.model, self.clip.tokenize, self._vocabulary.words)
        live = F.normalize(encode_tokens(self.clip.model, self._tokens[subset].to(self.clip.device)), dim=-1)
        return before.index_put((subset,), live)
