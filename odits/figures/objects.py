"""The objects of an image as a figure to hover over and click on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import plotly.graph_objects as go
import supervision as sv
from PIL import Image
from plotly.colors import sample_colorscale

from odits.core.errors import OditsError
from odits.core.percent import percent
from odits.figures.theme import SHOWN_SIDE, escape_html, faded, hex_color, lay_out_picture, note
from odits.objects.detections import PALETTE, areas_of, index_map, kinds_of, masks_of, part_of

ColorBy = Literal["object", "kind", "area", "confidence"]
COLOR_BY: tuple[ColorBy, ...] = ("object", "kind", "area", "confidence")
HIT_POINTS = 90
SCALE = "Viridis"


class KindStyle(NamedTuple):
    """How objects of one kind are named and coloured."""

    title: str
    color: str


# From Okabe and Ito's palette: told apart by colour-blind eyes, and on light and dark pictures.
KINDS = {
    "text": KindStyle("Text", "#D55E00"),
    "region": KindStyle("Colour region", "#56B4E9"),
    "mask": KindStyle("SAM mask", "#009E73"),
}
OTHER_KIND = KindStyle("Object", "#CC79A7")


class ObjectStyle(NamedTuple):
    """How objects are drawn over an image.

    Attributes:
        opacity: of the fill, 0 (none) to 1.
        outline: whether outlines are drawn.
        color_by: "object" (neighbours differ), "kind" (with a legend), "area" or "confidence" (with a colour bar).
        overlay: whether anything is drawn; hovering and clicking work without it, too.
    """

    opacity: float = 0.45
    outline: bool = True
    color_by: ColorBy = "object"
    overlay: bool = True


DEFAULT_STYLE = ObjectStyle()


def objects_figure(
    image: Image.Image,
    detections: sv.Detections,
    style: ObjectStyle = DEFAULT_STYLE,
    *,
    selected: int | None = None,
    shown: Sequence[int] | None = None,
    names: Sequence[str] = (),
) -> go.Figure:
    """Draw the image with its objects over it, filled and outlined; hovering names the object.

    Axes are the image's pixels, y downwards. Charts take points under the pointer, not areas, so each object carries a
    grid of invisible points; their `customdata` is `[index]`.

    Args:
        image: RGB, of the size of the masks.
        detections: as `odits.data.predictions.Segmenter` gives them; may be empty.
        style: colours, fill and outlines.
        selected: index of an object to bring out; the others step back.
        shown: indices of the objects to draw, all by default; numbers and colours stay what they are among all.
        names: what each object is called, "" for nothing; hovering tells it.
    """
    color_by = style.color_by
    if color_by not in COLOR_BY:
        raise OditsError(f"Objects can be coloured by {', '.join(COLOR_BY)}, but not by {color_by!r}.")
    opacity = float(np.clip(style.opacity, 0, 1))
    figure = go.Figure()
    kinds, colors = kinds_of(detections), object_colors(detections, color_by)
    named: set[str] = set()
    indices = list(range(len(detections))) if shown is None else sorted(shown)
    selected = selected if selected in indices else None
    # Large ones first, so that small ones lie on them; the selected one above all.
    area = areas_of(detections)
    order = sorted(indices, key=lambda index: -area[index]) if style.overlay else []
    for index in sorted(order, key=lambda index: index == selected):
        kind, is_selected = KINDS.get(kinds[index], OTHER_KIND), index == selected
        quiet = selected is not None and not is_selected
        x, y = mask_outline(masks_of(detections)[index])
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            fill="toself",
            fillcolor=faded(colors[index], opacity * (0.35 if quiet else 1) if not is_selected else max(opacity, 0.6)),
            line={
                "color": "#FFFFFF" if is_selected else faded(colors[index], 0.5 if quiet else 1),
                "width": 4 if is_selected else (1.5 if style.outline else 0),
            },
            hoverinfo="skip",
            name=f"{kind.title} ({sum(kinds[other] == kinds[index] for other in indices)})",
            legendgroup=kinds[index],
            showlegend=color_by == "kind" and kinds[index] not in named,
        )
        named.add(kinds[index])
    _add_hit_points(figure, detections, indices, colors, names)
    if style.overlay and color_by in ("area", "confidence") and indices:
        _add_color_bar(figure, detections, color_by)
    lay_out_picture(figure, image)
    if not len(detections):
        note(figure, "No objects were found in this image")
    elif not indices:
        note(figure, "No object passes the filter")
    return figure


def object_colors(detections: sv.Detections, color_by: ColorBy) -> list[str]:
    """Return a colour "#RRGGBB" for each object."""
    if color_by == "object":
        return [PALETTE[index % len(PALETTE)] for index in range(len(detections))]
    if color_by == "kind" or len(detections) == 0:
        return [KINDS.get(kind, OTHER_KIND).color for kind in kinds_of(detections)]
    values, (low, high) = _values(detections, color_by)
    places = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return [hex_color(color) for color in sample_colorscale(SCALE, places.tolist(), colortype="tuple")]


def _values(detections: sv.Detections, color_by: ColorBy) -> tuple[np.ndarray, tuple[float, float]]:
    """Return what the colour says, and the ends of its scale; areas by their logarithm, for they span decades."""
    if color_by == "confidence":
        confidence = detections.confidence
        return (np.zeros(len(detections)) if confidence is None else np.asarray(confidence, float)), (0.0, 1.0)
    logs = np.log10(np.maximum(areas_of(detections), 1).astype(float))
    return logs, (float(np.floor(logs.min())), float(np.ceil(logs.max())))


def _add_hit_points(
    figure: go.Figure, detections: sv.Detections, indices: list[int], colors: list[str], names: Sequence[str]
) -> None:
    """Add invisible points inside each object of `indices`, at least one, which answer to hovering and clicking."""
    if not indices:
        return
    part = part_of(detections, indices)
    top, masks = index_map(part), masks_of(part)
    height, width = top.shape
    step = max(1, round(max(height, width) / HIT_POINTS))
    rows, columns = np.mgrid[step // 2 : height : step, step // 2 : width : step]
    owner = top[rows, columns]
    for place, index in enumerate(indices):
        mine = owner == place
        x, y = columns[mine].tolist(), rows[mine].tolist()
        if not x:  # thinner than the grid: the point deepest inside
            middle = _deepest(masks[place])
            x, y = [middle[0]], [middle[1]]
        figure.add_scatter(
            x=[v + 0.5 for v in x],
            y=[v + 0.5 for v in y],
            mode="markers",
            marker={"size": 10, "color": "rgba(0,0,0,0)"},
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            customdata=[[index]] * len(x),
            hovertemplate=_hover(detections, index, names[index] if names else ""),
            hoverlabel={"bgcolor": colors[index], "font": {"color": _readable_on(colors[index])}},
            name=f"Object {index + 1}",
            legendgroup=kinds_of(part)[place],
            showlegend=False,
        )


def hover_lines(detections: sv.Detections, index: int, name: str) -> list[str]:
    """Return the lines that hovering says of an object: its name if it has one, number and kind, area, confidence."""
    title = KINDS.get(kinds_of(detections)[index], OTHER_KIND).title
    area, pixels = areas_of(detections)[index], max(1, masks_of(detections)[index].size)
    size = f"area {area:,} px ({percent(area / pixels)})"
    sure = [] if detections.confidence is None else [f"confidence {detections.confidence[index]:.3f}"]
    return [*([name] if name else []), f"Object {index + 1} · {title}", size, *sure]


def _hover(detections: sv.Detections, index: int, name: str) -> str:
    """Write what hovering says of an object, as plotly reads it: it looks for what stands in %{}."""
    bold = 2 if name else 1
    lines = [escape_html(line) for line in hover_lines(detections, index, name)]
    return "<br>".join([*(f"<b>{line}</b>" for line in lines[:bold]), *lines[bold:]]) + "<extra></extra>"


class ColorScale(NamedTuple):
    """A scale of colours: what they stand for, colours from low to high, and what both ends are called."""

    title: str
    colors: list[str]
    low: str
    high: str


def color_scale(detections: sv.Detections, color_by: ColorBy) -> ColorScale | None:
    """Return the scale of what objects are coloured by; None where colours do not stand for a number."""
    if color_by not in ("area", "confidence") or not len(detections):
        return None
    _, (low, high) = _values(detections, color_by)
    colors = [hex_color(color) for color in sample_colorscale(SCALE, np.linspace(0, 1, 12).tolist(), colortype="tuple")]
    if color_by == "area":
        return ColorScale("Area (px), by its logarithm", colors, f"{10**low:,.0f}", f"{10**high:,.0f}")
    return ColorScale("Confidence", colors, f"{low:g}", f"{high:g}")


def _add_color_bar(figure: go.Figure, detections: sv.Detections, color_by: ColorBy) -> None:
    """Add a colour bar, hung on a trace without points."""
    _, (low, high) = _values(detections, color_by)
    bar: dict[str, Any] = {"title": {"text": "Confidence"}, "thickness": 14, "len": 0.9}
    if color_by == "area":
        ticks = np.arange(low, high + 1)
        bar |= {
            "title": {"text": "Area (px)"},
            "tickvals": ticks.tolist(),
            "ticktext": [f"{10**t:,.0f}" for t in ticks],
        }
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"color": [low], "cmin": low, "cmax": high, "colorscale": SCALE, "showscale": True, "colorbar": bar},
        hoverinfo="skip",
        showlegend=False,
    )


def mask_outline(mask: np.ndarray) -> tuple[list[float | None], list[float | None]]:
    """Return x and y of the mask's simplified outlines, holes included, each closed and parted by None."""
    scale = max(1.0, max(mask.shape) / SHOWN_SIDE)
    small = mask.astype(np.uint8)
    if scale > 1:
        small = cv2.resize(small, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_NEAREST)
        if not small.any():
            small, scale = mask.astype(np.uint8), 1.0
    factor_x, factor_y = mask.shape[1] / small.shape[1], mask.shape[0] / small.shape[0]
    contours, _ = cv2.findContours(small, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    large = [contour for contour in contours if cv2.contourArea(contour) >= 12]
    x: list[float | None] = []
    y: list[float | None] = []
    for contour in large or [max(contours, key=len)]:
        points = cv2.approxPolyDP(contour, 1.2, True)[:, 0].astype(float)
        closed = np.vstack([points, points[:1]])
        x += [None] * bool(x) + ((closed[:, 0] + 0.5) * factor_x).round(1).tolist()
        y += [None] * bool(y) + ((closed[:, 1] + 0.5) * factor_y).round(1).tolist()
    return x, y


def _deepest(mask: np.ndarray) -> tuple[int, int]:
    """Return (x, y) of the mask's pixel that is farthest from its border."""
    inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = divmod(int(inside.argmax()), mask.shape[1])
    return column, row


def _readable_on(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#FFFFFF"
