"""ODITS as a word model: an image in, its objects found, word probabilities out, with what each object says."""

from __future__ import annotations

import hashlib
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
from odits.data import Vocabulary
from odits.data.predictions import Segmenter, View, WordPrediction
from odits.models.clip.loading import clip_from_state, read_state, recorded_preprocessing
from odits.models.clip.model import ClipModel
from odits.models.fusion.inputs import ObjectEncoder, OditsEyes, OditsInput, SeenObjects, gather, lexicon_table
from odits.models.fusion.layers import AmongWords
from odits.models.fusion.network import Odits, OditsConfig, OditsOutput
from odits.models.fusion.object_view_names import OBJECT_VIEWS
from odits.models.reading.spotter import WordSpotter
from odits.models.registry import file_digest, read_metadata
from odits.models.segmentation.segmenters import load_segmenter

KIND = "odits"
"""What an ODITS checkpoint's header says under "kind"."""

_TOGETHER = 8


@dataclass(frozen=True, eq=False)
class ObjectPrediction(WordPrediction):
    """A prediction with its objects.

    Attributes:
        objects: what was seen: embeddings, places and kinds of the K objects.
        similarity: the object-text matrix float32 (K, n); a row sums to 1, or to less where it was read.
        attention: float32 (K,), how much the image looks at each object, summing to 1 where there is one.
        believed: float32 (K,) in 0..1, how much each object's own words count.
    """

    objects: SeenObjects
    similarity: np.ndarray
    attention: np.ndarray
    believed: np.ndarray


