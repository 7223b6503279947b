"""How far two annotators agree: Cohen's kappa over the items that both marked.

References:
    J. Cohen (1960), "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20.
    J. R. Landis and G. G. Koch (1977), "The measurement of observer agreement for categorical data", Biometrics 33.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from odits.core.percent import percent

Item = TypeVar("Item")

# Landis and Koch's words for kappa, each up to its limit
_STRENGTHS = (
    (0.0, "no"),
    (0.2, "slight"),
    (0.4, "fair"),
    (0.6, "moderate"),
    (0.8, "substantial"),
    (np.inf, "almost perfect"),
)


@dataclass(frozen=True, eq=False)
class Agreement(Generic[Item]):
    """What two annotators said about the items, such as words of images, that both marked.

    Attributes:
        names: the two annotators.
        verdicts: the k verdicts that can be given.
        table: int64 (k, k): how often each pair was given; rows the first one's verdicts, columns the second's.
        kappa: Cohen's kappa in -1..1, or None where it is not defined.
        differing: the items on which they differ, with both verdicts.

    Example:
        >>> found = agreement(("Anna", "Ben"), {"BAR": "right", "INN": "wrong"}, {"BAR": "right"}, ("right", "wrong"))
        >>> found.both, found.same, found.kappa
        (1, 1, None)
    """

    names: tuple[str, str]
    verdicts: tuple[str, ...]
    table: np.ndarray
    kappa: float | None
    differing: tuple[tuple[Item, str, str], ...]

    @property
    def both(self) -> int:
        """How many items both marked."""
        return int(self.table.sum())

    @property
    def same(self) -> int:
        """How many of them both marked the same way."""
        return int(np.trace(self.table))

    @property
    def sentence(self) -> str:
        """The finding in plain words."""
        first, second = self.names
        if not self.both:
            return f"{first} and {second} have not marked any of the same words yet, so nothing can be compared."
        words = "1 word" if self.both == 1 else f"{self.both:,} words"
        start = (
            f"{first} and {second} both marked {words} and agree on {self.same:,} ({percent(self.same / self.both)})."
        )
        if self.kappa is None:
            verdict = self.verdicts[int(self.table.sum(1).argmax())]
            return (
                f"{start} Cohen's kappa can't be computed: both marked every one of them {verdict}, so there is no "
                "telling agreement from habit. Mark more words."
            )
        return (
            f"{start} Cohen's kappa is {self.kappa:.2f}: {strength(self.kappa)} agreement beyond chance "
            "(1 is full agreement, 0 is what chance alone would give)."
        )


def agreement(
    names: tuple[str, str], first: Mapping[Item, str], second: Mapping[Item, str], verdicts: Sequence[str]
) -> Agreement[Item]:
    """Compare the verdicts of two annotators on the items that both marked.

    Args:
        names: the two annotators.
        first: the first one's verdict on each item.
        second: the second one's.
        verdicts: every verdict that can be given, in the order of the table.
    """
    pairs = [(item, verdict, second[item]) for item, verdict in first.items() if item in second]
    place = {verdict: number for number, verdict in enumerate(verdicts)}
    table = np.zeros((len(place), len(place)), np.int64)
    for _, one, other in pairs:
        table[place[one], place[other]] += 1
    differing = tuple(pair for pair in pairs if pair[1] != pair[2])
    return Agreement(names, tuple(verdicts), table, cohen_kappa(table), differing)


def cohen_kappa(table: np.ndarray) -> float | None:
    """Compute Cohen's kappa, (p_o - p_e) / (1 - p_e).

    p_o is the share of items on which both agree, p_e the share on which they would by chance, each giving verdicts as
    often as they did.

    Args:
        table: counts (k, k) of the pairs of verdicts.

    Returns:
        A number in -1..1; None where nothing was compared, or both gave one and the same verdict only (p_e = 1).
    """
    total = int(table.sum())
    rows, columns = table.sum(1), table.sum(0)
    by_chance = int(rows @ columns)  # times total², in whole numbers: whether it is all of them is exact
    if by_chance == total**2:
        return None
    return float((np.trace(table) * total - by_chance) / (total**2 - by_chance))


def strength(kappa: float) -> str:
    """Put kappa into Landis and Koch's words: "no" up to 0, "slight" up to 0.2, … "almost perfect" above 0.8."""
    return next(word for limit, word in _STRENGTHS if kappa <= limit)
