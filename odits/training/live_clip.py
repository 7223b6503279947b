"""CLIP learning along with ODITS: images and objects are embedded anew in every step, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from odits.data import Vocabulary, open_image
from odits.models.clip.model import encode_tokens, encode_vocabulary
from odits.models.fusion.inputs import ObjectEncoder
from odits.models.fusion.network import EncodedImages
from odits.models.fusion.object_view_names import how_clip_looks
from odits.models.fusion.object_views import object_views
from odits.objects.codec import stored_objects
from odits.training.parts import choose_part

_CHUNK = 256  # crops encoded at a time where nothing has to be remembered for gradients


class LiveClip:
    """The trained part of a CLIP model, and what goes into it.

    The frozen part is computed once for every picture and kept in memory. Lines that a spotter read keep the embeddings
    that they came with.

    Args:
        encoder: finds and shows objects; its CLIP model is changed in place.
        paths: the training images.
        vocabulary: the words.
        part: "head": the image tower's last projection; "full": image tower and text tower.
        advance: called with (done, of).

    Attributes:
        parameters: those that are trained, by name.
    """

    def __init__(
        self,
        encoder: ObjectEncoder,
        paths: Sequence[Path],
        vocabulary: Vocabulary,
        part: str,
        advance: Callable[[int, int], None] = lambda _, __: None,
    ) -> None:
        self.clip, self._vocabulary, self._full = encoder.clip, vocabulary, part == "full"
        model = self.clip.model
        head = None if self._full else choose_part(model, "head")
        self._prepare = nn.Identity() if head is None else head.prepare
        self._encode = model.visual if head is None else head.encode
        self.parameters = self._choose(head is None)
        self._tokens = self.clip.tokenize(list(vocabulary.words)) if self._full else None
        self._scenes: list[Tensor] = []
        self._objects: list[Tensor | None] = []
        for number, path in enumerate(paths):
            advance(number, len(paths))
            image = open_image(path)
            views = object_views(image, stored_objects(path, encoder.segmenter), encoder.view, encoder.words)
            looks = self.clip.transforms[how_clip_looks(encoder.view)]
            self._scenes.append(self._prepared([self.clip.transforms["scene"](image)]))
            self._objects.append(self._prepared([looks(one.picture) for one in views]) if views else None)

    def _choose(self, everything: bool) -> dict[str, nn.Parameter]:
        """The parameters to train; the others no longer ask for gradients."""
        model = self.clip.model
        chosen = {}
        for name, parameter in model.named_parameters():
            image = name.startswith("visual.")
            last = name.startswith("visual.head") or name == "visual.proj"
            # a locator chooses places, and no gradient flows through a choice
            wanted = (everything and name != "logit_scale" and "locator" not in name) or (image and last)
            parameter.requires_grad_(wanted)
            if wanted:
                chosen[f"clip {name}"] = parameter
        return chosen

    @torch.no_grad()
    def _prepared(self, pictures: list[Tensor]) -> Tensor:
        parts = torch.stack(pictures).split(_CHUNK)
        return torch.cat([self._prepare(part.to(self.clip.device)) for part in parts])

    def embed(self, images: Sequence[int], batch: EncodedImages) -> EncodedImages:
        """The batch of these images with embeddings by the weights as they are now."""
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

    def text(self, before: Tensor, asked: Tensor | None = None) -> Tensor:
        """Embeddings (n, d) of the words as the weights are now: of all, or of those asked for, others as before."""
        if self._tokens is None:
            return before
        if asked is None:
            return encode_vocabulary(self.clip.model, self.clip.tokenize, self._vocabulary.words)
        live = F.normalize(encode_tokens(self.clip.model, self._tokens[asked].to(self.clip.device)), dim=-1)
        return before.index_put((asked,), live)
