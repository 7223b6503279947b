"""How far two or more annotators agree: Cohen's and Fleiss' kappa and Krippendorff's alpha, with bootstrap intervals.

All three are (observed - expected) / (1 - expected) agreement and differ in what chance would give: each annotator by
their own habits (Cohen), all by the habits of all (Fleiss), or verdicts drawn without replacement from those that were
given (Krippendorff), which also takes in words that not everybody judged.

References:
    J. Cohen (1960), "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20.
    J. L. Fleiss (1971), "Measuring nominal scale agreement among many raters", Psychological Bulletin 76.
    K. Krippendorff (2011), "Computing Krippendorff's alpha-reliability".
    A. F. Hayes and K. Krippendorff (2007), "Answering the call for a standard reliability measure for coding data",
        Communication Methods and Measures 1: the bootstrap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from odits.data.marks import JUDGEMENTS, ImageWord

RESAMPLES = 2000
MISSING = -1
"""Stands in a table of verdicts where an annotator gave none."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""From sums over items, float64 (b, s), to a coefficient float64 (b,); not a number where it is undefined."""
Interval = tuple[float, float]


class Coefficient(NamedTuple):
    """A coefficient of agreement.

    Attributes:
        name: "Cohen's kappa", "Fleiss' kappa" or "Krippendorff's alpha".
        annotators: whom it compares.
        items: how many words it compares them on.
        value: in -1..1; None where it is undefined, such as where only one verdict was ever given.
        by_picture: the interval that resampling pictures gives, with all words of each; None where there are too few.
        by_word: the same where single words are resampled: too narrow where words of a picture go together.
    """

    name: str
    annotators: tuple[str, ...]
    items: int
    value: float | None
    by_picture: Interval | None
    by_word: Interval | None


class Disagreement(NamedTuple):
    """A word that annotators judge differently, and each one's verdict."""

    about: ImageWord
    verdicts: dict[str, str]


class InterAnnotator(NamedTuple):
    """How far annotators agree.

    Attributes:
        annotators: who they are.
        both: words that two or more of them judged.
        same: of these, those that all who judged them judged alike.
        coefficients: Krippendorff's alpha, Fleiss' kappa of three or more, and Cohen's kappa of each pair.
        disagreements: the words that are judged differently.
    """

    annotators: tuple[str, ...]
    both: int
    same: int
    coefficients: tuple[Coefficient, ...]
    disagreements: tuple[Disagreement, ...]


def inter_annotator(
    verdicts: Mapping[str, Mapping[ImageWord, str]], resamples: int = RESAMPLES, seed: int = 0, confidence: float = 0.95
) -> InterAnnotator:
    """Compare annotators on the words that two or more of them judged; "skipped" is no judgement.

    Args:
        verdicts: of each annotator.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        confidence: of the intervals, in 0..1.
    """
    names = tuple(verdicts)
    judged = {
        name: {about: verdict for about, verdict in given.items() if verdict in JUDGEMENTS}
        for name, given in verdicts.items()
    }
    items = sorted({about for given in judged.values() for about in given})
    items = [about for about in items if sum(about in given for given in judged.values()) > 1]
    place = {verdict: number for number, verdict in enumerate(JUDGEMENTS)}
    table = np.array(
        [[place.get(judged[name].get(about, ""), MISSING) for name in names] for about in items], np.int64
    ).reshape(len(items), len(names))
    _, pictures = np.unique([f"{about.data}\0{about.image}" for about in items], return_inverse=True)

    def coefficient(
        name: str, columns: Sequence[int], parts: np.ndarray, statistic: Statistic, used: int
    ) -> Coefficient:
        value = float(statistic(parts.sum(0, keepdims=True))[0])
        intervals = [
            bootstrap(parts, groups, statistic, resamples, seed, confidence)
            for groups in (pictures, np.arange(len(items)))
        ]
        people = tuple(names[column] for column in columns)
        return Coefficient(name, people, used, None if np.isnan(value) else value, *intervals)

    k = len(JUDGEMENTS)
    everybody = range(len(names))
    found = [coefficient("Krippendorff's alpha", everybody, alpha_parts(table, k), alpha_of_parts, len(items))]
    if len(names) > 2:
        whole = int((table != MISSING).all(1).sum())
        found.append(coefficient("Fleiss' kappa", everybody, fleiss_parts(table, k), fleiss_of_parts, whole))
    for pair in combinations(everybody, 2):
        parts = cohen_parts(table[:, pair], k)
        found.append(coefficient("Cohen's kappa", pair, parts, cohen_of_parts, int(parts.sum())))
    differing = tuple(
        Disagreement(about, given)
        for about in items
        if len(set((given := {name: judged[name][about] for name in names if about in judged[name]}).values())) > 1
    )
    return InterAnnotator(names, len(items), len(items) - len(differing), tuple(found), differing)


