"""In which order pictures are marked, what is proposed for their words, and how far an annotator has come.

Words are given with the probability that each is present in its picture. A verdict is proposed by limits: "right" from
a word's limit on, "wrong" below; what has to be corrected is therefore expected where probabilities lie near it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from odits.core.errors import OditsError
from odits.core.files import sha256_of
from odits.data.marks import SKIPPED, ImageWord, Mark, fold_name
from odits.evaluation.limits import Limits

ORDERS = {
    "file": "By file name",
    "uncertainty": "Least certain first",
    "disagreement": "Most disputed between checkpoints first",
    "chance": "By chance",
}
FILTERS = {
    "all": "All pictures",
    "unfinished": "Unfinished",
    "unsure": "With an unsure word",
    "skipped": "With a skipped word",
    "noted": "With a note",
}
PAUSE_SECONDS = 300.0
"""Where longer than this nothing was marked, nobody was at work."""

Words = Mapping[str, float]
"""Words of a picture that are put before annotators, with the probability that each is present, in 0..1."""


def expected_corrections(words: Words, limits: Limits) -> float:
    """Estimate how many proposals of a picture are wrong.

    At the limit either verdict is as likely as the other; away from it the odds of a mistake fall as the odds of the
    probability move: with d = |logit p - logit limit| a proposal is wrong with probability 1 / (1 + exp(d)).

    Args:
        words: of the picture.
        limits: from which "right" is proposed.

    Example:
        >>> expected_corrections({"BAR": 0.5, "INN": 0.5}, Limits(0.5))
        1.0
        >>> round(expected_corrections({"BAR": 0.9}, Limits(0.5)), 3)
        0.1
    """
    return sum(1 / (1 + math.exp(abs(_logit(value) - _logit(limits.of(word))))) for word, value in words.items())


def disagreement(checkpoints: Sequence[Words], limits: Limits) -> float:
    """Measure how far checkpoints differ on a picture: the entropy of their proposals, in bits, summed over its words.

    This is vote entropy (Dagan and Engelson, ICML 1995); a word that a checkpoint does not list it calls wrong.

    Args:
        checkpoints: the words of the picture by each of them.
        limits: from which "right" is proposed.

    Example:
        >>> disagreement([{"BAR": 0.9, "INN": 0.9}, {"BAR": 0.8, "INN": 0.1}], Limits(0.5))
        1.0
    """
    total = 0.0
    for word in {word for words in checkpoints for word in words}:
        share = sum(words.get(word, 0.0) >= limits.of(word) for words in checkpoints) / len(checkpoints)
        total -= sum(part * math.log2(part) for part in (share, 1 - share) if part)
    return total


def ordered(
    images: Iterable[str],
    order: str,
    checkpoints: Sequence[Mapping[str, Words]] = (),
    limits: Limits | None = None,
    seed: int = 0,
) -> list[str]:
    """Return pictures in the order in which they are to be marked; ties by file name.

    Args:
        images: their names.
        order: a key of `ORDERS`.
        checkpoints: the words of each picture by one or more checkpoints; the first is the one whose words are shown.
        limits: from which "right" is proposed.
        seed: of chance. A picture's place among the others depends on its own name and the seed only, so the order
            stays where pictures are added or filtered out.

    Raises:
        OditsError: there is no such order, or it needs more checkpoints.
    """
    limits = limits or Limits()
    found = sorted(images)
    if order not in ORDERS:
        raise OditsError(f"There is no order {order[:40]!r}: choose {', '.join(ORDERS)}.")
    needed = {"uncertainty": 1, "disagreement": 2}.get(order, 0)
    if len(checkpoints) < needed:
        raise OditsError(f"The order {order!r} needs the words of {needed} checkpoint{'s' * (needed > 1)}.")
    if order == "uncertainty":
        found.sort(key=lambda name: -expected_corrections(checkpoints[0].get(name, {}), limits))
    elif order == "disagreement":
        found.sort(key=lambda name: -disagreement([words.get(name, {}) for words in checkpoints], limits))
    elif order == "chance":
        found.sort(key=lambda name: sha256_of(f"{seed}\0{name}"))
    return found


class PictureProgress(NamedTuple):
    """How far a picture is marked.

    Attributes:
        listed: words that are put before the annotator.
        marked: how many of them have a verdict.
        added: words that the annotator typed.
        unsure: words with this verdict, typed ones too; likewise `skipped`.
        skipped: see `unsure`.
        noted: words with a note.
    """

    listed: int
    marked: int
    added: int
    unsure: int
    skipped: int
    noted: int

    @property
    def done(self) -> bool:
        """Whether every word that is listed has a verdict."""
        return self.marked >= self.listed


def progress_of(listed: Collection[str], given: Mapping[str, Mark]) -> PictureProgress:
    """Say how far a picture is marked.

    Args:
        listed: the words that are put before the annotator.
        given: the annotator's marks of the picture, by word.
    """
    marks = given.values()
    return PictureProgress(
        len(listed),
        sum(word in given for word in listed),
        sum(mark.added for mark in marks),
        sum(mark.verdict == "unsure" for mark in marks),
        sum(mark.verdict == SKIPPED for mark in marks),
        sum(bool(mark.note) for mark in marks),
    )


def filtered(images: Iterable[str], only: str, progress: Mapping[str, PictureProgress]) -> list[str]:
    """Return the pictures that a filter lets through, in their order.

    Args:
        images: their names.
        only: a key of `FILTERS`.
        progress: of each picture.

    Raises:
        OditsError: there is no such filter.
    """
    if only not in FILTERS:
        raise OditsError(f"There is no filter {only[:40]!r}: choose {', '.join(FILTERS)}.")

    def passes(name: str) -> bool:
        one = progress[name]
        wanted = {"unfinished": not one.done, "unsure": one.unsure, "skipped": one.skipped, "noted": one.noted}
        return only == "all" or bool(wanted[only])

    return [name for name in images if passes(name)]


def pace(times: Iterable[tuple[str, str]]) -> float | None:
    """Return how many pictures a minute an annotator marks, pauses left out; None before the second picture.

    Args:
        times: picture and time (ISO 8601, UTC) of each change, in the order in which they were made.

    Example:
        >>> pace([("a", "2026-01-01T10:00:00+00:00"), ("b", "2026-01-01T10:00:30+00:00")])
        2.0
    """
    found = list(times)
    moments = [datetime.fromisoformat(time) for _, time in found]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    moves = [image != before for (before, _), (image, _) in pairwise(found)]
    worked = [(gap, move) for gap, move in zip(gaps, moves, strict=True) if 0 <= gap <= PAUSE_SECONDS]
    minutes, pictures = sum(gap for gap, _ in worked) / 60, sum(move for _, move in worked)
    return pictures / minutes if pictures and minutes else None


def twice_marked(images: Iterable[str], share: float, seed: int = 0) -> list[str]:
    """Draw the pictures that two people mark, so that their agreement can be told.

    Args:
        images: their names.
        share: of them, in 0..1; at least one picture where it is above 0.
        seed: of the draw.

    Example:
        >>> len(twice_marked([f"{number}.jpg" for number in range(40)], 0.2))
        8
    """
    names = sorted(images)
    count = min(len(names), max(1, round(share * len(names)))) if share > 0 else 0
    return sorted(random.Random(f"twice {seed}").sample(names, count))


def assigned(
    images: Iterable[str], annotators: Sequence[str], share: float = 0.0, seed: int = 0
) -> dict[str, list[str]]:
    """Divide pictures among annotators: each picture to one of them, the drawn share to two.

    Args:
        images: their names.
        annotators: who marks; in whichever order they are named, the division is the same.
        share: of the pictures that two people mark, in 0..1.
        seed: of the division.

    Returns:
        For each annotator, as named, the pictures, by file name. With one annotator all are theirs.

    Raises:
        OditsError: nobody is named, or somebody twice.
    """
    people = sorted(annotators, key=fold_name)
    if not people or len(set(map(fold_name, people))) < len(people):
        raise OditsError("Name each annotator once.")
    names = sorted(images)
    random.Random(f"assigned {seed}").shuffle(names)
    double = set(twice_marked(names, share, seed)) if len(annotators) > 1 else set()
    found: dict[str, list[str]] = {name: [] for name in annotators}
    # those that two people mark first, so that all have about as many
    turn = 0
    for name in sorted(names, key=lambda name: name not in double):
        for _ in range(2 if name in double else 1):
            found[people[turn % len(people)]].append(name)
            turn += 1
    return {annotator: sorted(theirs) for annotator, theirs in found.items()}


def left_over(marks: Iterable[ImageWord], images: Collection[str]) -> list[ImageWord]:
    """List the marked words of pictures that are no longer in the data set: their marks are kept."""
    known = set(images)
    return [about for about in marks if about.image not in known]


def _logit(probability: float) -> float:
    bounded = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))
