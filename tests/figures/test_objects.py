"""The figure of an image's objects: what it draws, says and reports when clicked."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import plotly.graph_objects as go
import pytest
import supervision as sv
from PIL import Image

from odits.core.errors import OditsError
from odits.figures.objects import COLOR_BY, ObjectStyle, color_scale, hover_lines, object_colors, objects_figure
from odits.figures.theme import data_uri, jpeg
from odits.objects.detections import areas_of, make_detections, object_at

SIZE = (400, 300)


def block(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.fixture
def image() -> Image.Image:
    return Image.new("RGB", SIZE, (90, 120, 150))


@pytest.fixture
def found() -> sv.Detections:
    ring = block(20, 20, 380, 280) & ~block(150, 100, 250, 200)
    masks = [ring, block(170, 120, 230, 180), block(300, 295, 303, 297)]
    return make_detections(masks, [0.8, 0.6, 0.4], ["region", "text", "region"], SIZE)


def areas(figure: go.Figure) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.fill == "toself"]


def hits(figure: go.Figure) -> list[go.Scatter]:
    return [trace for trace in figure.data if trace.customdata is not None]


def test_every_object_is_drawn_and_can_be_hit(image: Image.Image, found: sv.Detections) -> None:
    figure = objects_figure(image, found)
    assert len(areas(figure)) == len(hits(figure)) == 3
    for trace in hits(figure):
        index = trace.customdata[0][0]
        assert len(trace.x) >= 1 and all(data == [index] for data in trace.customdata)
        for x, y in zip(trace.x, trace.y, strict=True):
            assert object_at(found, x, y) == index
        assert f"Object {index + 1}" in trace.hovertemplate
        assert f"{found.data['area'][index]:,} px" in trace.hovertemplate
        assert f"{found.confidence[index]:.3f}" in trace.hovertemplate


def test_outlines_follow_the_masks_and_their_holes(image: Image.Image, found: sv.Detections) -> None:
    ring = areas(objects_figure(image, found))[0]
    x = [value for value in ring.x if value is not None]
    assert min(x) == pytest.approx(20.5, abs=1) and max(x) == pytest.approx(379.5, abs=1)
    assert ring.x.count(None) == 1  # the outside and one hole
    hole = ring.x[ring.x.index(None) + 1 :]
    assert min(hole) == pytest.approx(150, abs=2) and max(hole) == pytest.approx(250, abs=2)


def test_opacity_and_outline(image: Image.Image, found: sv.Detections) -> None:
    figure = objects_figure(image, found, ObjectStyle(opacity=0.2, outline=False))
    assert all(trace.fillcolor.replace(" ", "").endswith(",0.2)") and trace.line.width == 0 for trace in areas(figure))
    assert all(trace.line.width > 0 for trace in areas(objects_figure(image, found)))


def test_the_selected_object_stands_out(image: Image.Image, found: sv.Detections) -> None:
    last = areas(objects_figure(image, found, selected=0))
    assert last[-1].line.width > max(trace.line.width for trace in last[:-1])
    opacity = [float(trace.fillcolor.rstrip(")").rpartition(",")[2]) for trace in last]
    assert opacity[-1] > max(opacity[:-1])


@pytest.mark.parametrize("color_by", COLOR_BY)
def test_colours(image: Image.Image, found: sv.Detections, color_by: str) -> None:
    figure = objects_figure(image, found, ObjectStyle(color_by=color_by))  # type: ignore[arg-type]
    legend = [trace.name for trace in figure.data if trace.showlegend]
    bars = [trace for trace in figure.data if trace.marker.showscale]
    assert legend == (["Colour region (2)", "Text (1)"] if color_by == "kind" else [])
    assert len(bars) == (1 if color_by in ("area", "confidence") else 0)
    if color_by == "confidence":
        assert (bars[0].marker.cmin, bars[0].marker.cmax) == (0, 1)
    colors = object_colors(found, color_by)  # type: ignore[arg-type]
    assert len(set(colors)) == (2 if color_by == "kind" else 3)
    assert all(len(color) == 7 and color.startswith("#") for color in colors)


def test_an_unknown_colouring_is_refused(image: Image.Image, found: sv.Detections) -> None:
    with pytest.raises(OditsError, match="area"):
        objects_figure(image, found, ObjectStyle(color_by="mood"))  # type: ignore[arg-type]


def test_no_objects(image: Image.Image) -> None:
    figure = objects_figure(image, make_detections([], [], [], SIZE), ObjectStyle(color_by="area"))
    assert len(figure.data) == 0
    assert "No objects" in figure.layout.annotations[0].text


def test_axes_are_the_image_s_pixels(image: Image.Image, found: sv.Detections) -> None:
    layout = objects_figure(image, found).layout
    assert tuple(layout.xaxis.range) == (0, 400) and tuple(layout.yaxis.range) == (300, 0)
    assert layout.yaxis.scaleanchor == "x"
    assert (layout.images[0].sizex, layout.images[0].sizey) == SIZE


def test_the_background_is_a_small_jpeg() -> None:
    uri = data_uri(jpeg(Image.new("RGB", (4000, 1000)), 1280))
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    shown = Image.open(io.BytesIO(base64.b64decode(data)))
    assert shown.format == "JPEG" and shown.size == (1280, 320)


def test_large_masks_are_outlined_in_the_image_s_own_pixels() -> None:
    mask = np.zeros((1500, 3000), bool)
    mask[300:900, 600:2400] = True
    dot = np.zeros_like(mask)
    dot[1000, 2000] = True
    found = make_detections([mask, dot], [0.5, 0.5], ["mask", "mask"], (3000, 1500))
    large, small = areas(objects_figure(Image.new("RGB", (3000, 1500)), found))
    assert min(large.x) == pytest.approx(600, abs=3) and max(large.x) == pytest.approx(2400, abs=3)
    assert small.x[0] == pytest.approx(2000.5, abs=2) and small.y[0] == pytest.approx(1000.5, abs=2)


def test_points_know_their_object(image: Image.Image, found: sv.Detections) -> None:
    figure = json.loads(objects_figure(image, found).to_json())
    known = [trace["customdata"][0] for trace in figure["data"] if trace.get("customdata")]
    assert sorted(known) == [[index] for index in range(len(found))]


def test_what_hovering_says_and_what_colours_stand_for(found: sv.Detections) -> None:
    lines = hover_lines(found, 1, "car")
    assert lines[0] == "car" and lines[1].startswith("Object 2 · ") and lines[2].startswith("area ")
    assert hover_lines(found, 1, "") == lines[1:]
    assert color_scale(found, "kind") is None
    area = color_scale(found, "area")
    assert area is not None and (area.colors[0], area.colors[-1]) == ("#440154", "#FDE725")
    assert int(area.low.replace(",", "")) <= int(areas_of(found).min()) <= int(area.high.replace(",", ""))