class OditsModel:
    """A trained fusion network with the CLIP model under it (a `WordModel`).

    Attributes:
        name: as shown to users.
        checkpoint: hexadecimal digest of weights, segmenter and spotter.
        clip: the CLIP model that encodes.
        network: the fusion network, in evaluation mode.
        eyes: finds and encodes objects.
        lexicons: the training lexicons that it remembers.
        metadata: how it was made, from the checkpoint's header.
    """

    def __init__(
        self,
        network: Odits,
        eyes: OditsEyes,
        lexicons: Sequence[Sequence[str]],
        name: str,
        checkpoint: str,
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.metadata = metadata
        self.network, self.eyes, self.lexicons = network.eval(), eyes, lexicons
        self.clip: ClipModel = eyes.encoder.clip
        self.name, self.checkpoint = name, checkpoint
        self._table: tuple[str, Tensor | None] = ("", None)
        self._words: tuple[str, AmongWords | None] = ("", None)

    @torch.inference_mode()
    def among_words(self, vocabulary: Vocabulary) -> AmongWords | None:
        """The enhancer's words before it sees an image; None without an enhancer."""
        digest, words = self._words
        if digest != vocabulary.digest:
            text = self.clip.encode_vocabulary(vocabulary)
            words = None if self.network.enhancer is None else self.network.enhancer.among_words(text)
            self._words = (vocabulary.digest, words)
        return words

    def remembered(self, vocabulary: Vocabulary) -> Tensor | None:
        """float32 (L, n), which training lexicon holds which word; None where there was no training."""
        digest, table = self._table
        if digest != vocabulary.digest:
            table = lexicon_table(self.lexicons, vocabulary) if self.lexicons else None
            self._table = (vocabulary.digest, table)
        return table

    @torch.inference_mode()
    def run(
        self,
        inputs: Sequence[OditsInput],
        vocabulary: Vocabulary,
        kept: Sequence[np.ndarray] | None = None,
        asked: Tensor | None = None,
    ) -> OditsOutput:
        """What the network says of a batch; `kept` and `asked` are those of `gather` and of `Odits.forward`."""
        text = self.clip.encode_vocabulary(vocabulary)
        return self.network(
            gather(inputs, kept),
            text,
            self.remembered(vocabulary),
            asked=asked,
            among_words=self.among_words(vocabulary),
        )

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> np.ndarray:
        """float32 (m, n): row i is a distribution over the vocabulary for image i; crops are taken for scenes."""
        return self.probabilities_of([self.eyes.look(image, vocabulary) for image in images], vocabulary)

    def probabilities_of(self, inputs: Sequence[OditsInput], vocabulary: Vocabulary) -> np.ndarray:
        """float32 (m, n) for images whose objects are known, a few at a time."""
        starts = range(0, len(inputs), _TOGETHER)
        rows = (self.run(inputs[at : at + _TOGETHER], vocabulary).logits.softmax(1).numpy() for at in starts)
        return np.concatenate([np.empty((0, len(vocabulary)), np.float32), *rows])

    def predict(self, image: Image.Image, vocabulary: Vocabulary) -> ObjectPrediction:
        """The prediction for one RGB image, with its objects."""
        return self.predict_seen(self.eyes.look(image, vocabulary), vocabulary)

    def predict_seen(self, one: OditsInput, vocabulary: Vocabulary) -> ObjectPrediction:
        """The prediction for an image whose objects are known."""
        found = self.run([one], vocabulary)
        believed = torch.zeros_like(found.attention) if found.believed is None else found.believed
        return ObjectPrediction(
            vocabulary,
            found.logits[0].softmax(0).numpy(),
            self.name,
            self.checkpoint,
            one.seen,
            found.similarity[0].numpy(),
            found.attention[0].numpy(),
            believed[0].numpy(),
        )


def load_odits(path: Path, device: str = "auto", segmenter: Segmenter | None = None) -> OditsModel:
    """The model of an ODITS checkpoint; objects are found by the segmenter that it was trained with.

    Args:
        segmenter: another one to find objects with.

    Raises:
        OditsError: the file is not an ODITS checkpoint, or its segmenter's weights are not at hand.
    """
    metadata = read_metadata(path)
    if metadata.get("kind") != KIND:
        raise OditsError(f"{path.name} is not an ODITS checkpoint.")
    state = read_state(path)
    try:
        config = OditsConfig(**json.loads(metadata["parts"]))
        words = json.loads(metadata["words"])
        flat, sizes = state["lexicons.words"].tolist(), state["lexicons.sizes"].tolist()
        if metadata["view"] not in OBJECT_VIEWS or sum(sizes) != len(flat):
            raise ValueError
        lexicons, start = [], 0
        for size in sizes:
            lexicons.append([str(words[place]) for place in flat[start : start + size]])
            start += size
        network = Odits(config, 1.0)
        network.load_state_dict(_under(state, "odits."))
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise OditsError(f"{path.name} is damaged, or was made by another version.") from error
    digest = file_digest(path)
    options = recorded_preprocessing(metadata)
    trained = metadata.get("clip", "frozen") != "frozen"
    kept = digest if trained else metadata.get("parent_digest", digest)  # embeddings in the store go by it
    try:
        clip = clip_from_state(
            _under(state, "clip."),
            metadata.get("architecture", ""),
            metadata.get("clip_name", "CLIP"),
            kept,
            device,
            options,
        )
    except ValueError as error:
        raise OditsError(f"{path.name} does not hold weights of the CLIP model that it names.") from error
    finder = segmenter or load_segmenter(metadata.get("segmenter", "embedded"), device=device)
    encoder = ObjectEncoder(clip, finder, metadata["view"], metadata.get("split_lines") == "True")
    eyes = OditsEyes(encoder, WordSpotter() if metadata.get("reads") == "True" else None)
    name, checkpoint = metadata.get("name", path.stem), f"{digest[:40]}{_short(eyes.key)}"
    return OditsModel(network, eyes, lexicons, name, checkpoint, metadata)


def untrained(eyes: OditsEyes, config: OditsConfig | None = None) -> OditsModel:
    """ODITS before any training on a CLIP model: it says what CLIP says."""
    clip = eyes.encoder.clip
    width = clip.encode_vocabulary(Vocabulary.from_words(("A",), "one word")).shape[1]
    network = Odits(config or OditsConfig(width), float(clip.model.logit_scale.detach().exp()))
    return OditsModel(network, eyes, (), f"ODITS on {clip.name}, untrained", f"untrained{clip.checkpoint[:32]}")


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _short(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:24]
