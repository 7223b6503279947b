"""The forest plot: dots, intervals, what chance may explain, and names from outside."""

from __future__ import annotations

import math

from odits.figures.differences import ForestRow, forest_figure, kind_of, p_text
from odits.metrics.paired import Change

ROWS = [
    ForestRow("Precision", "One", Change(0.2, 0.1, 0.3, 0.001, 10), 0.002),
    ForestRow("Precision", "Two", Change(-0.2, -0.3, -0.1, 0.001, 10), 0.002),
    ForestRow("F1", "One", Change(0.1, -0.1, 0.3, 0.3, 10), 0.6),
    ForestRow("F1", "Two", None, math.nan),
]


def test_each_difference_has_its_dot_interval_and_kind() -> None:
    figure = forest_figure(ROWS)
    dots = {(trace.name, trace.xaxis): trace for trace in figure.data}
    better = dots["better", "x"]
    assert list(better.x) == [0.2] and list(better.y) == ["One"]
    assert [round(value, 6) for value in (better.error_x.array[0], better.error_x.arrayminus[0])] == [0.1, 0.1]
    assert list(dots["worse", "x"].x) == [-0.2]
    assert list(dots["may be chance", "x2"].x) == [0.1]
    assert len(figure.data) == 3, "a line without a value has no dot"
    assert sum(shape.x0 == 0 == shape.x1 for shape in figure.layout.shapes) == 2, "a line at no difference"


def test_what_a_corrected_p_value_says() -> None:
    assert [kind_of(row) for row in ROWS] == [
        "better",
        "worse",
        "may be chance",
        "may be chance",
    ]
    assert [p_text(p) for p in (0.0, 0.001, 1.0, math.nan)] == ["< 0.001", "0.001", "1.000", "–"]


def test_names_are_shown_letter_by_letter() -> None:
    figure = forest_figure([ForestRow("<b>M", "<i>%{x}", ROWS[0].change, 1.0)])
    assert list(figure.layout.yaxis.categoryarray) == ["&lt;i&gt;%&#123;x}"]
    assert figure.layout.annotations[0].text == "<b>&lt;b&gt;M</b>"
