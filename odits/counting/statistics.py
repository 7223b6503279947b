"""Statistics of object counts: summary, density, and the Anderson-Darling tests (section 3.3.1 of the thesis)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from odits.core.errors import OditsError
from odits.core.store import FunctionCodec, Store, make_key

ALPHA = 5.0
"""The significance level of the thesis's decision rule (3.3.1), in percent."""

MIN_SIZE = 8
"""Fewest counts that are tested: below this the test has next to no power."""


class StatisticsError(OditsError):
    """Counts from which the statistic can't be computed, and why."""


@dataclass(frozen=True)
class CountStatistics:
    """The summary of object counts that Figs. 3.4 and 3.5 mark.

    Attributes:
        counts: objects of each image, at least one image.
        mean, median: in objects.
        mode: the most frequent count; the smallest of several.
        std: sample standard deviation (n − 1); NaN for a single image, where it isn't defined.
    """

    counts: tuple[int, ...]
    mean: float
    median: float
    mode: int
    std: float

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes for JSON; an undefined standard deviation is None."""
        return {"counts": list(self.counts), **{name: _finite(getattr(self, name)) for name in SUMMARY}}


SUMMARY = {
    "mean": ("Mean", ".2f"),
    "median": ("Median", "g"),
    "mode": ("Mode", "g"),
    "std": ("Standard deviation", ".2f"),
}
"""The numbers of `CountStatistics` that a summary shows, each with its title and its format, in their order."""


@dataclass(frozen=True)
class TestedDistribution:
    """A family of distributions with its critical values for parameters that are estimated from the sample.

    Attributes:
        name: as it stands in a list.
        title: as it stands in a sentence.
        levels: significance levels in percent, falling.
        asymptotic: critical values for an endless sample (Stephens 1974, 1977; D'Agostino 1986).
        correction: what they are divided by for n counts.
        family: SciPy's name of the distribution that is tested.
        of_logarithms: whether it is the counts' logarithms that are tested against it.
    """

    name: str
    title: str
    levels: tuple[float, ...]
    asymptotic: tuple[float, ...]
    correction: Callable[[int], float]
    family: str
    of_logarithms: bool = False

    def values(self, counts: np.ndarray) -> np.ndarray:
        """Return what is tested of counts > 0: they themselves, or their logarithms."""
        return np.log(counts) if self.of_logarithms else counts


_NORMAL: dict[str, Any] = {
    "levels": (15.0, 10.0, 5.0, 2.5, 1.0),
    "asymptotic": (0.561, 0.631, 0.752, 0.873, 1.035),
    "correction": lambda n: 1 + 0.75 / n + 2.25 / n**2,
}
_EXTREME: dict[str, Any] = {
    "levels": (25.0, 10.0, 5.0, 2.5, 1.0),
    "asymptotic": (0.474, 0.637, 0.757, 0.877, 1.038),
    "correction": lambda n: 1 + 0.2 / math.sqrt(n),
}

# SciPy 1.17 gives either critical values, with a warning that they go away, or a p-value; so its tables are kept here.
# A variable is log-normal if its logarithm is normal, and Weibull (two parameters) if it is Gumbel's for least values.
DISTRIBUTIONS = {
    "norm": TestedDistribution("Normal", "a normal distribution", family="norm", **_NORMAL),
    "expon": TestedDistribution(
        "Exponential",
        "an exponential distribution",
        (15.0, 10.0, 5.0, 2.5, 1.0),
        (0.916, 1.062, 1.321, 1.591, 1.959),
        lambda n: 1 + 0.6 / n,
        "expon",
    ),
    "lognorm": TestedDistribution(
        "Log-normal", "a log-normal distribution", family="norm", of_logarithms=True, **_NORMAL
    ),
    "weibull_min": TestedDistribution(
        "Weibull", "a Weibull distribution", family="gumbel_l", of_logarithms=True, **_EXTREME
    ),
    "gumbel_r": TestedDistribution("Gumbel", "a Gumbel distribution", family="gumbel_r", **_EXTREME),
}
POSITIVE = ("expon", "lognorm", "weibull_min")
"""Distributions that leave no room for a count of 0."""


@dataclass(frozen=True)
class AndersonDarling:
    """One Anderson-Darling test. H0: the counts come from the distribution, its parameters estimated from them.

    Attributes:
        distribution: a key of `DISTRIBUTIONS`.
        statistic: A²; infinite where the distribution gives no room to a count that occurs.
        significance_levels: in percent, falling.
        critical_values: one for each level; H0 is rejected at a level where the statistic is larger.
        p_value: interpolated between the levels, so never outside them: the ends mean "or less" and "or more".
        rejected: at 5 % (3.3.1).
        sentence: the verdict for people.
    """

    distribution: str
    statistic: float
    significance_levels: tuple[float, ...]
    critical_values: tuple[float, ...]
    p_value: float
    rejected: bool
    sentence: str

    @property
    def critical_value(self) -> float:
        """The critical value at 5 %."""
        return self.critical_values[self.significance_levels.index(ALPHA)]

    @property
    def p_text(self) -> str:
        """The p-value for people: "0.034", or "≤ 0.01" and "≥ 0.15" at the ends of the table."""
        return _p_text(self.p_value, self.significance_levels)

    def as_dict(self) -> dict[str, Any]:
        """Return the test for JSON, with the critical value at 5 %; an infinite statistic is None."""
        return {
            "distribution": self.distribution,
            "statistic": _finite(self.statistic),
            "critical_value": self.critical_value,
            "p_value": self.p_value,
            "rejected": self.rejected,
            "significance_levels": list(self.significance_levels),
            "critical_values": list(self.critical_values),
            "sentence": self.sentence,
        }


def describe_counts(counts: Sequence[int]) -> CountStatistics:
    """Compute mean, median, mode and standard deviation of object counts, one count an image.

    Raises:
        StatisticsError: there are none, or one is negative or not a whole number.
    """
    values = checked_counts(counts)
    numbers, occurrences = np.unique(values, return_counts=True)
    return CountStatistics(
        counts=tuple(int(value) for value in values),
        mean=float(values.mean()),
        median=float(np.median(values)),
        mode=int(numbers[np.argmax(occurrences)]),
        std=float(values.std(ddof=1)) if len(values) > 1 else math.nan,
    )


def anderson_darling(counts: Sequence[int], distribution: str = "norm") -> AndersonDarling:
    """Test object counts against one of `DISTRIBUTIONS` at every significance level of its table.

    Raises:
        StatisticsError: fewer than 8 counts, all of them equal, or one negative or not whole.
        OditsError: another distribution.
    """
    from scipy import stats

    values = checked_counts(counts)
    if distribution not in DISTRIBUTIONS:
        raise OditsError(f"There is no test against {distribution!r}: choose {', '.join(DISTRIBUTIONS)}.")
    if len(values) < MIN_SIZE:
        raise StatisticsError(f"An Anderson-Darling test needs at least {MIN_SIZE} images; there are {len(values)}.")
    if values.min() == values.max():
        raise StatisticsError(f"All images have {values[0]:g} objects, so there is no distribution to test.")
    if distribution in POSITIVE and values.min() == 0:
        # log F(0) is minus infinity, and so A² is infinite: such a variable is never exactly 0
        return verdict(distribution, math.inf, len(values))
    known = DISTRIBUTIONS[distribution]
    tested = stats.anderson(known.values(values), known.family, method="interpolate")
    return verdict(distribution, float(tested.statistic), len(values))


def verdict(distribution: str, statistic: float, size: int) -> AndersonDarling:
    """Say what a statistic A² of `size` counts means: critical values, p-value and verdict; for published results too.

    The thesis's Table 3.3 has 20.4421 for 100 images against "expon"; its critical value 1.333 is from an older table.
    """
    tested = DISTRIBUTIONS[distribution]
    # three decimals, as in Stephens' tables and in SciPy
    critical = tuple(round(value / tested.correction(size), 3) for value in tested.asymptotic)
    p_value = float(np.interp(statistic, critical, [level / 100 for level in tested.levels]))
    limit = critical[tested.levels.index(ALPHA)]
    rejected = statistic > limit
    p_shown = _p_text(p_value, tested.levels, equals="= ")
    if math.isinf(statistic):
        sentence = (
            f"The counts do not come from {tested.title}: an image has no objects, which it leaves no room for "
            f"(A² is infinite, p {p_shown})."
        )
    else:
        sentence = (
            f"The counts {'do not come' if rejected else 'may come'} from {tested.title} at the {ALPHA:g} % level: "
            f"A² = {statistic:.4f} {'>' if rejected else '≤'} {limit:.3f}, p {p_shown}."
        )
    return AndersonDarling(distribution, statistic, tested.levels, critical, p_value, rejected, sentence)


def density_curve(counts: Sequence[int], points: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the density of counts with Gaussian kernels, their bandwidth by Scott's rule.

    What the kernels would put below 0 is reflected at 0, so the curve's area over x ≥ 0 is 1.

    Returns:
        x and y, float64 (points,) each.

    Raises:
        StatisticsError: fewer than two different counts, or one negative or not whole.
    """
    from scipy import stats

    values = checked_counts(counts)
    if values.min() == values.max():
        raise StatisticsError("A density curve needs at least two different counts.")
    kernel = stats.gaussian_kde(values)
    reach = 4 * float(np.sqrt(kernel.covariance[0, 0]))
    x = np.linspace(max(0.0, values.min() - reach), values.max() + reach, points)
    return x, kernel(x) + kernel(-x)


def checked_counts(counts: Sequence[int]) -> np.ndarray:
    """Return the counts as float64 (n,), n ≥ 1.

    Raises:
        StatisticsError: there are none, or one is negative or not a whole number.
    """
    values = np.asarray(counts, dtype=np.float64).ravel()
    if not len(values):
        raise StatisticsError("There are no object counts: no image was segmented.")
    if not np.all(np.isfinite(values)) or np.any(values < 0) or np.any(values != np.rint(values)):
        raise StatisticsError("Object counts must be whole numbers of 0 or more.")
    return values


def _p_text(p_value: float, levels: tuple[float, ...], equals: str = "") -> str:
    if p_value <= min(levels) / 100:
        return f"≤ {min(levels) / 100:g}"
    if p_value >= max(levels) / 100:
        return f"≥ {max(levels) / 100:g}"
    return f"{equals}{p_value:.3f}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


# Anderson-Darling statistics on the disk: counts that were tested once need not wait for SciPy again.


def stored_tests(counts: Sequence[int]) -> tuple[dict[str, AndersonDarling], str]:
    """Test object counts against all `DISTRIBUTIONS`, with the statistics from the store or computed now and stored.

    Returns:
        The tests; or none, and a sentence that says why the counts can't be tested.

    Raises:
        StatisticsError: there are no counts, or one is negative or not a whole number.
    """
    values = checked_counts(counts)
    key = make_key(counts=sorted(int(value) for value in values), distributions=list(DISTRIBUTIONS))
    try:
        statistics = STATISTICS.get_or_compute(
            key, lambda: {name: anderson_darling(counts, name).statistic for name in DISTRIBUTIONS}
        )
    except StatisticsError as error:
        return {}, str(error)
    return {name: verdict(name, statistics[name], len(values)) for name in DISTRIBUTIONS}, ""


def _unpack(data: bytes) -> dict[str, float]:
    stored = json.loads(data)
    return {name: float(stored[name]) for name in DISTRIBUTIONS}


STATISTICS: Store[dict[str, float]] = Store(
    "statistics", FunctionCodec(".json", lambda statistics: json.dumps(statistics).encode(), _unpack)
)
"""A² of object counts against each of `DISTRIBUTIONS`."""
