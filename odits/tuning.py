"""A search over SAM's filters for object counts that are closest to normal (section 3.3.1 of the thesis)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from odits.errors import OditsError
from odits.models.sam_replay import Filters, KeptCandidates, replay
from odits.statistics import MIN_SIZE, AndersonDarling, StatisticsError, anderson_darling

NOTE = (
    "These filters were chosen because the counts look normal with them, so the test says yes more often than its "
    "p-value promises. To test whether counts are normal, count other images with the filters found here."
)


@dataclass(frozen=True)
class Setting:
    """Filters that were tried.

    Attributes:
        filters: the four values.
        counts: objects of each image.
        test: Anderson-Darling against the distribution; None where the counts cannot be tested.
        reason: why they cannot, else empty.
    """

    filters: Filters
    counts: tuple[int, ...]
    test: AndersonDarling | None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The setting for JSON."""
        return {
            "filters": self.filters._asdict(),
            "counts": list(self.counts),
            "test": None if self.test is None else self.test.as_dict(),
            "reason": self.reason,
        }


def try_filters(images: Sequence[KeptCandidates], filters: Filters, distribution: str = "norm") -> Setting:
    """Counts of all images with these filters, and their test.

    Raises:
        OditsError: filters that are looser than what the candidates were kept at.
    """
    counts = tuple(len(replay(kept, filters)) for kept in images)
    try:
        return Setting(filters, counts, anderson_darling(counts, distribution))
    except StatisticsError as error:
        return Setting(filters, counts, None, str(error))


def grid(
    pred_iou_thresh: Iterable[float] = (0.8, 0.84, 0.86, 0.88, 0.9, 0.92, 0.95),
    stability_score_thresh: Iterable[float] = (0.85, 0.9, 0.93, 0.95, 0.97),
    box_nms_thresh: Iterable[float] = (0.3, 0.5, 0.7, 0.8),
    min_mask_region_area: Iterable[int] = (0, 100),
) -> list[Filters]:
    """All combinations, by default 280; the loosest thresholds are what candidates must be kept at."""
    values = itertools.product(pred_iou_thresh, stability_score_thresh, box_nms_thresh, min_mask_region_area)
    return [Filters(*item) for item in values]


def search(
    images: Sequence[KeptCandidates],
    filters: Sequence[Filters],
    distribution: str = "norm",
    advance: Callable[[int, int], None] | None = None,
) -> list[Setting]:
    """All settings, the one whose counts are closest to the distribution (least A²) first, untestable ones last.

    Args:
        images: the candidates of each image; at least 8.
        filters: what is to be tried.
        distribution: as `odits.statistics.anderson_darling` takes it.
        advance: called with (done, of) after every setting; what it raises ends the search.

    Raises:
        OditsError: too few images, or filters looser than what the candidates were kept at.
    """
    if len(images) < MIN_SIZE:
        raise OditsError(f"Tuning needs the objects of at least {MIN_SIZE} images; there are {len(images)}.")
    found = []
    for number, item in enumerate(filters, start=1):
        found.append(try_filters(images, item, distribution))
        if advance is not None:
            advance(number, len(filters))
    return sorted(found, key=lambda item: float("inf") if item.test is None else item.test.statistic)
