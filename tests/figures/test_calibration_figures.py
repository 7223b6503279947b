from __future__ import annotations

import numpy as np
import pytest

from odits.figures.calibration import reliability_figure, reliability_text
from odits.metrics.calibration import Reliability, reliability


def measured(share: float, count: int = 100) -> Reliability:
    """Words that are said to be there with 90 %, of which a share is."""
    return reliability(np.full(count, 0.9), np.arange(count) < share * count)


def test_dots_stand_at_what_was_said_and_seen() -> None:
    figure = reliability_figure({"drawn scenes": measured(0.8)})
    line, dots, bars = figure.data
    assert list(line.x) == list(line.y) == [0, 1]
    assert (list(dots.x), list(dots.y)) == ([pytest.approx(0.9)], [0.8])
    low, high = dots.y[0] - dots.error_y.arrayminus[0], dots.y[0] + dots.error_y.array[0]
    assert 0.7 < low < 0.8 < high < 0.9, "0.9 is not in it: the model is too sure"
    assert list(bars.y) == [100] and "calibration error 10.0 %" in dots.name


def test_several_measurements_differ_by_shape_and_place_too() -> None:
    figure = reliability_figure({"drawn scenes": measured(0.8), "<b>SVT</b>": measured(0.5)})
    dots = [one for one in figure.data[1:] if one.type == "scatter"]
    assert len({one.marker.symbol for one in dots}) == len({one.marker.color for one in dots}) == 2
    assert dots[0].x[0] < 0.9 < dots[1].x[0]
    assert "&lt;b&gt;SVT" in dots[1].name, "names are text"


def test_nothing_measured_is_an_empty_diagram() -> None:
    empty = reliability(np.empty(0), np.empty(0, bool))
    figure = reliability_figure({"drawn scenes": empty})
    assert [len(one.x) for one in figure.data] == [2, 0, 0]
    assert "0 words" in reliability_text({"drawn scenes": empty})


def test_the_alternative_text_says_the_numbers() -> None:
    text = reliability_text({"drawn scenes": measured(0.8), "SVT": measured(0.5, 40)})
    assert "On drawn scenes: 100 words, expected calibration error 10.0 %" in text
    assert "about 90 % are there 50 %" in text
