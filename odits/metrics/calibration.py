"""Whether probabilities are what they say: reliability diagrams and the expected calibration error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_DOUBLINGS, _HALVINGS = 12.0, 40  # powers from 1/4096 to 4096, to eleven digits


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predictions in bins of their probability (DeGroot and Fienberg, 1983).

    Attributes:
        edges: float64 (b + 1,), of the bins, from 0 to 1.
        counts: int64 (b,), predictions in each bin.
        predicted: float64 (b,), their mean probability; not a number where a bin is empty.
        observed: float64 (b,), the share of them that is true; not a number where a bin is empty.
    """

    edges: np.ndarray
    counts: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error in 0..1: the mean distance of both, weighted by counts; 0 without predictions.

        Naeini, Cooper and Hauskrecht, AAAI 2015; Guo et al., ICML 2017.
        """
        if not self.counts.sum():
            return 0.0
        distance = np.nan_to_num(np.abs(self.predicted - self.observed))
        return float((distance * self.counts).sum() / self.counts.sum())

    def intervals(self, confidence: float = 0.95) -> np.ndarray:
        """Return where the true share of each bin may lie, float64 (b, 2): Wilson's interval; NaN where it is empty.

        Args:
            confidence: of the interval, in 0..1.
        """
        from scipy.stats import binomtest

        found = np.full((len(self.counts), 2), np.nan)
        for place in np.flatnonzero(self.counts).tolist():
            count = int(self.counts[place])
            test = binomtest(round(float(self.observed[place]) * count), count)
            found[place] = test.proportion_ci(confidence, method="wilson")
        return found

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON has it, its error too; None where a bin is empty."""
        return {
            "error": self.error,
            "edges": self.edges.tolist(),
            "counts": self.counts.tolist(),
            "predicted": [None if np.isnan(value) else value for value in self.predicted.tolist()],
            "observed": [None if np.isnan(value) else value for value in self.observed.tolist()],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Reliability:
        """Read what `to_document` returned.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        edges, predicted, observed = (
            np.array(document[name], np.float64) for name in ("edges", "predicted", "observed")
        )
        counts = np.array(document["counts"], np.int64)
        if not (len(edges) - 1 == len(counts) == len(predicted) == len(observed)):
            raise ValueError("bins that do not fit")
        return cls(edges, counts, predicted, observed)


def reliability(probabilities: np.ndarray, true: np.ndarray, bins: int = 10) -> Reliability:
    """Sort predictions into bins of equal width.

    Args:
        probabilities: (m,) in 0..1.
        true: bool (m,), whether each came true.
        bins: how many.

    Example:
        >>> found = reliability(np.array([0.9, 0.9, 0.1, 0.1]), np.array([True, True, False, False]))
        >>> round(found.error, 3)
        0.1
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.minimum((np.asarray(probabilities) * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted = np.bincount(place, probabilities, bins) / counts
        observed = np.bincount(place, np.asarray(true, float), bins) / counts
    return Reliability(edges, counts, predicted, observed)


def mean_entropy(probabilities: np.ndarray) -> float:
    """Return the mean entropy of rows of probabilities (m, n), in nats: how flat they are."""
    values = np.asarray(probabilities, np.float64)
    return float(-(values * np.log(values, out=np.zeros_like(values), where=values > 0)).sum(1).mean())


def with_entropy(probabilities: np.ndarray, entropy: float) -> tuple[np.ndarray, float]:
    """Change the temperature of probabilities so that their mean entropy is a given one; no order changes.

    Metrics that follow sharpness, such as the confidence metrics, can be compared where the entropy is the same.

    Args:
        probabilities: float (m, n), each row with a sum of 1.
        entropy: in nats, above 0 and below ln n.

    Returns:
        The probabilities float64 (m, n), and the power 1 / T they were raised to.

    Example:
        >>> flat, power = with_entropy(np.array([[0.9, 0.1]]), 0.6)
        >>> round(mean_entropy(flat), 6), power < 1
        (0.6, True)
    """
    logarithms = np.log(np.maximum(np.asarray(probabilities, np.float64), np.finfo(np.float64).tiny))
    logarithms -= logarithms.max(1, keepdims=True)

    def raised(power: float) -> np.ndarray:
        values: np.ndarray = np.exp(power * logarithms)
        return values / values.sum(1, keepdims=True)

    low, high = -_DOUBLINGS, _DOUBLINGS
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_entropy(raised(2.0**middle)) > entropy else (low, middle)
    power = float(2.0 ** ((low + high) / 2))
    return raised(power), power
