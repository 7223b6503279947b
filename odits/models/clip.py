"""CLIP models: images and words in one space (Radford et al. 2021), through open_clip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional as F

from odits.data.vocabulary import Vocabulary
from odits.files import cache_home, write_atomically
from odits.models.text_encoding import encode_tokens
from odits.models.views import Transform, view_transforms
from odits.predictions import View, WordPrediction

TEXT_BATCH = 256
IMAGE_BATCH = 8


def encode_vocabulary(model: Any, tokenize: Callable[[list[str]], Tensor], words: Sequence[str]) -> Tensor:
    """Normalised text embeddings float32 (n, d) of the words, exact, on the CPU.

    Words are encoded in batches of similar length, each at the context its longest word needs (`encode_tokens`).
    """
    device = model.logit_scale.device
    tokens = tokenize(list(words))
    lengths = (tokens != 0).sum(dim=1)
    order = torch.argsort(lengths, stable=True).tolist()
    features: list[Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(order), TEXT_BATCH):
            batch = tokens[order[start : start + TEXT_BATCH]].to(device)
            features.append(F.normalize(encode_tokens(model, batch), dim=-1).float().cpu())
    found = torch.empty(len(order), features[0].shape[1])
    found[order] = torch.cat(features)
    return found


class ClipModel:
    """A CLIP model that gives word probabilities (a `WordModel`); safe to share between threads.

    Attributes:
        name: as shown to users.
        checkpoint: hexadecimal digest of the weights.
        model: the open_clip model, in evaluation mode.
    """

    def __init__(
        self,
        model: Any,
        tokenize: Callable[[list[str]], Tensor],
        preprocess: Transform,
        name: str,
        checkpoint: str,
    ) -> None:
        self.model, self.tokenize = model.eval(), tokenize
        self.name, self.checkpoint = name, checkpoint
        self.transforms = view_transforms(model, preprocess)
        self._lock = threading.RLock()
        self._embeddings: dict[str, Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.logit_scale.device

    def encode_images(self, images: Sequence[Image.Image], view: View = "scene") -> Tensor:
        """Normalised image embeddings float32 (m, d) of RGB images, on the CPU."""
        features: list[Tensor] = []
        transform = self.transforms[view]
        batch_size = IMAGE_BATCH if view == "scene" else 16 * IMAGE_BATCH
        with self._lock, torch.inference_mode():
            for start in range(0, len(images), batch_size):
                batch = torch.stack([transform(image) for image in images[start : start + batch_size]])
                features.append(self.model.encode_image(batch.to(self.device), normalize=True).float().cpu())
        if not features:  # not every image tower says how long its embeddings are; the words' are as long
            return torch.empty(0, encode_vocabulary(self.model, self.tokenize, ["a"]).shape[1])
        return torch.cat(features)

    def encode_vocabulary(self, vocabulary: Vocabulary) -> Tensor:
        """Normalised text embeddings float32 (n, d), computed once per (weights, vocabulary) and kept on disk."""
        key = vocabulary.digest
        with self._lock:
            if key not in self._embeddings:
                if len(self._embeddings) >= 4:  # the vocabularies of one sitting; each is a few megabytes
                    self._embeddings.pop(next(iter(self._embeddings)))
                self._embeddings[key] = self._kept_embeddings(vocabulary)
            return self._embeddings[key]

    def _kept_embeddings(self, vocabulary: Vocabulary) -> Tensor:
        file = cache_home() / "embeddings" / f"{self.checkpoint[:16]}-{vocabulary.digest[:16]}.safetensors"
        kept = _read_embeddings(file, len(vocabulary))
        if kept is not None:
            return kept
        found = encode_vocabulary(self.model, self.tokenize, vocabulary.words)
        with suppress(OSError):  # a full or read-only disk costs speed, not the answer
            write_atomically(file, save({"embeddings": found}))
        return found

    def logits(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> Tensor:
        """Scaled cosine similarities float32 (m, n)."""
        features = self.encode_images(images, view)
        with torch.inference_mode():
            logits = float(self.model.logit_scale.exp()) * features @ self.encode_vocabulary(vocabulary).T
            bias = getattr(self.model, "logit_bias", None)
            return logits if bias is None else logits + float(bias)

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> np.ndarray:
        """float32 (m, n): row i is softmax over the vocabulary of the scaled similarities of image i (thesis 2.2.1)."""
        return self.logits(images, vocabulary, view).softmax(dim=1).numpy()

    def predict(self, image: Image.Image, vocabulary: Vocabulary) -> WordPrediction:
        """The prediction for one RGB image."""
        return WordPrediction(vocabulary, self.probabilities([image], vocabulary)[0], self.name, self.checkpoint)


def _read_embeddings(file: Path, count: int) -> Tensor | None:
    """Kept embeddings, or None where there are none that fit."""
    if not file.exists():
        return None
    try:
        found = load_file(file)["embeddings"]
    except (SafetensorError, KeyError, OSError):
        return None
    return found if len(found) == count else None
