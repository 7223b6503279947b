"""Evaluated checkpoints against the first of them, on the same images: how large the differences are, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from odits.core.errors import OditsError
from odits.evaluation.results import StoredEvaluation
from odits.metrics.paired import Change, holm, paired_bootstrap
from odits.metrics.probabilities import CONFIDENCE, RANK

METRICS = (
    *(f"rank {name}" for name in RANK),
    *(f"confidence {name}" for name in CONFIDENCE),
    *(f"threshold {name}" for name in CONFIDENCE),
    "uniformity",
)
"""Names of the metrics of an image, as `odits.metrics.scoring.score_images` writes them, those to look at first."""
DEFAULT_METRIC = "rank average_precision"


class Difference(NamedTuple):
    """One checkpoint against the first, by one metric.

    Attributes:
        row: which of the others, counted from 0.
        metric: of `METRICS`.
        change: its difference, interval and p-value; None where no image has the metric under both.
        corrected: its p-value corrected over the rows of this metric (Holm); NaN without one.
    """

    row: int
    metric: str
    change: Change | None
    corrected: float


class Share(NamedTuple):
    """What one image adds to a difference.

    Attributes:
        image: its name.
        place: its place among the evaluation's images.
        before: the metric under the first checkpoint.
        after: under the other.
        change: after - before.
        share: of all change, up and down, in 0..1.
        running: the shares of this one and of those before it in the list.
    """

    image: str
    place: int
    before: float
    after: float
    change: float
    share: float
    running: float


def require_comparable(base: StoredEvaluation, others: Sequence[StoredEvaluation]) -> None:
    """Raise where evaluations are not of the same images and words.

    Raises:
        OditsError: they are not.
    """
    for other in others:
        if other.question != base.question or other.images != base.images:
            raise OditsError(
                f"{other.model} and {base.model} can't be compared: they were evaluated on other images or words."
            )


def changes_of(base: StoredEvaluation, other: StoredEvaluation, metric: str) -> np.ndarray:
    """Return how much higher a metric is than under the first checkpoint on each image, float64 (m,); NaN without it.

    Raises:
        OditsError: there is no such metric.
    """
    if metric not in base.per_image or metric not in other.per_image:
        raise OditsError(f"There is no metric “{metric}”; there is {', '.join(METRICS)}.")
    return np.asarray(other.per_image[metric] - base.per_image[metric], np.float64)


def differences(
    base: StoredEvaluation, others: Sequence[StoredEvaluation], metrics: Sequence[str] = METRICS, seed: int = 0
) -> list[Difference]:
    """Compare checkpoints with the first by paired bootstrap over images; p-values are corrected over the rows.

    Args:
        base: the first.
        others: the rows, evaluated on the same images and words.
        metrics: of `METRICS`.
        seed: of the draws; all rows and metrics see the same.

    Returns:
        The rows of the first metric, then those of the next.

    Raises:
        OditsError: they were not evaluated on the same, or there is no such metric.
    """
    require_comparable(base, others)
    if not others:
        return []
    table = np.array([changes_of(base, other, metric) for metric in metrics for other in others])
    changes = paired_bootstrap(table, seed)
    found: list[Difference] = []
    for number, metric in enumerate(metrics):
        rows = changes[number * len(others) : (number + 1) * len(others)]
        corrected = holm(np.array([np.nan if one is None else one.p for one in rows]))
        found += [
            Difference(row, metric, change, float(p))
            for row, (change, p) in enumerate(zip(rows, corrected, strict=True))
        ]
    return found


def shares_of(base: StoredEvaluation, other: StoredEvaluation, metric: str) -> list[Share]:
    """List the images by what each adds to a difference, the largest first, up or down; those without it left out.

    Raises:
        OditsError: they were not evaluated on the same, or there is no such metric.
    """
    require_comparable(base, [other])
    changes = changes_of(base, other, metric)
    total = float(np.nansum(np.abs(changes)))
    order = [int(place) for place in np.argsort(-np.abs(changes), kind="stable") if not np.isnan(changes[place])]
    found: list[Share] = []
    running = 0.0
    for place in order:
        share = abs(float(changes[place])) / total if total else 0.0
        running = min(1.0, running + share)
        before, after = float(base.per_image[metric][place]), float(other.per_image[metric][place])
        found.append(Share(base.images[place], place, before, after, float(changes[place]), share, running))
    return found
