"""Interactive figures of dots, lines and bars on paper: the same data, names and axes."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.colors import to_hex

from odits.core.errors import OditsError
from odits.core.files import asset
from odits.data import read_dataset
from odits.figures.calibration import reliability_figure
from odits.figures.dataset import frequent_words_figure, image_sizes_figure, lexicon_lengths_figure
from odits.figures.static import THEMES, save
from odits.figures.static_panels import data_of, panels_figure, texts_of
from odits.metrics.calibration import reliability

LIGHT, DARK = THEMES["light"], THEMES["dark"]


def test_bars_with_names_are_those_of_the_interactive_figure() -> None:
    figure = frequent_words_figure(read_dataset(asset("demo")), count=4)
    drawn = panels_figure(figure, LIGHT)
    (axes,) = drawn.axes
    assert [bar.get_width() for bar in axes.patches] == list(figure.data[0].x)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == list(figure.layout.yaxis.ticktext) and axes.yaxis_inverted()
    assert axes.get_xlabel() == "occurrences"
    assert [(row["name"], row["occurrences"]) for row in data_of(figure)] == [
        (name, number) for name, number in zip(names, figure.data[0].x, strict=True)
    ]
    assert set(names) <= set(texts_of(figure))


def test_splits_are_stacked_and_stand_in_the_legend_once() -> None:
    figure = image_sizes_figure({"train": [(600, 400), (600, 400)], "eval": [(600, 400)]})
    drawn = panels_figure(figure, DARK)
    width, height = drawn.axes
    bottoms = {round(bar.get_y()): round(bar.get_height()) for bar in width.patches if bar.get_height()}
    assert bottoms == {0: 2, 2: 1}
    assert (width.get_xlabel(), height.get_xlabel()) == ("width in pixels", "height in pixels")
    assert width.get_ylim() == height.get_ylim()
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["Training", "Evaluation"]
    assert to_hex(drawn.get_facecolor()).upper() == DARK.paper


def test_dots_have_their_intervals_and_counts_a_logarithmic_axis() -> None:
    found = reliability(np.linspace(0, 1, 200), np.arange(200) % 3 == 0)
    figure = reliability_figure({"<b>scenes</b>": found, "SVT": found})
    drawn = panels_figure(figure, LIGHT)
    above, below = drawn.axes
    assert below.get_yscale() == "log" and above.get_yscale() == "linear"
    assert above.get_position().y0 > below.get_position().y1
    assert len(above.collections) == 2, "intervals of each"
    titles = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert titles[0] == "as it should be" and titles[1].startswith("<b>scenes</b>, calibration error")
    dots = [row for row in data_of(figure) if row["series"] == titles[1] and "words" not in row]
    assert len(dots) == int((found.counts > 0).sum())


@pytest.mark.parametrize("form", ["svg", "pdf", "png"])
def test_every_format_is_written_and_dollars_are_no_formula(form: str) -> None:
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name="$x_1$")).update_layout(title="t", showlegend=True)
    figure.add_scatter(x=[1, 2], y=[4, 3], name="$\\frac{", mode="markers", marker={"color": "rgba(1, 2, 3, 0.5)"})
    assert save(lambda theme: panels_figure(figure, theme), form)  # type: ignore[arg-type]


def test_panels_side_by_side_share_titles_and_ranges() -> None:
    figure = lexicon_lengths_figure(read_dataset(asset("demo")), density=True)
    rows = data_of(figure)
    assert {"different words in the lexicon", "density", "series"} <= rows[0].keys()
    assert len({axes.get_xlim() for axes in panels_figure(figure, LIGHT).axes}) == 1


def test_other_kinds_of_figures_are_refused() -> None:
    with pytest.raises(OditsError, match="heatmap"):
        panels_figure(go.Figure(go.Heatmap(z=[[1]])), LIGHT)
