"""The thesis's test of object counts (Table 3.3, Figs. 3.3 to 3.6) beside one's own, and why they differ."""

from __future__ import annotations

from typing import NamedTuple

from odits.counting.statistics import AndersonDarling

DISTRIBUTION, STATISTIC, CRITICAL, IMAGES = "expon", 20.4421, 1.333, 100
"""Table 3.3: A² against the exponential distribution, its critical value at 5 %, and how many images were counted."""
OLDER = 1.341
"""Stephens' asymptotic critical value at 5 % that 1.333 comes from: 1.341 / (1 + 0.6 / 100)."""


class ComparedValue(NamedTuple):
    """A value of the thesis beside one's own; "–" where there is none."""

    what: str
    thesis: str
    ours: str


def compare_with_thesis(
    test: AndersonDarling, images: int, segmenter: str, as_published: bool
) -> tuple[list[ComparedValue], list[str]]:
    """Put the thesis's values beside those of counts, and say what explains the difference.

    Args:
        test: of the counts against the exponential distribution.
        images: how many were counted.
        segmenter: what found them, for people.
        as_published: whether it is SAM with the values of Table 3.2.

    Returns:
        The values, and a sentence for each thing that explains a difference.
    """
    critical = _critical(test)
    each = 100 * test.statistic / images
    rows = [
        ComparedValue("Images", f"{IMAGES}", f"{images:,}"),
        ComparedValue("Objects by", "SAM, Table 3.2", segmenter),
        ComparedValue("A² against exponential", f"{STATISTIC:.4f}", f"{test.statistic:.4f}"),
        ComparedValue("A² for each 100 images", f"{STATISTIC:.4f}", f"{each:.4f}"),
        ComparedValue("Critical value (5 %)", f"{CRITICAL:.3f}", f"{critical:.3f}"),
        ComparedValue("Exponential (H₀)", "rejected", "rejected" if test.rejected else "not rejected"),
        ComparedValue("Mean, median, mode, deviation", "in Figs. 3.4 and 3.5 only", "above"),
    ]
    return rows, _explanations(test, images, segmenter, as_published)


def _critical(test: AndersonDarling) -> float:
    return test.critical_values[test.significance_levels.index(5.0)]


def _explanations(test: AndersonDarling, images: int, segmenter: str, as_published: bool) -> list[str]:
    older = OLDER / (1 + 0.6 / images)
    found = [
        f"The critical value {CRITICAL} is of an older table by Stephens ({OLDER} / (1 + 0.6 / N) for N = {IMAGES}; it "
        f"would be {older:.3f} for N = {images:,}); today's table, which SciPy has too, gives {_critical(test):.3f}."
    ]
    if images != IMAGES:
        found.append(
            f"A² grows about in proportion to the number of images where a distribution does not fit: {images:,} "
            f"images were counted here, and {IMAGES} there."
        )
    if not as_published:
        found.append(
            f"The thesis counts the masks of SAM with the values of Table 3.2; here the objects are those of "
            f"{segmenter}, which finds other and other numbers of objects."
        )
    elif abs(test.statistic - STATISTIC) > 0.01 * STATISTIC:
        found.append(
            "The thesis does not say which of SAM's three sizes it used, nor which images where there are more than "
            "100: both move the counts."
        )
    if test.rejected == (test.statistic > older):
        found.append("Whichever table is used, the verdict is the same.")
    return found
