"""Whether probabilities are what they say: reliability diagrams and the expected calibration error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


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
