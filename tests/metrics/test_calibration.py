"""Reliability: bins by hand, the error as the formula has it, intervals, and JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from odits.metrics.calibration import Reliability, mean_entropy, reliability, with_entropy

SAID = np.array([0.05, 0.15, 0.15, 0.95, 0.95, 0.95, 0.95, 1.0])
THERE = np.array([False, True, False, True, True, True, False, True])


def test_predictions_are_sorted_into_bins() -> None:
    found = reliability(SAID, THERE)
    assert found.counts.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0, 5], "a probability of 1 is in the last bin"
    assert found.predicted[[0, 1, 9]] == pytest.approx([0.05, 0.15, 0.96])
    assert found.observed[[0, 1, 9]] == pytest.approx([0, 0.5, 0.8])
    assert np.isnan(found.observed[2:9]).all()


def test_the_error_is_weighted_by_counts() -> None:
    assert reliability(SAID, THERE).error == pytest.approx((1 * 0.05 + 2 * 0.35 + 5 * 0.16) / 8)
    assert reliability(np.array([0.25] * 4), np.array([True, False, False, False])).error == pytest.approx(0)
    assert reliability(np.empty(0), np.empty(0, bool)).error == 0


def test_intervals_hold_the_share_and_narrow_with_counts() -> None:
    few = reliability(np.full(10, 0.85), np.arange(10) < 8).intervals()[8]
    many = reliability(np.full(1000, 0.85), np.arange(1000) < 800).intervals()[8]
    assert few == pytest.approx([0.4902, 0.9433], abs=1e-3)  # Wilson's interval of 8 among 10
    assert few[0] < many[0] < 0.8 < many[1] < few[1]
    assert np.isnan(reliability(SAID, THERE).intervals()[5]).all()


def test_json_and_back() -> None:
    found = reliability(SAID, THERE)
    document = json.loads(json.dumps(found.to_document(), allow_nan=False))
    again = Reliability.from_document(document)
    assert document["error"] == again.error == found.error
    np.testing.assert_array_equal(again.observed, found.observed)
    np.testing.assert_array_equal(again.intervals(), found.intervals())
    with pytest.raises(ValueError, match="bins"):
        Reliability.from_document(document | {"counts": [1]})


@pytest.mark.parametrize("entropy", [0.5, 2.0, 3.0])
def test_probabilities_get_the_entropy_that_is_asked_for_in_the_same_order(entropy: float) -> None:
    drawn = np.random.default_rng(0).dirichlet(np.full(30, 0.3), 5)
    found, power = with_entropy(drawn, entropy)
    assert mean_entropy(found) == pytest.approx(entropy, rel=1e-6)
    assert found.sum(1) == pytest.approx(np.ones(5))
    expected = drawn**power
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True), atol=1e-9)
    assert (power > 1) == (mean_entropy(drawn) > entropy)


def test_entropy_of_even_and_of_certain_rows() -> None:
    assert mean_entropy(np.array([[0.25] * 4, [1.0, 0, 0, 0]])) == pytest.approx(np.log(4) / 2)
