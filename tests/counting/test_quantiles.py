"""Q-Q plots: against SciPy's probability plot, and the band against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from odits.counting.quantiles import BAND, quantiles
from odits.counting.statistics import DISTRIBUTIONS, StatisticsError
from odits.figures.counts import quantile_figure

COUNTS = np.random.default_rng(4).poisson(30, 60).tolist()


def test_a_normal_one_by_hand() -> None:
    found = quantiles(COUNTS)
    places = (np.arange(1, 61) - 0.5) / 60
    expected = np.mean(COUNTS) + np.std(COUNTS, ddof=1) * stats.norm.ppf(places)
    assert found.expected == pytest.approx(expected)
    assert found.observed.tolist() == sorted(COUNTS)


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
def test_points_of_the_right_distribution_lie_in_the_band(distribution: str) -> None:
    rng = np.random.default_rng(1)
    draw = {
        "norm": lambda: rng.normal(1000, 100, 50),
        "expon": lambda: rng.exponential(1000, 50) + 1,
        "lognorm": lambda: rng.lognormal(7, 0.4, 50),
        "weibull_min": lambda: 1000 * rng.weibull(2, 50),
        "gumbel_r": lambda: rng.gumbel(1000, 100, 50),
    }[distribution]
    inside = []
    for _ in range(60):
        found = quantiles(np.maximum(1, np.rint(draw())).astype(int).tolist(), distribution)
        assert (np.diff(found.expected) > 0).all() and (found.low < found.high).all()
        inside.append(((found.low <= found.observed) & (found.observed <= found.high)).mean())
    assert np.mean(inside) > BAND - 0.02  # more than that: the parameters are fitted to the points


def test_counts_without_a_plot_say_why() -> None:
    with pytest.raises(StatisticsError, match="two different"):
        quantiles([5] * 9)
    with pytest.raises(StatisticsError, match="no room"):
        quantiles([0, 3, 4], "weibull_min")
    assert len(quantiles([0, 3, 4], "norm").expected) == 3


def test_the_figure_shows_every_count() -> None:
    band, line, points = quantile_figure(COUNTS, "lognorm").data
    assert list(points.y) == sorted(COUNTS)
    assert len(band.x) == 2 * len(COUNTS) and line.x == line.y
