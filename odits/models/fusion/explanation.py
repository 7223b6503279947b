"""Which objects carry a word: what a word's logit loses when one of them is left out, and how faithful that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from odits.data import Vocabulary
from odits.models.fusion.inputs import OditsInput, SeenObjects, gather
from odits.models.fusion.model import OditsModel
from odits.models.fusion.network import ObjectText, OditsConfig

_TOGETHER = 64
_INSIDE = 0.5  # a read line belongs to the object that holds so much of the smaller of the two
COMPETITORS = 50
"""A word's probability is taken among so many most probable ones while objects come and go."""


@dataclass(frozen=True, eq=False)
class Place:
    """What an explanation takes as one: an object with its parts, and the readings of the same sign.

    Attributes:
        members: int64 (k,), which of the K embedded objects belong to it.
        owner: the segmenter's object, or -1 where only a spotter found something here.
        corners: float32 (4, 2), of its largest member.
        kind: of its first member.
    """

    members: np.ndarray
    owner: int
    corners: np.ndarray
    kind: str


def places_of(seen: SeenObjects) -> list[Place]:
    """The places of an image, in the order of its objects: a word does not leave without its line."""
    groups: list[list[int]] = []
    of_owner: dict[int, list[int]] = {}
    boxes = [(*corners.min(0), *corners.max(0)) for corners in seen.corners]
    for index, owner in enumerate(seen.owner.tolist()):
        if owner >= 0 and owner in of_owner:
            of_owner[owner].append(index)
            continue
        home = None
        if owner < 0:
            home = next(
                (group for group in groups if _is_text(seen, group) and _within(boxes[group[0]], boxes[index])), None
            )
        if home is not None:
            home.append(index)
            continue
        groups.append([index])
        if owner >= 0:
            of_owner[owner] = groups[-1]
    return [
        Place(
            np.array(group),
            int(seen.owner[group[0]]),
            seen.corners[max(group, key=lambda i: float(seen.area[i]))],
            str(seen.kind[group[0]]),
        )
        for group in groups
    ]


def _is_text(seen: SeenObjects, group: Sequence[int]) -> bool:
    return str(seen.kind[group[0]]) in ("text", "line")


def _within(one: Sequence[float], other: Sequence[float]) -> bool:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    least = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width > 0 and height > 0 and width * height >= _INSIDE * least


class Explainer:
    """Asks a model again and again about one image with objects left out; what does not change is computed once.

    Attributes:
        places: the P places of the image.
    """

    def __init__(self, model: OditsModel, one: OditsInput, vocabulary: Vocabulary) -> None:
        self.model, self.one = model, one
        self.places = places_of(one.seen)
        self._text = model.clip.encode_vocabulary(vocabulary)
        self._lexicons = model.remembered(vocabulary)
        self._words = model.among_words(vocabulary)
        self._matrix = model.network.object_text(gather([one]), self._text)

    @torch.inference_mode()
    def logits(self, present: np.ndarray, asked: Tensor | None = None) -> np.ndarray:
        """Logits float32 (r, q) of the words asked for, or of all, for each choice of places, bool (r, P)."""
        rows = []
        step = _TOGETHER if asked is not None and len(asked) <= COMPETITORS else 8
        for start in range(0, len(present), step):
            kept = [self._objects(row) for row in present[start : start + step]]
            batch = gather([self.one] * len(kept), kept)
            matrix = ObjectText(*(part.expand(len(kept), *part.shape[1:]) for part in self._parts()))
            found = self.model.network(
                batch, self._text, self._lexicons, asked=asked, matrix=matrix, among_words=self._words
            )
            rows.append(found.logits.numpy())
        return np.concatenate(rows)

    def contributions(self, words: Sequence[int]) -> np.ndarray:
        """float32 (P, q): how much the logit of each word (an index) falls when a place is left out; below 0: rises."""
        everything = np.ones((1, len(self.places)), bool)
        without = ~np.eye(len(self.places), dtype=bool)
        found = self.logits(np.concatenate([everything, without]), torch.tensor(list(words)))
        return found[:1] - found[1:]

    def attention(self, attention: np.ndarray) -> np.ndarray:
        """float32 (P,): the image's attention to each place, the sum over its members of (K,)."""
        return np.array([attention[place.members].sum() for place in self.places], np.float32)

    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._matrix.similarity, self._matrix.weighted, self._matrix.cues

    def _objects(self, present: np.ndarray) -> np.ndarray:
        kept = np.zeros(len(self.one.seen), bool)
        for place, there in zip(self.places, present, strict=True):
            kept[place.members] = there
        return kept


