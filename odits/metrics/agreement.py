"""How far two annotators agree: Cohen's kappa over the words that both marked (Cohen, 1960)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from odits.data.annotations import VERDICTS, Claim, Mark

# Landis and Koch, 1977: how kappa is put into words
_WORDS = ((0.0, "no"), (0.2, "slight"), (0.4, "fair"), (0.6, "moderate"), (0.8, "substantial"), (1.0, "almost perfect"))


@dataclass(frozen=True, eq=False)
class Agreement:
    """What two annotators said about the words that both marked.

    Attributes:
        names: the two annotators.
        table: int64 (3, 3): rows the first one's verdicts, columns the second's, in the order of VERDICTS.
        kappa: Cohen's kappa in -1..1, or None where it is not defined.
        differing: the claims on which they differ, with both marks.
    """

    names: tuple[str, str]
    table: np.ndarray
    kappa: float | None
    differing: tuple[tuple[Claim, Mark, Mark], ...]

    @property
    def both(self) -> int:
        """How many words both marked."""
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
        start = f"{first} and {second} both marked {words} and agree on {self.same:,} ({self.same / self.both:.0%})."
        if self.kappa is None:
            verdict = VERDICTS[int(self.table.sum(1).argmax())]
            return (
                f"{start} Cohen's kappa can't be computed: both marked every one of them {verdict}, so there is no "
                "telling agreement from habit. Mark more words."
            )
        strength = next((text for limit, text in _WORDS if self.kappa <= limit), "almost perfect")
        return (
            f"{start} Cohen's kappa is {self.kappa:.2f}: {strength} agreement beyond chance "
            "(1 is full agreement, 0 is what chance alone would give)."
        )


def agreement(names: tuple[str, str], first: Mapping[Claim, Mark], second: Mapping[Claim, Mark]) -> Agreement:
    """The agreement of two annotators over the claims that both marked; kappa is None where it is not defined."""
    common = [claim for claim in first if claim in second]
    verdicts = [(first[claim].verdict, second[claim].verdict) for claim in common]
    table = np.zeros((len(VERDICTS), len(VERDICTS)), np.int64)
    for one, other in verdicts:
        table[VERDICTS.index(one), VERDICTS.index(other)] += 1
    kappa = None
    if len({verdict for pair in verdicts for verdict in pair}) > 1:
        from sklearn.metrics import cohen_kappa_score

        kappa = float(cohen_kappa_score(*zip(*verdicts, strict=True)))
    differing = tuple(
        (claim, first[claim], second[claim])
        for claim, (one, other) in zip(common, verdicts, strict=True)
        if one != other
    )
    return Agreement(names, table, kappa, differing)
