"""CLIP models: images and words in one space (Radford et al. 2021), through open_clip."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from odits.core.files import cache_home
from odits.core.store import FunctionCodec, Store, make_key
from odits.data.predictions import View, WordPrediction
from odits.data.vocabulary import Vocabulary
from odits.models.clip.embedded import normalise
from odits.models.clip.image_encoder import ImageEncoder
from odits.models.clip.sign_tower import CROP_HEIGHT, CROP_WIDTH, SignTower
from odits.models.clip.text import encode_vocabulary
from odits.models.prepacked import prepack

Transform = Callable[[Image.Image], Tensor]

IMAGE_BATCH = 8
_PADDING = (127, 127, 127)


def _unpack(data: bytes) -> Tensor:
    try:
        return load(data)["embeddings"]
    except SafetensorError as error:
        raise ValueError("not a safetensors file") from error


TEXT_EMBEDDINGS: Store[Tensor] = Store(
    "text-embeddings", FunctionCodec(".safetensors", lambda found: save({"embeddings": found}), _unpack)
)
"""Embeddings of a vocabulary's words by a checkpoint."""


class ClipModel:
    """A CLIP model that gives word probabilities (a `WordModel`); safe to share between threads.

    Attributes:
        name: as shown to users.
        checkpoint: hexadecimal digest of the weights, and of the architecture where the file does not name it.
        model: the open_clip model, in evaluation mode.
        transforms: from an RGB image to a tensor (3, H, W), one for each view.

    Examples:
        >>> from PIL import Image
        >>> from odits.core.files import asset
        >>> from odits.data.vocabulary import Vocabulary
        >>> from odits.models.clip.loading import load_clip
        >>> words = Vocabulary.from_words(["BAKERY", "CAFE", "HOTEL"], "signs")
        >>> with Image.open(asset("demo/cafe.jpg")) as image:
        ...     load_clip("embedded", "cpu").predict(image.convert("RGB"), words).top(1)[0].word
        'CAFE'
    """

    def __init__(
        self,
        model: Any,
        tokenize: Callable[[list[str]], Tensor],
        preprocess: Transform,
        name: str,
        checkpoint: str,
    ) -> None:
        self.model, self.tokenize = prepack(model.eval()), tokenize
        self.name, self.checkpoint = name, checkpoint
        self.transforms = view_transforms(model, preprocess)
        self._encode = ImageEncoder(self.model)
        self._lock = threading.RLock()
        self._embeddings: dict[str, Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.logit_scale.device

    @property
    def engine(self) -> str:
        """What encoded the last images, where it was not PyTorch itself: "OpenVINO"; else ""."""
        return self._encode.engine

    def encode_images(self, images: Sequence[Image.Image], view: View = "scene") -> Tensor:
        """Embed RGB images.

        Args:
            images: m images.
            view: whole scenes, or crops of one object each.

        Returns:
            Normalised image embeddings float32 (m, d), on the CPU.
        """
        features: list[Tensor] = []
        transform = self.transforms[view]
        batch_size = IMAGE_BATCH if view == "scene" else 16 * IMAGE_BATCH
        with self._lock, torch.inference_mode():
            for start in range(0, len(images), batch_size):
                batch = torch.stack([transform(image) for image in images[start : start + batch_size]])
                features.append(self._encode(batch.to(self.device)).cpu())
        if not features:  # not every image tower says how long its embeddings are; the words' are as long
            return torch.empty(0, encode_vocabulary(self.model, self.tokenize, ["a"]).shape[1])
        return torch.cat(features)

    def encode_vocabulary(self, vocabulary: Vocabulary) -> Tensor:
        """Embed the words of a vocabulary, once per weights and vocabulary; they are stored.

        Words that were read in a picture (`Vocabulary.extra`) are embedded by themselves: only their list is stored.

        Returns:
            Normalised text embeddings float32 (n, d), on the CPU.
        """
        key = vocabulary.digest
        with self._lock:
            found = self._embeddings.pop(key, None)
            if found is None and vocabulary.base is not None:
                listed = self.encode_vocabulary(vocabulary.base)
                found = torch.cat([listed, encode_vocabulary(self.model, self.tokenize, vocabulary.extra)])
            elif found is None:
                found = self._stored_embeddings(vocabulary)
            if len(self._embeddings) >= 4:  # the vocabularies of one sitting; each is a few megabytes
                self._embeddings.pop(next(iter(self._embeddings)))
            self._embeddings[key] = found  # the last that was used goes last
            return found

    def _stored_embeddings(self, vocabulary: Vocabulary) -> Tensor:
        return TEXT_EMBEDDINGS.get_or_compute(
            make_key(checkpoint=self.checkpoint, vocabulary=vocabulary.digest),
            lambda: encode_vocabulary(self.model, self.tokenize, vocabulary.words),
            cache_home() / "embeddings" / f"{self.checkpoint[:16]}-{vocabulary.digest[:16]}.safetensors",
        )

    def logits(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> Tensor:
        """Compute the scaled cosine similarities float32 (m, n) of images and words."""
        features = self.encode_images(images, view)
        with torch.inference_mode():
            logits = float(self.model.logit_scale.exp()) * features @ self.encode_vocabulary(vocabulary).T
            bias = getattr(self.model, "logit_bias", None)
            return logits if bias is None else logits + float(bias)

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> np.ndarray:
        """Compute word probabilities: softmax over the vocabulary of the scaled similarities (thesis, 2.2.1).

        Args:
            images: m RGB images.
            vocabulary: n words.
            view: whole scenes, or crops of one object each.

        Returns:
            float32 (m, n) in 0..1; each row sums to 1.
        """
        return self.logits(images, vocabulary, view).softmax(dim=1).numpy()

    def predict(self, image: Image.Image, vocabulary: Vocabulary) -> WordPrediction:
        """Predict the words of one RGB image."""
        probabilities = self.probabilities([image], vocabulary)[0]
        return WordPrediction(vocabulary, probabilities, self.name, self.checkpoint, engine=self.engine)


def view_transforms(model: Any, preprocess: Transform) -> dict[View, Transform]:
    """Return a transform from an RGB image to a tensor (3, H, W) for each view of the model.

    Ordinary CLIP models have one input size for both, through open_clip's own `preprocess`. The embedded model's tower
    reads words of up to some 100 pixels anywhere in a scene, or one word that fills a 32x128 crop.
    """
    if not isinstance(getattr(model.visual, "trunk", None), SignTower):
        return {"scene": preprocess, "crop": preprocess}
    height, width = model.visual.image_size
    return {"scene": lambda image: _scene(image, height, width), "crop": _crop}


def _tensor(image: Image.Image) -> Tensor:
    return normalise(torch.from_numpy(np.array(image, dtype=np.uint8))[None])[0]


def _scene(image: Image.Image, height: int, width: int) -> Tensor:
    """Fit the whole image into height x width, shrunk where it must be, never enlarged, padded with grey."""
    scale = min(height / image.height, width / image.width, 1.0)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new("RGB", (width, height), _PADDING)
    canvas.paste(image.resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR))
    return _tensor(canvas)


def _crop(image: Image.Image) -> Tensor:
    """Stretch the image to one window of the tower."""
    return _tensor(image.resize((CROP_WIDTH, CROP_HEIGHT), Image.Resampling.BILINEAR))
