"""What counts would be if they followed a distribution: the two sides of a Q-Q plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from odits.counting.statistics import DISTRIBUTIONS, POSITIVE, StatisticsError, checked_counts

BAND = 0.95
"""How many of the points lie within the band, one by one, if the distribution is the right one."""


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Counts in rising order against the distribution that fits them best; all arrays are float64 (n,).

    Attributes:
        expected: the distribution's quantiles at (i − 0.5) / n.
        observed: the counts.
        low, high: where the i-th of n counts of that distribution lies with probability `BAND`, pointwise.
    """

    expected: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray


def quantiles(counts: Sequence[int], distribution: str = "norm") -> Quantiles:
    """Compute the quantiles of object counts, and those of one of `DISTRIBUTIONS` with parameters from the counts.

    Location and scale are as in the Anderson-Darling test: mean and standard deviation (normal), mean (exponential),
    maximum likelihood (Gumbel); logarithms for log-normal and Weibull. The i-th of n uniform variables follows
    Beta(i, n − i + 1), whose quantiles give the band.

    Raises:
        StatisticsError: fewer than two different counts, or counts for which the distribution leaves no room.
    """
    from scipy import stats

    observed = np.sort(checked_counts(counts))
    if observed[0] == observed[-1]:
        raise StatisticsError("A Q-Q plot needs at least two different counts.")
    known = DISTRIBUTIONS[distribution]
    if distribution in POSITIVE and observed[0] == 0:
        raise StatisticsError(f"An image has no objects, and {known.title} leaves no room for that.")
    fitted = _fitted(known.values(observed), known.family)
    rank = np.arange(1, len(observed) + 1)
    beta = stats.beta(rank, len(observed) - rank + 1)
    places = ((rank - 0.5) / len(observed), beta.ppf((1 - BAND) / 2), beta.ppf((1 + BAND) / 2))
    expected, low, high = (np.exp(fitted.ppf(place)) if known.of_logarithms else fitted.ppf(place) for place in places)
    return Quantiles(expected, observed, low, high)


def _fitted(values: np.ndarray, family: str) -> Any:
    """SciPy's distribution of a family with location and scale from the values."""
    from scipy import stats

    if family == "norm":
        return stats.norm(values.mean(), values.std(ddof=1))
    if family == "expon":
        return stats.expon(scale=values.mean())
    return getattr(stats, family)(*getattr(stats, family).fit(values))
