"""Which objects carry a word: what its logit loses without them, how faithful that is; and which parts a model has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from odits.data import Vocabulary
from odits.models.fusion.inputs import InputEncoder, ObjectEmbeddings, OditsInput, collate
from odits.models.fusion.model import OditsModel
from odits.models.fusion.network import ObjectText
from odits.models.fusion.places import PlaceEncoder
from odits.models.fusion.settings import OditsConfig
from odits.models.fusion.shapley import PERMUTATIONS, ShapleyValues, shapley_values
from odits.models.reading.spotter import shared_area

COMPETITORS = 50
"""The probability of a word is taken among so many most probable ones while objects are removed and inserted."""

_BATCH, _SMALL_BATCH = 64, 8  # rows at once for a few words, and for the whole vocabulary
_MIN_OVERLAP = 0.5  # a line that was read belongs to the object that shares so much of the smaller of the two boxes


@dataclass(frozen=True, eq=False)
class ObjectGroup:
    """What an explanation takes as one object: an object with its words, and the readings of the same sign.

    Attributes:
        members: int64 (k,), which of the K embedded objects belong to it.
        owner: the segmenter's object, or -1 where only a spotter found something.
        corners: float32 (4, 2), of its largest member.
        kind: of its first member.
    """

    members: np.ndarray
    owner: int
    corners: np.ndarray
    kind: str


def group_objects(objects: ObjectEmbeddings) -> list[ObjectGroup]:
    """Group the objects of an image in their order: a word is not removed without its line."""
    groups: list[list[int]] = []
    of_owner: dict[int, list[int]] = {}
    boxes = [(*corners.min(0), *corners.max(0)) for corners in objects.corners]
    for index, owner in enumerate(objects.owner.tolist()):
        if owner >= 0:
            group = of_owner.get(owner)
        else:
            of_text = (group for group in groups if str(objects.kind[group[0]]) in ("text", "line"))
            group = next(
                (group for group in of_text if shared_area(boxes[group[0]], boxes[index]) >= _MIN_OVERLAP), None
            )
        if group is not None:
            group.append(index)
            continue
        groups.append([index])
        if owner >= 0:
            of_owner[owner] = groups[-1]
    return [
        ObjectGroup(
            np.array(group),
            int(objects.owner[group[0]]),
            objects.corners[max(group, key=lambda i: float(objects.area[i]))],
            str(objects.kind[group[0]]),
        )
        for group in groups
    ]


class Explainer:
    """Runs a model repeatedly on one image with objects left out; what does not change is computed once.

    Args:
        model: the model.
        one: the image.
        vocabulary: the n words.

    Attributes:
        groups: the P object groups of the image.
        vocabulary: the words.
    """

    def __init__(self, model: OditsModel, one: OditsInput, vocabulary: Vocabulary) -> None:
        self.model, self.one, self.vocabulary = model, one, vocabulary
        self.groups = group_objects(one.embeddings)
        self._text = model.embed_vocabulary(vocabulary)
        self._lexicons = model.lexicon_memory(vocabulary)
        self._enhanced_text = model.enhanced_text(vocabulary)
        self._matrix = model.network.object_text(collate([one]), self._text)
        self._without_rows = replace(one, read=None)  # the matrix holds them: K times n numbers for each choice

    @torch.inference_mode()
    def logits(self, present: np.ndarray, subset: Tensor | None = None) -> np.ndarray:
        """Compute logits with some groups left out.

        Args:
            present: bool (r, P), r choices of groups.
            subset: int64 (q,), indices of words; None: all.

        Returns:
            float32 (r, q), or (r, n).
        """
        rows = []
        step = _BATCH if subset is not None and len(subset) <= COMPETITORS else _SMALL_BATCH
        for start in range(0, len(present), step):
            masks = [self._members(row) for row in present[start : start + step]]
            tensors = (self._matrix.similarity, self._matrix.weighted, self._matrix.cues)
            output = self.model.network(
                collate([self._without_rows] * len(masks), masks),
                self._text,
                self._lexicons,
                subset=subset,
                matrix=ObjectText(*(tensor.expand(len(masks), *tensor.shape[1:]) for tensor in tensors)),
                enhanced_text=self._enhanced_text,
            )
            rows.append(output.logits.numpy())
        return np.concatenate(rows)

    @property
    def matrix(self) -> np.ndarray:
        """The object-text row of each group, float32 (P, n): its members' highest."""
        similarity = self._matrix.similarity[0].numpy()
        rows = [similarity[group.members].max(0) for group in self.groups]
        return np.array(rows, np.float32).reshape(len(self.groups), len(self.vocabulary))

    @cached_property
    def whole(self) -> np.ndarray:
        """Logits of all words with every group present, float32 (n,)."""
        return self.logits(np.ones((1, len(self.groups)), bool))[0]

    def contributions(self, words: Sequence[int]) -> np.ndarray:
        """Compute how much the logit of each word (an index) falls without each group; below 0: it rises.

        Returns:
            float32 (P, q).
        """
        everything = np.ones((1, len(self.groups)), bool)
        without = ~np.eye(len(self.groups), dtype=bool)
        logits = self.logits(np.concatenate([everything, without]), torch.tensor(list(words)))
        return logits[:1] - logits[1:]

    def shapley(self, word: int, permutations: int = PERMUTATIONS, seed: int = 0) -> ShapleyValues:
        """Compute the Shapley values (P,) of the groups for the logit of a word (an index).

        Args:
            word: its place in the vocabulary.
            permutations: drawn where there are more than `EXACT_PLAYERS` groups, each with its reverse.
            seed: of the drawing.
        """
        subset = torch.tensor([word])
        return shapley_values(lambda present: self.logits(present, subset)[:, 0], len(self.groups), permutations, seed)

    def attention(self, attention: np.ndarray) -> np.ndarray:
        """Sum the image's attention (K,) to the objects over the members of each group, float32 (P,)."""
        return np.array([attention[group.members].sum() for group in self.groups], np.float32)

    def _members(self, present: np.ndarray) -> np.ndarray:
        """Return which objects, bool (K,), are in the groups that are present, bool (P,)."""
        mask = np.zeros(len(self.one.embeddings), bool)
        for group, there in zip(self.groups, present, strict=True):
            mask[group.members] = there
        return mask


