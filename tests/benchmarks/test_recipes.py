"""The table of recipes: means over seeds, and differences to the start over images."""

from __future__ import annotations

import pytest

from benchmarks.recipes import FREQUENT, MATCHED, METRICS, START, half_width, summarised


def measured(value: float) -> dict[str, object]:
    per_image = {metric: [value, value + 0.2, None] for metric in METRICS}
    return {"entropy": 3.0, "power": 1.0, "rate": 1e-4, "per_image": per_image}


def test_rows_are_means_over_seeds_with_differences_to_the_start_over_images() -> None:
    rows = {FREQUENT: [measured(0.1)], START: [measured(0.2)], "plain": [measured(0.3), measured(0.5)]}
    frequent, start, plain = summarised(rows)
    assert [row["name"] for row in (frequent, start, plain)] == list(rows)
    assert start[MATCHED] == {"mean": pytest.approx(0.3), "half": None}
    assert plain["seeds"] == 2 and plain["rates"] == [1e-4, 1e-4]
    assert plain[MATCHED]["mean"] == pytest.approx(0.5)
    assert plain[MATCHED]["difference"] == pytest.approx(0.2) == plain[MATCHED]["low"]
    assert frequent[MATCHED]["difference"] == pytest.approx(-0.1)
    assert 0 < plain[MATCHED]["p_holm"] <= 1


def test_the_interval_over_seeds_is_students() -> None:
    assert half_width([0.4]) is None
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / 3**0.5, rel=1e-5)
