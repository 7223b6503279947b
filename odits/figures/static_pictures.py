"""A picture under the shapes that the page draws over it, on paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure, FigureBase
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from PIL import Image

from odits.figures.drawing import LOOK, Drawing, Look, Scale, Shape, rings_of
from odits.figures.static import DPI, SCALE, Theme, literal_label
from odits.figures.theme import SHOWN_SIDE

SIDE = 760
"""Pixels of the picture's longer side."""
LEAST = 480
"""Pixels of a figure's width at least: legends and titles need them."""
MARGIN, TITLE, LEGEND, BELOW = 12, 30, 26, 66
"""Pixels around the picture, for its name, for a legend, and for the scale of its colours."""
_POINTS = 72 / DPI  # of a pixel
_EDGE = 0.12  # of the picture's width: labels keep off its sides


def picture_figure(
    image: Image.Image,
    drawing: Drawing,
    theme: Theme,
    look: Look = LOOK,
    title: str = "",
    *,
    beside: bool = False,
) -> Figure:
    """Draw a picture under its shapes, with their legend above and the scale of their colours below.

    Args:
        image: RGB.
        drawing: what lies over it.
        theme: the colours of the figure around it.
        look: how strongly shapes are drawn.
        title: above the picture.
        beside: whether the picture without shapes stands to the left (Fig. 3.3 of the thesis).
    """
    panel = Panel(image, drawing, title, look, beside)
    figure = sheet(*panel.size, theme)
    panel.draw(figure, theme, panel.size[0])
    return figure


def pictures_figure(panels: Sequence[Panel], theme: Theme) -> Figure:
    """Draw pictures under their shapes, below each other.

    Args:
        panels: at least one.
        theme: the colours of the figure around them.
    """
    sizes = [panel.size for panel in panels]
    across = max(width for width, _ in sizes)
    figure = sheet(across, sum(height for _, height in sizes), theme)
    parts = figure.subfigures(len(panels), 1, height_ratios=[height for _, height in sizes], squeeze=False)
    for panel, part in zip(panels, parts.ravel(), strict=True):
        panel.draw(part, theme, across)
    return figure


def sheet(width: int, height: int, theme: Theme) -> Figure:
    """Return an empty figure of so many pixels."""
    return Figure((width / DPI, height / DPI), dpi=DPI, facecolor=theme.paper)


class Panel(NamedTuple):
    """A picture with what lies over it.

    Attributes:
        image: RGB.
        drawing: what lies over it.
        title: above the picture.
        look: how strongly shapes are drawn.
        beside: whether the picture without shapes stands to the left.
    """

    image: Image.Image
    drawing: Drawing
    title: str = ""
    look: Look = LOOK
    beside: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        (width, height), (above, below) = self._picture, self._around
        return max(self._count * width + (self._count + 1) * MARGIN, LEAST), above + height + below

    @property
    def _count(self) -> int:
        return 2 if self.beside else 1

    @property
    def _picture(self) -> tuple[int, int]:
        width, height = self.image.size
        return round(SIDE * width / max(width, height)), round(SIDE * height / max(width, height))

    @property
    def _around(self) -> tuple[int, int]:
        """Pixels above and below the picture."""
        above = MARGIN + TITLE * bool(self.title) + LEGEND * bool(self.drawing.legend)
        return above, BELOW if self.drawing.scale else MARGIN

    def draw(self, figure: FigureBase, theme: Theme, across: int) -> None:
        """Draw it into a figure, or a part of one, of its own height and `across` pixels wide."""
        (width, height), (above, below), tall = self._picture, self._around, self.size[1]
        left = (across - self._count * width - (self._count - 1) * MARGIN) / 2
        for number in range(self._count):
            place = (left + number * (width + MARGIN)) / across, below / tall, width / across, height / tall
            axes = figure.add_axes(place)
            _show(axes, self.image)
            if number == self._count - 1:
                _draw(axes, self.image, self.drawing, self.look)
        start = left / across
        if self.title:
            figure.text(start, 1 - MARGIN / tall, literal_label(self.title), color=theme.ink, fontsize=11, va="top")
        if self.drawing.legend:
            _legend(figure, self.drawing, theme, (start, 1 - (above - LEGEND) / tall))
        if self.drawing.scale:
            wide = min(width, 420)
            at = (across - left - width) / across, 26 / tall, wide / across, 10 / tall
            _scale(figure.add_axes(at), self.drawing.scale, theme)


def _show(axes: Axes, image: Image.Image) -> None:
    width, height = image.size
    small = image.copy()
    small.thumbnail((max(SHOWN_SIDE, SCALE * SIDE),) * 2)
    axes.imshow(small, extent=(0, width, height, 0), aspect="auto", interpolation="lanczos")
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()


def _draw(axes: Axes, image: Image.Image, drawing: Drawing, look: Look) -> None:
    for shape in drawing.shapes if look.shown else ():
        axes.add_patch(_patch(shape, look))
    for shape in drawing.shapes if look.shown else ():
        if shape.label:
            _label(axes, image.width, shape)
    if drawing.note:
        box = {"facecolor": (0, 0, 0, 0.7), "edgecolor": "none", "pad": 6}
        axes.text(0.5, 0.5, drawing.note, transform=axes.transAxes, ha="center", va="center", color="#FFFFFF", bbox=box)


def _patch(shape: Shape, look: Look) -> PathPatch:
    """Return a shape as the browser draws it: colours may be see-through by themselves, as in "#RRGGBBAA"."""
    corners, codes = [], []
    for ring in rings_of(shape.path):
        corners += [*ring, ring[0]]
        codes += [Path.MOVETO, *[Path.LINETO] * (len(ring) - 1), Path.CLOSEPOLY]
    fill = to_rgba(shape.fill)
    opacity = max(shape.least, shape.share * look.opacity)
    outlined = look.outlines or shape.picked
    return PathPatch(
        Path(np.array(corners, float).reshape(-1, 2), codes),
        facecolor=(*fill[:3], fill[3] * opacity),
        edgecolor=shape.stroke if outlined else "none",
        linewidth=shape.line * _POINTS if outlined else 0,
        joinstyle="round",
    )


def _label(axes: Axes, width: int, shape: Shape) -> None:
    x, y, middle = shape.at
    axes.text(
        min(max(x, _EDGE * width), (1 - _EDGE) * width),
        y,
        literal_label(shape.label),
        ha="center",
        va="top" if y > middle else "bottom",
        color="#000000",
        fontsize=9.5,
        bbox={"facecolor": shape.stroke, "edgecolor": "none", "pad": 1.5},
    )


def _legend(figure: FigureBase, drawing: Drawing, theme: Theme, at: tuple[float, float]) -> None:
    handles = [Patch(color=color, label=literal_label(title)) for color, title in drawing.legend]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=at,
        ncols=len(handles),
        frameon=False,
        fontsize=10,
        labelcolor=theme.ink,
        borderaxespad=0,
        borderpad=0,
        handlelength=1,
        handletextpad=0.5,
        columnspacing=1.2,
    )


def _scale(axes: Axes, scale: Scale, theme: Theme) -> None:
    colors = LinearSegmentedColormap.from_list("scale", list(scale.colors))
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=colors, aspect="auto", extent=(0, 1, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([0, 1], [literal_label(scale.low), literal_label(scale.high)])
    axes.tick_params(colors=theme.ink, labelsize=10, length=0)
    for text, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        text.set(horizontalalignment=side)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(literal_label(scale.title), fontsize=10, loc="left", color=theme.ink, pad=4)
