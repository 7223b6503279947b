"""Paired bootstrap and Holm's correction, against SciPy's and statsmodels'."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from odits.metrics import paired
from odits.metrics.paired import holm, paired_bootstrap


@pytest.fixture
def changes() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.stack([rng.normal(mean, 0.2, 120) for mean in (0.0, 0.03, 0.12)])


def test_intervals_are_scipys(changes: np.ndarray) -> None:
    for row, found in zip(changes, paired_bootstrap(changes), strict=True):
        assert found is not None
        theirs = stats.bootstrap((row,), np.mean, n_resamples=10_000, method="percentile", rng=1).confidence_interval
        assert found.difference == pytest.approx(row.mean()) and found.images == 120
        np.testing.assert_allclose([found.low, found.high], theirs, atol=0.003)


def test_p_values_are_near_those_of_a_t_test(changes: np.ndarray) -> None:
    found = [one.p for one in paired_bootstrap(changes) if one is not None]
    theirs = stats.ttest_1samp(changes, 0, axis=1).pvalue
    np.testing.assert_allclose(found[:2], theirs[:2], atol=0.03)
    assert found[2] == pytest.approx(2 / 10_001), "never 0"


def test_p_and_interval_say_the_same() -> None:
    rng = np.random.default_rng(0)
    found = paired_bootstrap(rng.normal(0.04, 0.2, (60, 80)))
    sure = [one is not None and one.low * one.high > 0 for one in found]
    assert sure == [one is not None and one.p < 0.05 for one in found] and 5 < sum(sure) < 55


def test_all_rows_see_the_same_draws_in_blocks_too(changes: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = paired_bootstrap(np.vstack([changes, changes[:1]]))
    assert whole[0] == whole[3]
    monkeypatch.setattr(paired, "_CELLS", 1_000)
    for one, other in zip(whole, paired_bootstrap(np.vstack([changes, changes[:1]])), strict=True):
        assert one is not None and other is not None
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_images_without_a_value_do_not_count() -> None:
    row = np.array([0.2, np.nan, 0.4, np.nan])
    found, none = paired_bootstrap(np.stack([row, np.full(4, np.nan)]))
    assert found is not None and none is None
    assert (found.difference, found.images) == (pytest.approx(0.3), 2)
    assert (found.low, found.high) == (pytest.approx(0.2), pytest.approx(0.4))


def test_no_difference_at_all() -> None:
    found = paired_bootstrap(np.zeros((1, 9)))[0]
    assert found == (0.0, 0.0, 0.0, 1.0, 9)


def test_holm_is_statsmodels() -> None:
    rng = np.random.default_rng(7)
    for count in (1, 2, 9):
        p_values = rng.uniform(0, 0.2, count)
        np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])
    with_gap = holm(np.array([0.02, np.nan, 0.01]))
    assert np.isnan(with_gap[1])
    np.testing.assert_allclose(with_gap[[0, 2]], [0.02, 0.02])
