"""A picture under its objects, on paper: what is drawn where, how strongly, and what stands around it."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from odits.figures.drawing import LOOK, Drawing, Look, Scale, Shape, outline_path, place_of
from odits.figures.static import THEMES, save
from odits.figures.static_explanation import bars_figure, matrix_figure
from odits.figures.static_pictures import MARGIN, SIDE, picture_figure

WHITE = Image.new("RGB", (100, 50), "#FFFFFF")
# a square from (10, 10) to (40, 40) with a hole from (20, 20) to (30, 30), whose corners run the other way
RING = outline_path(
    ([10, 40, 40, 10, 10, None, 20, 20, 30, 30, 20], [10, 10, 40, 40, 10, None, 20, 30, 30, 20, 20]),
)
SQUARE = Shape(RING, "#FF0000", "#0000FF")
LIGHT = THEMES["light"]


def colors(drawing: Drawing, look: Look = LOOK) -> dict[str, tuple[int, int, int]]:
    """The colours in the square, in its hole, beside it, and on its edge."""
    image = Image.open(io.BytesIO(save(lambda theme: picture_figure(WHITE, drawing, theme, look), "png")))
    scale, margin = 2 * SIDE / 100, 2 * MARGIN
    places = {"in": (15, 15), "hole": (25, 25), "beside": (60, 25), "edge": (10, 25)}
    pixels = image.convert("RGB")
    return {name: pixels.getpixel((margin + x * scale, margin + y * scale)) for name, (x, y) in places.items()}  # type: ignore[misc]


def test_a_shape_is_filled_but_for_its_hole() -> None:
    found = colors(Drawing([SQUARE]))
    assert found["in"] == (255, 0, 0)
    assert found["hole"] == found["beside"] == (255, 255, 255)


def test_the_look_says_how_strongly() -> None:
    half = colors(Drawing([SQUARE]), Look(0.5))
    assert half["in"][0] == 255 and 120 < half["in"][1] < 136
    assert half["edge"][2] == 255 and half["edge"][0] < 60
    bare = colors(Drawing([SQUARE]), Look(0.5, outlines=False))
    assert bare["edge"][0] == 255, "no blue line"
    assert set(colors(Drawing([SQUARE]), Look(shown=False)).values()) == {(255, 255, 255)}
    kept = colors(Drawing([replace(SQUARE, least=1.0, picked=True, line=4)]), Look(0.0, outlines=False))
    assert kept["in"] == (255, 0, 0) and kept["edge"][2] == 255, "what is picked stays"


def test_labels_notes_legends_and_scales_are_written() -> None:
    shape = replace(SQUARE, label="$BAR$ +1.2", at=place_of(([10, 40], [1, 40]), 50))
    scale = Scale("adds", ["#000000", "#FFFFFF"], "-1", "+1")
    drawing = Drawing([shape], [("#FF0000", "Text (1)")], scale, "nothing here")
    figure = picture_figure(WHITE, drawing, LIGHT, title="a.jpg")
    assert [text.get_text() for text in figure.texts] == ["a.jpg"]
    picture, bar = figure.axes
    label, note = picture.texts
    assert label.get_text() == r"\$BAR\$ +1.2" and label.get_va() == "top", "below: the picture's top is near"
    assert note.get_text() == "nothing here"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Text (1)"]
    assert [tick.get_text() for tick in bar.get_xticklabels()] == ["-1", "+1"]
    assert drawing.texts() == ["$BAR$ +1.2", "Text (1)", "adds"]


@pytest.mark.parametrize("size", [(100, 50), (50, 400), (1, 1), (4000, 30)])
def test_pictures_of_every_shape_fit(size: tuple[int, int]) -> None:
    figure = picture_figure(Image.new("RGB", size), Drawing([SQUARE]), LIGHT)
    width, height = figure.get_size_inches() * 96
    assert 480 <= width <= SIDE + 2 * MARGIN and height <= SIDE + 2 * MARGIN


def test_the_picture_alone_stands_beside() -> None:
    one, two = (picture_figure(WHITE, Drawing([SQUARE]), LIGHT, beside=beside) for beside in (False, True))
    assert len(one.axes) == 1 and [len(axes.patches) for axes in two.axes] == [0, 1]


def widths(figure: Figure) -> list[float]:
    return [bar.get_width() for bar in figure.axes[0].patches]  # type: ignore[attr-defined]


def test_bars_of_contributions() -> None:
    figure = bars_figure(["1 (text $A$)", "2 (region)"], np.array([0.5, -0.25]), LIGHT, "A without each object")
    assert widths(figure) == [0.5, -0.25]
    assert [bar.get_hatch() for bar in figure.axes[0].patches] == ["", "///"], "told apart without colours"
    assert figure.axes[0].get_yticklabels()[0].get_text() == r"1 (text \$A\$)"
    assert widths(bars_figure([], np.zeros(0), LIGHT)) == []


def test_the_matrix_keeps_rows_and_columns() -> None:
    values = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.4]])
    figure = matrix_figure(values, ["one", "two"], ["A", "B", "C"], LIGHT)
    cells = figure.axes[0].collections[0]
    assert np.array_equal(np.asarray(cells.get_array()), values)
    low, high = figure.axes[0].get_ylim()
    assert low > high, "the first object on top"
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["A", "B", "C"]