@dataclass(frozen=True)
class Curves:
    """Areas under a word's probability, in 0..1, while groups are removed (deletion) or inserted (insertion).

    Petsiuk et al. 2018 (RISE), with objects for pixels. A faithful order has a small deletion and a large insertion
    area.
    """

    deletion: float
    insertion: float


def curves(explainer: Explainer, word: int, order: np.ndarray, steps: int = 20) -> Curves:
    """Compute the areas for one order of groups.

    Args:
        explainer: of an image.
        word: index of a word.
        order: int64 (P,), a permutation of the groups, the most important first.
        steps: points of a curve, at most P + 1 of them differ.
    """
    count = len(order)
    if not count:
        return Curves(1.0, 1.0)
    rank = np.argsort(order)
    numbers = np.unique(np.linspace(0, count, min(steps, count) + 1).round().astype(int))
    removed = np.array([rank >= number for number in numbers])
    inserted = np.array([rank < number for number in numbers])
    subset = _competitors(explainer, word)
    logits = explainer.logits(np.concatenate([removed, inserted]), subset).astype(np.float64)
    share = np.exp(logits - logits.max(1, keepdims=True))
    share = share[:, 0] / share.sum(1)
    deletion, insertion = share[: len(numbers)], share[len(numbers) :]
    x = numbers / count
    return Curves(float(np.trapezoid(deletion, x)), float(np.trapezoid(insertion, x)))


def _competitors(explainer: Explainer, word: int) -> Tensor:
    """Return the word, then the others that are most probable with all objects present."""
    best = np.argsort(-explainer.whole, kind="stable")[:COMPETITORS]
    return torch.tensor([word, *[int(index) for index in best if index != word][: COMPETITORS - 1]])


@dataclass(frozen=True)
class Capability:
    """One row of Table 3.4 of the thesis, read from a model as it is.

    Attributes:
        name: of the capability.
        clip: whether CLIP has it.
        odits: whether the model at hand has it.
        here: a few words on how it is there, or why it is not.
    """

    name: str
    clip: bool
    odits: bool
    here: str


def capabilities(model: OditsModel) -> list[Capability]:
    """Return what ODITS has and CLIP has not (Table 3.4), true of this model."""
    network, inputs = model.network, model.input_encoder
    segmenter = inputs.segmenter
    sam = segmenter.key.startswith("sam")
    imbalance = float(model.metadata.get("imbalance", 0) or 0)
    switches = [field.name.replace("_", " ") for field in fields(OditsConfig) if field.type in ("bool", bool)]
    return [
        Capability("Object segmentation", False, True, segmenter.name),
        Capability("SAM", False, sam, "its masks are the objects" if sam else "another segmenter found the objects"),
        _of_part("Feature enhancer", network.enhancer, "image and words attend to each other"),
        _of_part("Cross-feature learning", network.image_attention, "the image's token attends to the objects"),
        _of_part("Self-attention over objects", network.object_attention, "objects attend to each other"),
        Capability("Object-text matrix", False, True, _matrix(inputs)),
        Capability(
            "Weighted losses against imbalance",
            False,
            imbalance > 0,
            f"a word weighs its frequency to the power of {-imbalance:g}"
            if imbalance > 0
            else "trained with equal weights",
        ),
        Capability(
            "Names by GroundingDINO", False, False, "names come from the page Objects; the model does not use them"
        ),
        Capability("Modularity", False, True, "can be left out: " + ", ".join(switches)),
        Capability("Explanation", False, True, "what a word loses without an object; attention"),
        Capability(
            "Signs read, not only seen",
            False,
            inputs.spotter is not None,
            inputs.spotter.name if inputs.spotter else "trained without",
        ),
        Capability(
            "Lexicons remembered",
            False,
            network.recall is not None and bool(model.lexicons),
            f"{len(model.lexicons)} of the training images",
        ),
    ]


def _matrix(inputs: InputEncoder | PlaceEncoder) -> str:
    if isinstance(inputs, PlaceEncoder):
        return "what is read at each place"
    return f"an object as CLIP sees it: {inputs.object_encoder.view}"


def _of_part(name: str, module: object | None, how: str) -> Capability:
    return Capability(name, False, module is not None, how if module is not None else "left out of this checkpoint")
