from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from odits.core.errors import OditsError
from odits.counting.statistics import (
    DISTRIBUTIONS,
    AndersonDarling,
    StatisticsError,
    anderson_darling,
    density_curve,
    describe_counts,
    stored_tests,
    verdict,
)


def poisson(mean: float = 40, size: int = 100, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).poisson(mean, size).tolist()


def test_summary() -> None:
    summary = describe_counts([4, 2, 2, 9, 4, 3])
    assert summary.counts == (4, 2, 2, 9, 4, 3)
    assert (summary.mean, summary.median, summary.mode) == (4.0, 3.5, 2)
    assert summary.std == pytest.approx(math.sqrt((0 + 4 + 4 + 25 + 0 + 1) / 5))


def test_one_image_has_no_deviation() -> None:
    summary = describe_counts([3])
    assert math.isnan(summary.std)
    assert json.loads(json.dumps(summary.as_dict(), allow_nan=False))["std"] is None


@pytest.mark.parametrize("counts", [[], [-1, 2], [1.5, 2], [math.nan], [math.inf, 1]])
def test_counts_that_are_none(counts: list[float]) -> None:
    for function in (describe_counts, anderson_darling, density_curve):
        with pytest.raises(StatisticsError):
            function(counts)


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
@pytest.mark.parametrize("size", [8, 33, 100, 1000])
def test_statistic_and_critical_values_are_scipys(distribution: str, size: int) -> None:
    counts = poisson(size=size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        known = DISTRIBUTIONS[distribution]
        values = np.log(counts) if known.of_logarithms else counts
        reference = stats.anderson(values, known.family)
        if not hasattr(reference, "critical_values"):
            pytest.skip("this SciPy no longer gives critical values to compare with")
        critical_values, levels = reference.critical_values, reference.significance_level
    ours = anderson_darling(counts, distribution)
    assert ours.statistic == pytest.approx(reference.statistic, rel=1e-12)
    assert ours.critical_values == pytest.approx(tuple(critical_values))
    assert ours.significance_levels == tuple(levels)
    assert ours.p_value == pytest.approx(stats.anderson(values, known.family, method="interpolate").pvalue)


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
def test_no_warning_reaches_the_user(distribution: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(5):
            anderson_darling(poisson(seed=seed), distribution)


def test_statistic_against_its_definition() -> None:
    counts = np.sort(poisson())
    size, places = len(counts), np.arange(1, len(counts) + 1)
    probability = 1 - np.exp(-counts / counts.mean())
    expected = -size - np.mean((2 * places - 1) * (np.log(probability) + np.log(1 - probability[::-1])))
    assert anderson_darling(counts.tolist(), "expon").statistic == pytest.approx(expected)


def test_the_case_of_the_thesis() -> None:
    result = verdict("expon", 20.4421, 100)
    assert result.critical_values == (0.911, 1.056, 1.313, 1.582, 1.947)
    assert result.critical_value == 1.313
    assert result.rejected and result.p_value == 0.01 and result.p_text == "≤ 0.01"
    assert "do not come from an exponential" in result.sentence and "20.4421 > 1.313" in result.sentence


def test_normal_and_exponential_samples_are_told_apart() -> None:
    normal = np.random.default_rng(3).normal(200, 30, 100).round().astype(int).tolist()
    exponential = (1 + np.random.default_rng(3).exponential(200, 100)).round().astype(int).tolist()
    assert not anderson_darling(normal, "norm").rejected
    assert anderson_darling(normal, "expon").rejected
    assert not anderson_darling(exponential, "expon").rejected
    assert anderson_darling(exponential, "norm").rejected
    assert "may come from a normal" in anderson_darling(normal, "norm").sentence


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
def test_verdict_and_p_value_agree_at_five_percent(distribution: str) -> None:
    limit = verdict(distribution, 0.0, 100).critical_value
    assert verdict(distribution, limit, 100).p_value == pytest.approx(0.05)
    assert not verdict(distribution, limit, 100).rejected
    assert verdict(distribution, limit + 1e-9, 100).rejected


def test_an_image_without_objects_makes_the_exponential_statistic_infinite() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = anderson_darling([0, *poisson()], "expon")
    assert math.isinf(result.statistic) and result.rejected
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["statistic"] is None
    assert "no objects" in result.sentence


def test_too_few_all_equal_or_unknown_are_one_sentence() -> None:
    for counts, distribution, part in (
        ([1, 2, 3, 4, 5, 6, 7], "norm", "at least 8 images; there are 7"),
        ([5] * 20, "expon", "All images have 5 objects"),
        (poisson(), "cauchy", "choose norm, expon, lognorm"),
    ):
        with pytest.raises(OditsError, match=part):
            anderson_darling(counts, distribution)


def test_document_of_a_test() -> None:
    document = anderson_darling(poisson(), "norm").as_dict()
    assert json.loads(json.dumps(document)) == document
    assert {"statistic", "critical_value", "p_value", "rejected"} <= document.keys()
    assert document["critical_value"] == document["critical_values"][2] == 0.746


@pytest.mark.parametrize("counts", [poisson(), [0, 0, 0, 1, 2, 30], [1, 2]])
def test_density_has_area_one_over_counts_of_zero_and_more(counts: list[int]) -> None:
    x, y = density_curve(counts)
    assert x[0] >= 0 and np.all(y >= 0)
    assert np.trapezoid(y, x) == pytest.approx(1, abs=2e-3)


def test_density_far_from_zero_is_scipys() -> None:
    counts = poisson(400)
    x, y = density_curve(counts)
    np.testing.assert_allclose(y, stats.gaussian_kde(counts)(x), rtol=1e-9)


def test_density_of_equal_counts_is_refused() -> None:
    with pytest.raises(StatisticsError, match="two different"):
        density_curve([4, 4, 4])


def test_log_normal_is_normal_logarithms_and_weibull_is_gumbel_ones() -> None:
    counts = np.random.default_rng(2).lognormal(5, 0.3, 100).round().astype(int).tolist()
    assert not anderson_darling(counts, "lognorm").rejected
    assert anderson_darling(counts, "lognorm").statistic == pytest.approx(
        stats.anderson(np.log(counts), "norm", method="interpolate").statistic
    )
    heights = (1000 * np.random.default_rng(3).weibull(1.5, 200)).round().astype(int) + 1
    assert not anderson_darling(heights.tolist(), "weibull_min").rejected
    assert anderson_darling(heights.tolist(), "norm").rejected


def test_all_tests_or_a_sentence() -> None:
    tests, reason = stored_tests(poisson())
    assert list(tests) == list(DISTRIBUTIONS) and reason == ""
    assert stored_tests([3] * 20) == ({}, "All images have 3 objects, so there is no distribution to test.")
    zero, _ = stored_tests([0, *poisson()])
    assert [name for name, test in zero.items() if math.isinf(test.statistic)] == ["expon", "lognorm", "weibull_min"]
    assert "leaves no room" in zero["lognorm"].sentence


def test_p_values_at_the_ends_of_the_table_say_so() -> None:
    limits = verdict("norm", 0.0, 100).critical_values
    texts = [verdict("norm", statistic, 100).p_text for statistic in (0.0, limits[0], limits[-1], 9.0)]
    assert texts == ["≥ 0.15", "≥ 0.15", "≤ 0.01", "≤ 0.01"]
    step = 0.001
    assert verdict("norm", limits[0] + step, 100).p_text == "0.149"
    assert verdict("norm", limits[-1] - step, 100).p_text == "0.010"


def test_stored_tests_are_the_tests(home: Path) -> None:
    def computed(counts: list[int]) -> tuple[dict[str, AndersonDarling], str]:
        return {name: anderson_darling(counts, name) for name in DISTRIBUTIONS}, ""

    for counts in (poisson(), [0, *poisson()]):
        assert stored_tests(counts) == computed(counts) == stored_tests(counts)
    assert stored_tests([3] * 20)[0] == {}
    files = list((home / "cache" / "statistics").rglob("*.json"))
    assert len(files) == 2, "where there is no test, nothing is stored"
    for file in files:
        file.write_text('{"norm": "no number"}')
    assert stored_tests(poisson()) == computed(poisson())


TABLES = {  # D'Agostino and Stephens 1986, for parameters that are estimated, of an endless sample
    "norm": ((15, 10, 5, 2.5, 1), (0.561, 0.631, 0.752, 0.873, 1.035)),
    "expon": ((15, 10, 5, 2.5, 1), (0.916, 1.062, 1.321, 1.591, 1.959)),
    "lognorm": ((15, 10, 5, 2.5, 1), (0.561, 0.631, 0.752, 0.873, 1.035)),
    "weibull_min": ((25, 10, 5, 2.5, 1), (0.474, 0.637, 0.757, 0.877, 1.038)),
    "gumbel_r": ((25, 10, 5, 2.5, 1), (0.474, 0.637, 0.757, 0.877, 1.038)),
}


@pytest.mark.parametrize("distribution", sorted(DISTRIBUTIONS))
def test_critical_values_are_the_published_ones(distribution: str) -> None:
    levels, asymptotic = TABLES[distribution]
    endless = verdict(distribution, 0.0, 10**9)
    assert endless.significance_levels == levels and endless.critical_values == pytest.approx(asymptotic, abs=6e-4)
    correction = {"norm": 1 + 0.75 / 20 + 2.25 / 400, "lognorm": 1 + 0.75 / 20 + 2.25 / 400, "expon": 1 + 0.6 / 20}
    divisor = correction.get(distribution, 1 + 0.2 / math.sqrt(20))
    critical = verdict(distribution, 0.0, 20).critical_values
    assert critical == pytest.approx([value / divisor for value in asymptotic], abs=5.1e-4)
    for level, value in zip(levels, critical, strict=True):
        assert verdict(distribution, value, 20).p_value == pytest.approx(level / 100)


def test_p_values_lie_between_the_ends_of_the_table() -> None:
    low, high = verdict("norm", 9.0, 50), verdict("norm", 0.1, 50)
    assert (low.p_value, low.p_text, high.p_value, high.p_text) == (0.01, "≤ 0.01", 0.15, "≥ 0.15")
    assert "p ≤ 0.01." in low.sentence and "p ≥ 0.15." in high.sentence
    first, second = verdict("norm", 0.0, 50).critical_values[1:3]
    between = verdict("norm", (first + second) / 2, 50)
    assert between.p_value == pytest.approx(0.075) and between.p_text == "0.075" and "p = 0.075." in between.sentence
    assert "at the 5 % level" in between.sentence and not between.rejected
    assert verdict("gumbel_r", 0.1, 50).p_text == "≥ 0.25"


def test_eight_images_are_enough_and_an_even_tie_takes_the_smallest_mode() -> None:
    assert anderson_darling([1, 2, 3, 4, 5, 6, 7, 9]).statistic > 0
    assert describe_counts([3, 1, 1, 3, 2]).mode == 1
    assert describe_counts([0]).as_dict() == {"counts": [0], "mean": 0.0, "median": 0.0, "mode": 0, "std": None}


def test_the_density_reaches_four_bandwidths_beyond_the_counts() -> None:
    counts = [100, 110, 120, 150]
    x, y = density_curve(counts, 50)
    reach = 4 * np.std(counts, ddof=1) * 4 ** (-1 / 5)
    assert len(x) == len(y) == 50 and x[0] == pytest.approx(100 - reach) and x[-1] == pytest.approx(150 + reach)
    near, values = density_curve([0, 1, 2, 3])
    kernel = stats.gaussian_kde([0, 1, 2, 3])
    assert near[0] == 0 and values[0] == pytest.approx(2 * kernel(0)[0])


def test_what_leaves_no_room_for_zero() -> None:
    counts = [0, *poisson()]
    for distribution in sorted(DISTRIBUTIONS):
        infinite = math.isinf(anderson_darling(counts, distribution).statistic)
        assert infinite == (distribution in ("expon", "lognorm", "weibull_min"))
    assert not math.isinf(anderson_darling([1, *poisson()], "expon").statistic)
