"""A difference of two checkpoints in parts of the images: by lexicon, size of signs, confidence and source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from odits.core.errors import OditsError
from odits.data import ImageRecord
from odits.evaluation.differences import changes_of, require_comparable
from odits.evaluation.results import StoredEvaluation
from odits.metrics.paired import Change, holm, paired_bootstrap

PARTS = 4
"""Parts that a number is cut into, each with about as many images."""
SOURCES = {"train": "training lexicons", "eval": "test lexicons", "": "no split"}


class Slice(NamedTuple):
    """A part of the images.

    Attributes:
        title: for people, such as "1 to 9 words".
        images: how many it has.
        before: mean of the metric under the first checkpoint; NaN where no image has it.
        after: under the other.
        change: the difference with its interval; None where no image has it.
        corrected: its p-value corrected over the parts (Holm); NaN without one.
    """

    title: str
    images: int
    before: float
    after: float
    change: Change | None
    corrected: float


class Slicing(NamedTuple):
    """A way to cut the images into parts: its title, and what puts an image into one."""

    title: str
    cut: Callable[[StoredEvaluation, Sequence[ImageRecord]], list[str]]


def _words(base: StoredEvaluation, records: Sequence[ImageRecord]) -> list[str]:
    return _in_parts([len(set(record.lexicon)) for record in records], "{} words", "no lexicon")


def _signs(base: StoredEvaluation, records: Sequence[ImageRecord]) -> list[str]:
    return _in_parts([sign_height(record) for record in records], "{} % of the picture's height", "no marked words")


def _confidence(base: StoredEvaluation, records: Sequence[ImageRecord]) -> list[str]:
    surest = 100 * np.asarray(base.probabilities().max(1), np.float64)
    return _in_parts(surest.tolist(), "{} % for its first word", "no word")


def _source(base: StoredEvaluation, records: Sequence[ImageRecord]) -> list[str]:
    return [SOURCES.get(record.split, record.split) for record in records]


SLICINGS: Mapping[str, Slicing] = {
    "words": Slicing("Number of words in the lexicon", _words),
    "signs": Slicing("Size of the marked signs", _signs),
    "confidence": Slicing("Confidence of the first checkpoint", _confidence),
    "source": Slicing("Source of the lexicon", _source),
}


def sign_height(record: ImageRecord) -> float:
    """Return the median height of an image's marked words in percent of its own; 0 where none is marked."""
    if not record.boxed:
        return 0.0
    with suppress(OditsError):
        height = record.size()[1]
        return 100 * float(np.median([box.box[3] - box.box[1] for box in record.boxed])) / max(height, 1)
    return 0.0


def _in_parts(values: Sequence[float], form: str, without: str) -> list[str]:
    """Name the part of each value: those above 0 are cut at quantiles; of equal values none is torn apart."""
    array = np.asarray(values, np.float64)
    known = array[array > 0]
    whole = bool(np.all(known == np.round(known)))
    shares = np.linspace(0, 1, PARTS + 1)[1:-1]
    edges: np.ndarray = np.unique(np.quantile(known, shares, method="lower")) if len(known) else np.empty(0)
    parts = np.searchsorted(edges, array, side="left")
    titles = []
    for value, part in zip(array, parts, strict=True):
        if value <= 0:
            titles.append(without)
            continue
        same = array[(array > 0) & (parts == part)]
        low, high = (f"{one:.0f}" if whole else f"{one:.3g}" for one in (same.min(), same.max()))
        titles.append(form.format(low if low == high else f"{low} to {high}"))
    return titles


def slice_difference(
    base: StoredEvaluation,
    other: StoredEvaluation,
    metric: str,
    by: str,
    records: Sequence[ImageRecord],
    seed: int = 0,
) -> list[Slice]:
    """Compute a difference in each part of the images, by paired bootstrap, corrected over the parts.

    Args:
        base: the first checkpoint.
        other: the one compared with it.
        metric: of `odits.evaluation.differences.METRICS`.
        by: of `SLICINGS`.
        records: of the evaluation's m images, in their order.
        seed: of the draws.

    Returns:
        The parts from the smallest value on; those without a value last.

    Raises:
        OditsError: they were not evaluated on the same, or there is no such metric or way to cut.
    """
    require_comparable(base, [other])
    if by not in SLICINGS:
        raise OditsError(f"Images can't be cut by “{by}”; there is {', '.join(SLICINGS)}.")
    names = SLICINGS[by].cut(base, records)
    changes = changes_of(base, other, metric)
    titles = sorted(dict.fromkeys(names), key=_number_of)
    members = [np.array([name == title for name in names], bool) for title in titles]
    found = paired_bootstrap(np.array([np.where(member, changes, np.nan) for member in members]), seed)
    corrected = holm(np.array([np.nan if one is None else one.p for one in found]))
    parts = []
    for title, member, change, p in zip(titles, members, found, corrected, strict=True):
        both = member & ~np.isnan(changes)
        means = [float(np.mean(one.per_image[metric][both])) if both.any() else np.nan for one in (base, other)]
        parts.append(Slice(title, int(member.sum()), means[0], means[1], change, float(p)))
    return parts


def _number_of(title: str) -> float:
    """Return the number that a part begins with; parts without one come last."""
    try:
        return float(title.split(" ", 1)[0])
    except ValueError:
        return np.inf


def reversals(total: Change | None, parts: Sequence[Slice]) -> list[str]:
    """Say in which parts the difference has the other sign than in total: Simpson's paradox, or its beginning.

    Over the same images with the same weights not every part can go against the total; with parts of very different
    size nearly all can.

    Args:
        total: over all images.
        parts: of them.

    Returns:
        A sentence for each such part, and one more where most of them go the other way.
    """
    if total is None or total.difference == 0:
        return []
    known = [part for part in parts if part.change is not None and part.change.difference != 0]
    against = [part for part in known if part.change and part.change.difference * total.difference < 0]
    sentences = []
    for part in against:
        change = part.change
        if change is None:
            continue
        sure = "beyond chance" if change.low * change.high > 0 else "which chance may explain"
        sentences.append(
            f"{part.title}: {change.difference:+.4f} on {change.images:,} images, against {total.difference:+.4f} in "
            f"total, {sure}."
        )
    if len(against) > len(known) / 2:
        sentences.append("Most parts go the other way than the total: it stems from few images (Simpson's paradox).")
    return sentences
