"""Two models on the same images: paired bootstrap intervals and p-values, corrected for several comparisons.

References:
    B. Efron and R. Tibshirani (1993), "An Introduction to the Bootstrap", chapters 13 and 15.
    S. Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
_CELLS = 1 << 22
"""Counts of drawn images held at a time: 32 MB, however many images there are."""


class Change(NamedTuple):
    """How much higher one model's metric is than another's, on average over images.

    Attributes:
        difference: the mean of the images' differences.
        low: lower end of its interval.
        high: upper end.
        p: two-sided, in 0..1: how likely as large a difference is where there is none.
        images: how many have a value under both models.
    """

    difference: float
    low: float
    high: float
    p: float
    images: int


def paired_bootstrap(
    changes: np.ndarray, seed: int = 0, level: float = LEVEL, resamples: int = RESAMPLES
) -> list[Change | None]:
    """Compute mean differences over images with percentile intervals and two-sided p-values.

    Images are drawn again with replacement, each with its difference under all rows: all rows see the same draws, so
    that rows can be compared with one another. The interval holds the middle `level` of the drawn means. The p-value is
    the one at which the percentile interval would just touch 0: twice the smaller share of drawn means on either side,
    (1 + count) / (1 + resamples), so that it is never 0. It says what other images would have given, not what other
    trainings would.

    Args:
        changes: float (r, m): for each of r rows the difference on each of m images; NaN where there is none.
        seed: of the draws.
        level: how much of the means the interval holds, in 0..1.
        resamples: how often the images are drawn.

    Returns:
        For each row its change; None where no image has a value.

    Example:
        >>> found = paired_bootstrap(np.array([[0.1, 0.2, 0.3, 0.1]]))[0]
        >>> round(found.difference, 3), found.low > 0, found.p < 0.001
        (0.175, True, True)
    """
    changes = np.atleast_2d(np.asarray(changes, np.float64))
    present = ~np.isnan(changes)
    values = np.where(present, changes, 0.0)
    counts = present.sum(1)
    means = np.full((len(changes), resamples), np.nan)
    if changes.shape[1]:
        for part, drawn in _draws(changes.shape[1], seed, resamples):
            # how often each image was drawn is all that a mean needs
            weight = present @ drawn.T
            np.divide(values @ drawn.T, weight, out=means[:, part], where=weight > 0)
    found: list[Change | None] = []
    for row, count, drawn_means in zip(values, counts, means, strict=True):
        if not count:
            found.append(None)
            continue
        drawn_means = drawn_means[~np.isnan(drawn_means)]  # where none of the row's few images was drawn
        low, high = np.quantile(drawn_means, [(1 - level) / 2, (1 + level) / 2])
        found.append(Change(float(row.sum() / count), float(low), float(high), _two_sided(drawn_means), int(count)))
    return found


def mean_interval(values: np.ndarray, resamples: int = RESAMPLES) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of a mean over images, or over whatever was drawn; None without a value.

    Args:
        values: float (m,); NaN where there is none.
        resamples: how often they are drawn again.

    Example:
        >>> mean_interval(np.array([0.5, 0.5])), mean_interval(np.array([np.nan]))
        ((0.5, 0.5), None)
    """
    (found,) = paired_bootstrap(values, resamples=resamples)
    return None if found is None else (found.low, found.high)


def ratio_interval(parts: np.ndarray, resamples: int = RESAMPLES) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of a ratio of sums over images, such as F; None where the lower sum is 0.

    Args:
        parts: float (m, 2): what each image adds to the upper and to the lower sum, at least 0.
        resamples: how often the images are drawn again.

    Example:
        >>> ratio_interval(np.array([[1.0, 2.0], [2.0, 4.0]]))
        (0.5, 0.5)
    """
    parts = np.asarray(parts, np.float64).reshape(-1, 2)
    if not parts[:, 1].any():
        return None
    sums = np.concatenate([drawn @ parts for _, drawn in _draws(len(parts), 0, resamples)])
    sums = sums[sums[:, 1] > 0]
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _draws(images: int, seed: int, resamples: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Draw the images `resamples` times, some at a time: how often each was drawn, float64 (part, m)."""
    rng = np.random.default_rng(seed)
    size = max(1, _CELLS // images)
    shares = np.full(images, 1 / images)
    for start in range(0, resamples, size):
        part = slice(start, min(start + size, resamples))
        yield part, rng.multinomial(images, shares, part.stop - part.start).astype(np.float64)


def _two_sided(means: np.ndarray) -> float:
    below, above = int((means <= 0).sum()), int((means >= 0).sum())
    return min(1.0, 2 * (1 + min(below, above)) / (1 + len(means)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values of several comparisons, so that any false one among them has the level's chance (Holm 1979).

    Args:
        p_values: float (r,) in 0..1; NaN where there is none, which does not count.

    Returns:
        float64 (r,) in 0..1, in the same order.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
        [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, np.float64)
    corrected = np.full(len(p_values), np.nan)
    order = np.argsort(p_values, kind="stable")
    order = order[~np.isnan(p_values[order])]
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * p_values[order]))
    return corrected
