"""Settings of ODITS that need no model: parts of the network, views of objects, initialisers, generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from odits.core.errors import OditsError

if TYPE_CHECKING:  # it comes with numpy, and the command line reads this module
    from odits.data.predictions import View

OBJECT_VIEWS = {
    "crop": "the object's box, with its background",
    "blurred": "the object's box, its background blurred",
    "removed": "the object's box, its background grey",
    "masked": "the object on the whole image, all else black (thesis, 3.1)",
}
"""How CLIP is shown an object, by name, with a description for users; the first is the default, for it does best."""


def clip_view(view: str) -> View:
    """Return how CLIP takes the pictures of an object view: as whole scenes or as crops.

    Args:
        view: a name of `OBJECT_VIEWS`.

    Raises:
        OditsError: there is no such view.

    Example:
        >>> clip_view("masked"), clip_view("blurred")
        ('scene', 'crop')
    """
    if view not in OBJECT_VIEWS:
        raise OditsError(f"There is no object view '{view}': choose {', '.join(OBJECT_VIEWS)}.")
    return "scene" if view == "masked" else "crop"


INITIALIZERS: dict[str, str] = {
    "xavier": "Xavier uniform (Glorot and Bengio 2010): keeps the variance forwards and backwards, biases 0",
    "kaiming": "Kaiming uniform (He et al. 2015): keeps the variance through ReLU layers, biases 0",
    "pytorch": "PyTorch's default for linear layers: weights and biases within 1/sqrt(fan-in)",
}
"""Names of the initialisers, with a description for users."""

GENERATORS: dict[str, str] = {
    "mt19937": "Mersenne Twister (Matsumoto and Nishimura 1998), period 2^19937 - 1",
    "mrg32k3a": "combined multiple recursive generator (L'Ecuyer 1999), period about 2^191",
    "mlfg6331_64": "multiplicative lagged Fibonacci generator, lags 63 and 31 (Mascagni and Srinivasan 2004)",
    "well512a": "well equidistributed long-period linear generator (Panneton, L'Ecuyer, Matsumoto 2006)",
}
"""Names of the generators of random numbers, with a description for users."""


@dataclass(frozen=True)
class OditsConfig:
    """Which parts a network has; leaving one out is an ablation.

    Attributes:
        width: d, the width of CLIP's embeddings; 0: there are none, and objects' words are read alone.
        heads: of every attention.
        object_attention: objects attend to each other.
        weighted_text: queries and keys of the objects are their similarity-weighted words; else their embeddings.
        feature_enhancer: image and words attend to each other.
        evidence: objects add to the logits of words directly.
        prior: words have a bias: how many training lexicons hold them.
        recall: the bias also attends to the training lexicons that hold the words which the objects suggest.
        presence: the logits also say, each by itself, how probable it is that the word is in the picture.
    """

    width: int
    heads: int = 4
    object_attention: bool = True
    weighted_text: bool = True
    feature_enhancer: bool = True
    evidence: bool = True
    prior: bool = True
    recall: bool = True
    presence: bool = False
