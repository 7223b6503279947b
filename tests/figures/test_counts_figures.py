from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from odits.counting.statistics import StatisticsError, describe_counts
from odits.figures.counts import Mark, object_counts_figure, place_labels

SAMPLES = {
    "normal": np.random.default_rng(1).normal(60, 12, 100).round().astype(int).tolist(),
    "right-skewed": np.random.default_rng(1).exponential(60, 100).round().astype(int).tolist(),
    "left-skewed": (300 - np.random.default_rng(1).exponential(30, 100)).round().astype(int).tolist(),
    "two heaps": [0] * 30 + list(range(80, 110)) * 2,
    "mean, median and mode equal": [1, 2, 2, 3, 3, 3, 4, 4, 5],
    "all equal": [7] * 20,
    "all zero": [0] * 3,
    "one image": [3],
    "one far off": [*range(20), 5000],
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_bars_hold_every_image(name: str) -> None:
    counts = SAMPLES[name]
    bars = object_counts_figure(counts).data[0]
    assert sum(bars.y) == len(counts)
    density = object_counts_figure(counts, density=True).data[0]
    widths = np.asarray(density.width) / 0.94
    assert float(np.sum(np.asarray(density.y) * widths)) == pytest.approx(1)
    assert len(bars.x) <= 41


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_marked_is_what_the_statistics_say(name: str) -> None:
    summary = describe_counts(SAMPLES[name])
    figure = object_counts_figure(SAMPLES[name])
    texts = [annotation.text for annotation in figure.layout.annotations]
    for title in ("mean", "median", "mode"):
        assert f"{title} {getattr(summary, title):.4g}" in texts
    assert any("standard deviation" in text for text in texts) == (math.isfinite(summary.std) and summary.std > 0)


@pytest.mark.parametrize("name", SAMPLES)
def test_labels_stand_in_rows_of_their_own(name: str) -> None:
    figure = object_counts_figure(SAMPLES[name])
    heights = [annotation.yshift for annotation in figure.layout.annotations]
    assert all(abs(one - other) >= 18 for one, other in combinations(heights, 2))
    assert max(heights) + 10 <= figure.layout.margin.t
    low, high = figure.layout.xaxis.range
    assert all(low <= annotation.x <= high for annotation in figure.layout.annotations)


def test_no_line_crosses_a_label() -> None:
    """A label takes at most a fifth of the width; a line goes up to its own label's row."""
    rng = np.random.default_rng(2)
    for _ in range(500):
        middle, spread = rng.random(), rng.choice([0, 0.01, 0.1, 0.3])
        places = np.clip(middle + spread * rng.standard_normal(3), 0, 1)
        marks = [Mark(str(index), float(place), "", "") for index, place in enumerate(places)]
        labels = place_labels(marks, 0.0, 1.0)
        assert sorted(label.row for label in labels) == [1, 2, 3]
        for label in labels:
            start = label.mark.value
            left, right = (start, start + 0.2) if label.side == "right" else (start - 0.2, start)
            assert left >= -1e-9 and right <= 1 + 1e-9
            for other in labels:
                if other.row > label.row:
                    assert not left + 1e-9 < other.mark.value < right - 1e-9


def test_the_curve_covers_what_the_bars_cover() -> None:
    counts = SAMPLES["normal"]
    for density in (True, False):
        bars, curve = object_counts_figure(counts, density).data
        area = float(np.sum(np.asarray(bars.y) * np.asarray(bars.width) / 0.94))
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(area, rel=0.01)


def test_equal_counts_have_no_curve() -> None:
    assert len(object_counts_figure([7] * 20).data) == 1


def test_no_counts_is_one_sentence() -> None:
    with pytest.raises(StatisticsError, match="no object counts"):
        object_counts_figure([])
