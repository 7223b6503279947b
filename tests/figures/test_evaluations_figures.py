from __future__ import annotations

from odits.figures.evaluations import BEST, MEASURED, PUBLISHED, WITHOUT_IMAGE, Row, comparison_figure

ROWS = [
    Row("Base", MEASURED, {"Precision": 0.2, "F1": 0.06}),
    Row("Base (+20)", BEST, {"Precision": 0.3, "F1": 0.07}),
    Row("chance", WITHOUT_IMAGE, {"Precision": 0.01, "F1": None}),
    Row("ViT-B/32", PUBLISHED, {"Precision": 0.19, "F1": 0.065}),
]


def test_every_value_is_a_dot_beside_its_model() -> None:
    figure = comparison_figure(ROWS, ["Precision", "F1", "Nobody's"])
    assert [note.text for note in figure.layout.annotations] == ["<b>Precision</b>", "<b>F1</b>"]
    drawn = {(dots.xaxis, label, x) for dots in figure.data for label, x in zip(dots.y, dots.x, strict=True)}
    assert drawn == {
        ("x", "Base", 0.2),
        ("x", "★ Base (+20)", 0.3),
        ("x", "chance", 0.01),
        ("x", "ViT-B/32", 0.19),
        ("x2", "Base", 0.06),
        ("x2", "★ Base (+20)", 0.07),
        ("x2", "ViT-B/32", 0.065),
    }
    assert list(figure.layout.yaxis.categoryarray) == ["ViT-B/32", "chance", "★ Base (+20)", "Base"], "the first on top"


def test_where_a_row_comes_from_is_seen_by_shape_too() -> None:
    figure = comparison_figure(ROWS, ["Precision"])
    assert len({dots.marker.symbol for dots in figure.data}) == 4
    assert {dots.name for dots in figure.data} == {row.origin.title for row in ROWS}
    assert all(dots.showlegend for dots in figure.data)


def test_one_row_needs_no_legend_and_no_values_are_no_error() -> None:
    assert comparison_figure(ROWS[:1], ["Precision"]).layout.showlegend is False
    empty = comparison_figure([Row("Base", MEASURED, {"F1": float("nan")})], ["F1"])
    assert len(empty.data) == 0


def test_a_long_name_keeps_its_end() -> None:
    name = "A model with a name that goes on and on and on (+20)"
    figure = comparison_figure([Row(name, MEASURED, {"F1": 0.1})], ["F1"])
    (label,) = figure.data[0].y
    assert label[12] == "…" and label.endswith("(+20)") and len(label) == 26
    assert figure.data[0].customdata[0] == name
