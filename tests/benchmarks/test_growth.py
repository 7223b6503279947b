"""Costs against sizes: the fitted exponent, the table, and the figure."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._report.curves import curve, exponent, figure_file, markdown


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5, 2.0])
def test_the_exponent_of_known_growth_is_found(power: float) -> None:
    sizes = np.array([10, 30, 100, 1_000, 20_000])
    assert exponent(sizes, 0.3 * sizes**power) == pytest.approx(power, abs=1e-9)
    noise = np.random.default_rng(0).normal(1, 0.05, len(sizes))
    assert exponent(sizes, 0.3 * sizes**power * noise) == pytest.approx(power, abs=0.05)


def test_a_curve_says_how_its_largest_sizes_grow_and_what_is_above_the_limit() -> None:
    sizes = (1, 10, 100)
    flat = curve("flat", "words", "s", sizes, (1, 1, 10))
    steep = curve("steep", "objects", "ms", sizes, (1, 100, 10_000))
    assert flat["exponent"] == pytest.approx(0.5) and flat["exponent_of_the_largest"] == pytest.approx(1.0)
    assert flat["within"] and not steep["within"]
    text = markdown({"rows": [flat, steep], "machine": {"cores": 2, "load": 1.0}})
    assert "| flat | 1 to 100 words | 1 to 10 s | 0.50 | 1.00 |" in text
    assert "- steep: nothing in its mathematics asks for it." in text and "- flat" not in text
    assert "![Costs on logarithmic axes: flat against words, exponent 0.50; steep against objects" in text
    assert markdown({"problem": "It fell over.", "rows": []}) == "Not measured: It fell over."


def test_the_figure_is_the_same_file_each_time() -> None:
    rows = [curve(str(number), "words", "s", (10, 100, 1_000), (0.1, 1.0, 11.0)) for number in range(2)]
    one = figure_file({"rows": rows}, "svg")
    assert one.startswith(b"<?xml") and one == figure_file({"rows": rows}, "svg")