def bootstrap(
    parts: np.ndarray, groups: np.ndarray, statistic: Statistic, resamples: int, seed: int, confidence: float
) -> Interval | None:
    """Resample groups of items with replacement; return the percentile interval of a statistic of their sums.

    Args:
        parts: float64 (n, s), what each item adds to the sums.
        groups: int64 (n,), the group of each item, from 0 on.
        statistic: of the sums.
        resamples: how often.
        seed: of the resampling.
        confidence: of the interval, in 0..1.

    Returns:
        The interval; None where there are fewer than two groups, or most resamples leave the statistic undefined.
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    if count < 2:
        return None
    sums = np.zeros((count, parts.shape[1]))
    np.add.at(sums, groups, parts)
    rng = np.random.default_rng(seed)
    # a block at a time: with many words the table of how often each is drawn would be large
    block = max(1, 2**22 // count)
    values = np.concatenate(
        [
            statistic(rng.multinomial(count, np.full(count, 1 / count), min(block, resamples - start)) @ sums)
            for start in range(0, resamples, block)
        ]
    )
    values = values[~np.isnan(values)]
    if len(values) < resamples / 2:
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


# Each coefficient is a function of sums over items: `..._parts` gives what each item adds, `..._of_parts` the value,
# which is not a number where nothing can be compared or all verdicts are one and the same.


def alpha_parts(table: np.ndarray, k: int) -> np.ndarray:
    """Return float64 (n, 1 + k): an item's pairs that differ over (its verdicts - 1), and how often each was given.

    Args:
        table: int64 (n, r), each annotator's verdict on each item, 0..k-1, or `MISSING`.
        k: how many verdicts there are.
    """
    counts = _counts(table, k)
    given = counts.sum(1)
    pairs = given**2 - (counts**2).sum(1)
    compared = given > 1
    parts = np.concatenate([np.where(compared, pairs / np.maximum(given - 1, 1), 0)[:, None], counts], axis=1)
    return np.where(compared[:, None], parts, 0.0)


def alpha_of_parts(sums: np.ndarray) -> np.ndarray:
    """Return alpha for nominal verdicts, 1 - D_o / D_e, from sums of `alpha_parts`, float64 (b,).

    Example:
        >>> parts = alpha_parts(np.array([[0, 0], [1, 1], [0, 1], [0, MISSING]]), 2)
        >>> alpha_of_parts(parts.sum(0, keepdims=True)).round(3).tolist()
        [0.444]
    """
    differing, counts = sums[:, 0], sums[:, 1:]
    given = counts.sum(1)
    by_chance = given**2 - (counts**2).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(by_chance > 0, 1 - (given - 1) * differing / by_chance, np.nan)


def fleiss_parts(table: np.ndarray, k: int) -> np.ndarray:
    """Return float64 (n, 2 + k): 1 where all judged an item, the share of pairs that agree, each verdict's count.

    Args:
        table: as of `alpha_parts`.
        k: how many verdicts there are.
    """
    counts = _counts(table, k)
    people = table.shape[1]
    agreeing = ((counts**2).sum(1) - people) / max(people * (people - 1), 1)
    whole = (table != MISSING).all(1)
    parts = np.concatenate([np.ones((len(table), 1)), agreeing[:, None], counts], axis=1)
    return np.where(whole[:, None], parts, 0.0)


def fleiss_of_parts(sums: np.ndarray) -> np.ndarray:
    """Return Fleiss' kappa, (P - P_e) / (1 - P_e), from sums of `fleiss_parts`, float64 (b,).

    Example:
        >>> parts = fleiss_parts(np.array([[0, 0, 0], [1, 1, 1], [0, 1, 0]]), 2)
        >>> fleiss_of_parts(parts.sum(0, keepdims=True)).round(3).tolist()
        [0.55]
    """
    counts = sums[:, 2:]
    given = counts.sum(1)
    several = (counts > 0).sum(1) > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        by_chance = (counts**2).sum(1) / given**2
        return np.where(several, (sums[:, 1] / sums[:, 0] - by_chance) / (1 - by_chance), np.nan)


def cohen_parts(pairs: np.ndarray, k: int) -> np.ndarray:
    """Return float64 (n, k * k): a one where the first annotator's verdict and the second's meet, none where missing.

    Args:
        pairs: int64 (n, 2), both annotators' verdicts.
        k: how many verdicts there are.
    """
    parts = np.zeros((len(pairs), k * k))
    both = (pairs != MISSING).all(1)
    parts[np.flatnonzero(both), pairs[both, 0] * k + pairs[both, 1]] = 1
    return parts


def cohen_of_parts(sums: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa from sums of `cohen_parts`, float64 (b,)."""
    k = round(sums.shape[1] ** 0.5)
    tables = sums.reshape(-1, k, k)
    total = tables.sum((1, 2))
    by_chance = (tables.sum(2) * tables.sum(1)).sum(1)  # times total², as in `odits.metrics.agreement.cohen_kappa`
    agreeing = np.trace(tables, axis1=1, axis2=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(by_chance < total**2, (agreeing * total - by_chance) / (total**2 - by_chance), np.nan)


def _counts(table: np.ndarray, k: int) -> np.ndarray:
    """Return how often each verdict was given to each item, float64 (n, k)."""
    return (table[:, :, None] == np.arange(k)).sum(1).astype(np.float64)
