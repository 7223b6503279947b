"""Figures of the page Explain."""

from __future__ import annotations

import numpy as np
from PIL import Image

from odits.figures.explanation import contribution_bars, contributions_figure, matrix_figure

IMAGE = Image.new("RGB", (80, 60), (120, 120, 120))
SQUARE = ([10.0, 20.0, 20.0, 10.0, 10.0], [10.0, 10.0, 20.0, 20.0, 10.0])
OTHER = ([40.0, 60.0, 60.0, 40.0, 40.0], [30.0, 30.0, 50.0, 50.0, 30.0])


def test_what_adds_is_red_and_what_takes_is_blue() -> None:
    figure = contributions_figure(IMAGE, [SQUARE, OTHER], ["1 (text)", "2 (region)"], np.array([2.0, -1.0]), "adds")
    fills = [trace.fillcolor for trace in figure.data if trace.fill == "toself"]
    assert fills[0].startswith("rgba(") and fills[1].startswith("rgba(")
    weak, strong = ([float(part) for part in fill[5:-1].split(",")] for fill in fills)
    assert strong[0] > strong[2] and weak[2] > weak[0]  # the strongest is drawn last
    assert strong[3] > weak[3]
    points = [trace for trace in figure.data if trace.hovertemplate]
    assert {tuple(trace.customdata[0]) for trace in points} == {(0,), (1,)}
    bar = figure.data[-1].marker
    assert (bar.cmin, bar.cmax) == (-2.0, 2.0)


def test_attention_begins_at_nothing() -> None:
    figure = contributions_figure(IMAGE, [SQUARE], ["1"], np.array([1.0]), "share", diverging=False)
    assert figure.data[-1].marker.cmin == 0


def test_a_picture_without_objects_says_so() -> None:
    figure = contributions_figure(IMAGE, [], [], np.empty(0), "adds")
    assert "No objects" in figure.layout.annotations[0].text


def test_names_from_outside_are_no_markup() -> None:
    figure = matrix_figure(np.array([[0.5, 0.5]]), ["1 <b>"], ["A<br>", "B"])
    assert list(figure.layout.xaxis.ticktext) == ["A&lt;br&gt;", "B"]
    assert figure.layout.yaxis.ticktext[0] == "1 &lt;b&gt;"
    assert figure.data[0].zmax == 0.5


def test_bars_stand_in_the_order_given() -> None:
    figure = contribution_bars(["1 (text)", "2 (region)"], np.array([1.5, -0.5]))
    assert list(figure.data[0].x) == [1.5, -0.5]
    assert figure.data[0].marker.color[0] != figure.data[0].marker.color[1]
    assert list(figure.data[0].marker.pattern.shape) == ["", "/"]


def test_each_row_of_the_matrix_shows_its_object_before_the_words():
    crops = [Image.new("RGB", (30, 10), color) for color in ("red", "blue")]
    figure = matrix_figure(np.array([[0.5, 0.5], [0.1, 0.2]]), ["1 (text)", "2 (region)"], ["A", "B"], crops)
    assert [(image.y, image.xref, image.yref) for image in figure.layout.images] == [(0, "x", "y"), (1, "x", "y")]
    low, high = figure.layout.xaxis.range
    assert low < figure.layout.images[0].x and figure.layout.images[0].x + figure.layout.images[0].sizex < -0.5 < high
    assert len({image.source for image in figure.layout.images}) == 2
    assert matrix_figure(np.array([[0.5]]), ["1"], ["A"]).layout.images == ()
