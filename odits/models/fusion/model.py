"""ODITS as a word model: an image in, its objects found, word probabilities out, with what each object contributes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from odits.core.errors import OditsError
from odits.core.files import file_digest, sha256_of
from odits.core.weights import read_tensors, require_finite
from odits.data import Vocabulary
from odits.data.predictions import Segmenter, View, WordPrediction
from odits.models.clip.loading import clip_from_state, recorded_options
from odits.models.clip.model import ClipModel
from odits.models.fusion.inputs import InputEncoder, ObjectEmbeddings, ObjectEncoder, OditsInput, collate, lexicon_table
from odits.models.fusion.layers import EnhancedText
from odits.models.fusion.network import Odits, OditsOutput
from odits.models.fusion.places import PlaceEncoder
from odits.models.fusion.settings import OBJECT_VIEWS, OditsConfig
from odits.models.reading.places import PlaceCalibration
from odits.models.reading.spotter import WordSpotter
from odits.models.reference import ModelRef, parse
from odits.models.segmentation.segmenters import load_segmenter

READABLE = 0.3
"""A picture whose most probable word is less probable has no readable words; chosen on rendered scenes."""
_BATCH = 8


@dataclass(frozen=True, eq=False)
class ObjectPrediction(WordPrediction):
    """A prediction with its objects.

    Attributes:
        objects: embeddings, corners and kinds of the K objects.
        similarity: the object-text matrix float32 (K, n); a row sums to 1, or to less where it was read.
        attention: float32 (K,), the image's attention to each object, summing to 1 where there is one.
        object_weights: float32 (K,) in 0..1, how much each object's own row counts.
        presence: float32 (n,) in 0..1, the probability of each word by itself that it is in the picture, calibrated on
            scenes that were not trained on; None for a model that was not trained to tell.
    """

    objects: ObjectEmbeddings
    similarity: np.ndarray
    attention: np.ndarray
    object_weights: np.ndarray
    presence: np.ndarray | None = None

    @property
    def scores(self) -> np.ndarray:
        """What words are ranked and shown by, float32 (n,) in 0..1: `presence` where the model tells it."""
        return self.probabilities if self.presence is None else self.presence

    @property
    def none(self) -> float:
        """The probability, in 0..1, that not even the most probable word is there, where `presence` is told."""
        return super().none if self.presence is None else 1 - float(self.presence.max())

    @property
    def is_empty(self) -> bool:
        """Whether the model says that none of the words is in the image: each is improbable by itself."""
        return super().is_empty if self.presence is None else float(self.presence.max()) < READABLE


class OditsModel:
    """A fusion network with the CLIP model under it (a `WordModel`).

    Attributes:
        name: as shown to users.
        checkpoint: hexadecimal digest of weights, segmenter and spotter.
        clip: the CLIP model that encodes; None where words are read alone.
        network: the fusion network, in evaluation mode.
        input_encoder: finds and embeds objects.
        lexicons: the training lexicons that are its prior.
        metadata: how it was made, from the checkpoint's header.
    """

    def __init__(
        self,
        network: Odits,
        input_encoder: InputEncoder | PlaceEncoder,
        lexicons: Sequence[Sequence[str]],
        name: str,
        checkpoint: str,
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.metadata = metadata
        self.network, self.input_encoder, self.lexicons = network.eval(), input_encoder, lexicons
        self.clip: ClipModel | None = input_encoder.clip
        self.name, self.checkpoint = name, checkpoint
        self._lexicons: tuple[str, Tensor | None] = ("", None)
        self._text: tuple[str, EnhancedText | None] = ("", None)

    def embed_vocabulary(self, vocabulary: Vocabulary) -> Tensor:
        """Return CLIP's normalised text embeddings float32 (n, d); (n, 0) without a CLIP model."""
        return torch.zeros(len(vocabulary), 0) if self.clip is None else self.clip.encode_vocabulary(vocabulary)

    @torch.inference_mode()
    def enhanced_text(self, vocabulary: Vocabulary) -> EnhancedText | None:
        """Return the enhancer's part that does not depend on an image, cached; None without an enhancer."""
        digest, enhanced = self._text
        if digest != vocabulary.digest:
            enhancer = self.network.enhancer
            enhanced = None if enhancer is None else enhancer.enhance_text(self.embed_vocabulary(vocabulary))
            self._text = (vocabulary.digest, enhanced)
        return enhanced

    def lexicon_memory(self, vocabulary: Vocabulary) -> Tensor | None:
        """Return which training lexicon holds which word, float32 (L, n), cached; None without a training."""
        digest, table = self._lexicons
        if digest != vocabulary.digest:
            table = lexicon_table(self.lexicons, vocabulary) if self.lexicons else None
            self._lexicons = (vocabulary.digest, table)
        return table

    @torch.inference_mode()
    def forward(
        self,
        inputs: Sequence[OditsInput],
        vocabulary: Vocabulary,
        present: Sequence[np.ndarray] | None = None,
        subset: Tensor | None = None,
    ) -> OditsOutput:
        """Run the network on a batch.

        Args:
            inputs: at least one image.
            vocabulary: the n words.
            present: as `collate` takes it.
            subset: as `Odits.forward` takes it.
        """
        return self.network(
            collate(inputs, present),
            self.embed_vocabulary(vocabulary),
            self.lexicon_memory(vocabulary),
            subset=subset,
            enhanced_text=self.enhanced_text(vocabulary),
        )

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> np.ndarray:
        """Return float32 (m, n): row i is a distribution over the vocabulary for image i.

        Args:
            images: RGB.
            vocabulary: the n words.
            view: not looked at: crops are taken as scenes.
        """
        return self.input_probabilities([self.input_encoder.encode(image, vocabulary) for image in images], vocabulary)

    def input_probabilities(self, inputs: Sequence[OditsInput], vocabulary: Vocabulary) -> np.ndarray:
        """Return float32 (m, n) as `probabilities`, for images that are encoded already; computed in small batches."""
        starts = range(0, len(inputs), _BATCH)
        rows = (self.forward(inputs[at : at + _BATCH], vocabulary).logits.softmax(1).numpy() for at in starts)
        return np.concatenate([np.empty((0, len(vocabulary)), np.float32), *rows])

    def predict(self, image: Image.Image, vocabulary: Vocabulary) -> ObjectPrediction:
        """Predict the words of one RGB image, with its objects."""
        return self.predict_input(self.input_encoder.encode(image, vocabulary), vocabulary)

    def predict_input(self, one: OditsInput, vocabulary: Vocabulary) -> ObjectPrediction:
        """Predict the words of an image that is encoded already."""
        output = self.forward([one], vocabulary)
        weights = torch.zeros_like(output.attention) if output.object_weights is None else output.object_weights
        with torch.inference_mode():
            presence = self.network.presence(output.logits[0])
        return ObjectPrediction(
            vocabulary,
            output.logits[0].softmax(0).numpy(),
            self.name,
            self.checkpoint,
            one.embeddings,
            output.similarity[0].numpy(),
            output.attention[0].numpy(),
            weights[0].numpy(),
            None if presence is None else presence.numpy(),
            engine="" if self.clip is None else self.clip.engine,
        )


