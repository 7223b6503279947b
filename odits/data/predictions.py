"""What a word model says about an image, and what a word model and a segmenter are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

from odits.core.progress import Progress
from odits.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    import supervision as sv


View = Literal["scene", "crop"]
"""What an image shows to a word model: a whole scene, or the crop of one object."""


_NOTHING = 1e-4


class WordProbability(NamedTuple):
    """A word and how well it describes the image, in 0..1."""

    word: str
    probability: float


@dataclass(frozen=True, eq=False)
class WordPrediction:
    """Probabilities of every word of a vocabulary for one image.

    Attributes:
        vocabulary: the n words asked about.
        probabilities: float32 (n,), summing to 1, or to less where a model says "none of these" too (SPEC: one row of
            P, section 2.2.1 of the thesis).
        model: which model predicted, as shown to users.
        checkpoint: digest or name of its weights.
        engine: what encoded the image, where it was not PyTorch itself: the same numbers, to rounding.

    Example:
        >>> words = Vocabulary(("BAR", "HOTEL"), "two words")
        >>> prediction = WordPrediction(words, np.float32([0.25, 0.75]), "a model", "its digest")
        >>> prediction.top(1)
        [WordProbability(word='HOTEL', probability=0.75)]
    """

    vocabulary: Vocabulary
    probabilities: np.ndarray
    model: str
    checkpoint: str
    engine: str = field(default="", kw_only=True)

    @property
    def none(self) -> float:
        """The probability, in 0..1, that it is none of these words; 0 of models that do not ask."""
        return max(0.0, 1 - float(self.probabilities.sum(dtype=np.float64)))

    @property
    def is_empty(self) -> bool:
        """Whether the model says that none of these words is in the image: all of them together are below 0.01 %."""
        return self.none > 1 - _NOTHING

    @property
    def scores(self) -> np.ndarray:
        """What words are ranked and shown by, float32 (n,) in 0..1: their probabilities."""
        return self.probabilities

    def top(self, count: int = 10) -> list[WordProbability]:
        """Return the most probable words, best first; ties in the vocabulary's order."""
        order = np.argsort(-self.scores, kind="stable")[:count]
        return [WordProbability(self.vocabulary.words[i], float(self.scores[i])) for i in order]


class WordModel(Protocol):
    """Says how well words describe images.

    Attributes:
        name: as shown to users, e.g. "ODITS Signs (embedded)".
        checkpoint: hexadecimal digest of the weights; caches key on it.
    """

    name: str
    checkpoint: str

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> np.ndarray:
        """Compute the probability of each word for each image.

        Args:
            images: m RGB images.
            vocabulary: the n words.
            view: whether the images are whole scenes, or crops of one object each; some models prepare them otherwise.

        Returns:
            float32 (m, n): row i is a distribution over the vocabulary for image i; what lacks to 1 is "none of these".
        """
        ...

    def predict(self, image: Image.Image, vocabulary: Vocabulary) -> WordPrediction:
        """Predict the words of one RGB image."""
        ...


class Segmenter(Protocol):
    """Finds the objects of an image.

    Attributes:
        name: as shown to users; says what it really is.
        key: identifies model and parameters; caches key on it.
    """

    name: str
    key: str

    def segment(self, image: Image.Image, progress: Progress | None = None) -> sv.Detections:
        """Find the objects of an RGB image of size (W, H).

        Args:
            image: the image.
            progress: called with (done, of) while it goes on; what it raises ends the work.

        Returns:
            K objects, possibly none: `xyxy` float32 (K, 4) in pixels, `mask` bool (K, H, W), `confidence` float32 (K,)
            in 0..1, and in `data`: "area" int64 (K,) in pixels and "kind" str (K,) ("mask", "region" or "text").
        """
        ...
