"""A search over filters for object counts that are closest to a distribution (section 3.3.1 of the thesis).

SAM's filters are replayed over its masks at loose thresholds, another segmenter's objects are filtered as they are
stored: nothing is segmented anew, so that hundreds of settings take seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from odits.core.errors import OditsError
from odits.core.progress import Progress, no_progress
from odits.counting.statistics import MIN_SIZE, AndersonDarling, StatisticsError, anderson_darling
from odits.models.segmentation.parameters import SamParameters
from odits.models.segmentation.sam_replay import Filters
from odits.objects.filters import ObjectFilters

NOTE = (
    "Filters that were chosen because the counts follow a distribution best with them: so the test says yes more often "
    "than its p-value promises. To test the distribution, count other images with the filters found here."
)


AnyFilters = Filters | ObjectFilters


class Countable(Protocol):
    """An image whose objects can be counted for any filters."""

    def count(self, filters: Any) -> int:
        """Count the objects that the filters leave."""
        ...


@dataclass(frozen=True)
class Tunable:
    """Images, and the filters that can be tried over them.

    Attributes:
        images: what is counted.
        start: the filters that give the counts as they are.
        settings: the filters that a search tries.
    """

    images: Sequence[Countable]
    start: AnyFilters
    settings: Sequence[AnyFilters]


@dataclass(frozen=True)
class Setting:
    """Filters that were tried.

    Attributes:
        filters: their values.
        counts: objects of each image.
        test: Anderson-Darling against the distribution; None where the counts cannot be tested.
        reason: why they cannot, else empty.
    """

    filters: AnyFilters
    counts: tuple[int, ...]
    test: AndersonDarling | None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the setting for JSON."""
        return {
            "filters": self.filters._asdict(),
            "counts": list(self.counts),
            "test": None if self.test is None else self.test.as_dict(),
            "reason": self.reason,
        }


def tunable_objects(images: Sequence[Countable]) -> Tunable:
    """Return stored objects (`odits.objects.filters.StoredBoxes`) with 252 settings of their filters."""
    confidence = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    area = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    settings = itertools.product(confidence, area, (1.0, 0.7, 0.5, 0.3))
    return Tunable(images, ObjectFilters(), [ObjectFilters(*item) for item in settings])


def tunable_candidates(images: Sequence[Countable], parameters: SamParameters) -> Tunable:
    """Return SAM's candidates (`odits.models.segmentation.sam_replay.MaskCandidates`) with 280 settings of its filters.

    The loosest are those at which `odits.models.segmentation.candidates` stores candidates.
    """
    quality = (0.8, 0.84, 0.86, 0.88, 0.9, 0.92, 0.95)
    stability = (0.85, 0.9, 0.93, 0.95, 0.97)
    settings = itertools.product(quality, stability, (0.3, 0.5, 0.7, 0.8), (0, 100))
    start = Filters(*(getattr(parameters, name) for name in Filters._fields))
    return Tunable(images, start, [Filters(*item) for item in settings])


def try_filters(images: Sequence[Countable], filters: AnyFilters, distribution: str = "norm") -> Setting:
    """Count the objects of all images with these filters, and test the counts.

    Raises:
        OditsError: filters that are looser than what was stored of the images.
    """
    counts = tuple(image.count(filters) for image in images)
    try:
        return Setting(filters, counts, anderson_darling(counts, distribution))
    except StatisticsError as error:
        return Setting(filters, counts, None, str(error))


def search(tunable: Tunable, distribution: str = "norm", progress: Progress = no_progress) -> list[Setting]:
    """Try all settings: the one whose counts are closest to the distribution (least A²) first, untestable ones last.

    Args:
        tunable: at least 8 images.
        distribution: as `odits.counting.statistics.anderson_darling` takes it.
        progress: called with (done, of) after every setting; what it raises ends the search.

    Raises:
        OditsError: too few images, or filters looser than what was stored of the images.
    """
    if len(tunable.images) < MIN_SIZE:
        raise OditsError(f"Tuning needs the objects of at least {MIN_SIZE} images; there are {len(tunable.images)}.")
    found = []
    for number, item in enumerate(tunable.settings, start=1):
        found.append(try_filters(tunable.images, item, distribution))
        progress(number, len(tunable.settings))
    return sorted(found, key=lambda item: float("inf") if item.test is None else item.test.statistic)