def load_odits(
    reference: ModelRef | str | Path, device: str = "auto", segmenter: Segmenter | None = None
) -> OditsModel:
    """Load an ODITS checkpoint.

    Args:
        reference: what names the checkpoint, or the path of its file.
        device: "auto", "cpu", "cuda" or "mps".
        segmenter: finds objects; None: the one that the model was trained with.

    Raises:
        OditsError: the file is not an ODITS checkpoint, or its segmenter's weights are not at hand.
    """
    ref = parse(reference, "odits")
    path, metadata = ref.weights, ref.header
    state = read_tensors(path)
    require_finite(state, path.name)
    try:
        network = Odits(OditsConfig(**json.loads(metadata["parts"])), 1.0)
        network.load_state_dict(_strip_prefix(state, "odits."))
        lexicons = _read_lexicons(state, json.loads(metadata["words"]))
        if network.config.width and metadata["view"] not in OBJECT_VIEWS:
            raise ValueError(metadata["view"])
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise OditsError(f"{path.name} is damaged, or was made by another version.") from error
    digest = file_digest(path)
    if not network.config.width:
        return _without_clip(ref, network, lexicons, digest, segmenter)
    trained = metadata.get("clip", "frozen") != "frozen"
    # Cached embeddings go by CLIP's digest: the parent's, where training left CLIP's weights alone.
    clip_digest = digest if trained else metadata.get("parent_digest", digest)
    try:
        clip = clip_from_state(
            _strip_prefix(state, "clip."),
            metadata.get("architecture", ""),
            metadata.get("clip_name", "CLIP"),
            clip_digest,
            device,
            recorded_options(metadata),
        )
    except ValueError as error:
        raise OditsError(f"{path.name} does not hold weights of the CLIP model that it names.") from error
    segmenter = segmenter or load_segmenter(metadata.get("segmenter", "embedded"), device=device)
    object_encoder = ObjectEncoder(clip, segmenter, metadata["view"], metadata.get("split_lines") == "True")
    input_encoder = InputEncoder(object_encoder, WordSpotter() if metadata.get("reads") == "True" else None)
    return _model(ref, network, input_encoder, lexicons, digest)


def _without_clip(
    ref: ModelRef, network: Odits, lexicons: Sequence[Sequence[str]], digest: str, segmenter: Segmenter | None
) -> OditsModel:
    """Return a model whose objects' words are read alone."""
    try:
        calibration = PlaceCalibration.from_json(ref.header["places"])
    except (KeyError, TypeError, ValueError) as error:
        raise OditsError(f"{ref.weights.name} is damaged, or was made by another version.") from error
    segmenter = segmenter or load_segmenter(ref.header.get("segmenter", "embedded"))
    return _model(ref, network, PlaceEncoder(segmenter, WordSpotter(), calibration), lexicons, digest)


def _model(
    ref: ModelRef,
    network: Odits,
    input_encoder: InputEncoder | PlaceEncoder,
    lexicons: Sequence[Sequence[str]],
    digest: str,
) -> OditsModel:
    checkpoint = f"{digest[:40]}{sha256_of(input_encoder.key)[:24]}"
    return OditsModel(network, input_encoder, lexicons, ref.name, checkpoint, ref.header)


def _read_lexicons(state: Mapping[str, Tensor], words: Sequence[str]) -> list[list[str]]:
    """Read the training lexicons: indices into `words`, one lexicon after the other, and how many each has."""
    indices, sizes = state["lexicons.words"].tolist(), state["lexicons.sizes"].tolist()
    if sum(sizes) != len(indices):
        raise ValueError(sizes)
    lexicons, start = [], 0
    for size in sizes:
        lexicons.append([str(words[index]) for index in indices[start : start + size]])
        start += size
    return lexicons


def _strip_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def untrained(input_encoder: InputEncoder, config: OditsConfig | None = None) -> OditsModel:
    """Return ODITS before any training on a CLIP model: its probabilities are CLIP's."""
    clip = input_encoder.clip
    width = clip.encode_vocabulary(Vocabulary.from_words(("A",), "one word")).shape[1]
    network = Odits(config or OditsConfig(width), float(clip.model.logit_scale.detach().exp()))
    return OditsModel(
        network, input_encoder, (), f"ODITS on {clip.name}, untrained", f"untrained{clip.checkpoint[:32]}"
    )