@dataclass(frozen=True)
class Curves:
    """Areas under a word's probability, in 0..1, while places are taken away (deletion) or put back (insertion).

    Petsiuk et al. 2018 (RISE), with objects for pixels. A faithful order has a small deletion and a large insertion
    area.
    """

    deletion: float
    insertion: float


def curves(explainer: Explainer, word: int, order: np.ndarray, steps: int = 20) -> Curves:
    """Areas for one order of places, the most important first.

    Args:
        word: index of a word.
        order: int64 (P,), a permutation of the places.
        steps: points of a curve, at most P + 1 of them differ.
    """
    count = len(order)
    if not count:
        return Curves(1.0, 1.0)
    rank = np.argsort(order)
    taken = np.unique(np.linspace(0, count, min(steps, count) + 1).round().astype(int))
    left = np.array([rank >= number for number in taken])
    put = np.array([rank < number for number in taken])
    asked = _competitors(explainer, word)
    found = explainer.logits(np.concatenate([left, put]), asked).astype(np.float64)
    share = np.exp(found - found.max(1, keepdims=True))
    share = share[:, 0] / share.sum(1)
    across = taken / count
    return Curves(float(np.trapezoid(share[: len(taken)], across)), float(np.trapezoid(share[len(taken) :], across)))


def _competitors(explainer: Explainer, word: int) -> Tensor:
    """The word, then the others that are most probable with all objects there."""
    logits = explainer.logits(np.ones((1, len(explainer.places)), bool))[0]
    best = np.argsort(-logits, kind="stable")[:COMPETITORS]
    return torch.tensor([word, *[int(index) for index in best if index != word][: COMPETITORS - 1]])


# What ODITS has and CLIP has not (Table 3.4 of the thesis), read from a model as it is.


@dataclass(frozen=True)
class Capability:
    """One row of the table.

    Attributes:
        name: what it is.
        clip, odits: who has it, in the model at hand.
        here: a few words on how it is there, or why it is not.
    """

    name: str
    clip: bool
    odits: bool
    here: str


def capabilities(model: OditsModel) -> list[Capability]:
    """The rows of Table 3.4, true of this model."""
    network, eyes = model.network, model.eyes
    segmenter = eyes.encoder.segmenter
    sam = segmenter.key.startswith("sam")
    imbalance = float(model.metadata.get("imbalance", 0) or 0)
    switches = [field.name.replace("_", " ") for field in fields(OditsConfig) if field.type in ("bool", bool)]
    return [
        Capability("Object segmentation", False, True, segmenter.name),
        Capability("SAM", False, sam, "its masks are the objects" if sam else "another segmenter found the objects"),
        Capability(
            "Feature enhancer",
            False,
            network.enhancer is not None,
            _part(network.enhancer, "image and words look at each other"),
        ),
        Capability("Cross-feature learning", False, True, "the image's token attends to the objects"),
        Capability(
            "Self-attention over objects",
            False,
            network.object_attention is not None,
            _part(network.object_attention, "objects look at each other"),
        ),
        Capability("Object-text matrix", False, True, f"an object as CLIP sees it: {eyes.encoder.view}"),
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
            eyes.spotter is not None,
            eyes.spotter.name if eyes.spotter else "trained without",
        ),
        Capability(
            "Lexicons remembered",
            False,
            network.recall is not None and bool(model.lexicons),
            f"{len(model.lexicons)} of the training images",
        ),
    ]


def _part(module: object | None, what: str) -> str:
    return what if module is not None else "left out of this checkpoint"
