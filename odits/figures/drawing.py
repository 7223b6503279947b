"""What is drawn over a picture: shapes, what their colours stand for, and how strongly they are drawn.

A page draws it in the browser, `static_pictures` on paper: one description, so that what is saved is what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

Outline = tuple[Sequence[float | None], Sequence[float | None]]
"""x and y in pixels of the picture, closed; None parts rings."""


@dataclass(frozen=True)
class Shape:
    """Something that lies over the picture; those that come later lie on top.

    Attributes:
        path: of its outline, in SVG's words, in pixels of the picture.
        fill: colour, "#RRGGBB".
        stroke: colour of the outline.
        number: that a click on it tells.
        tip: lines that hovering shows.
        share: of the opacity of the look that its fill has, 0 to 1.
        least: opacity of the fill at least.
        line: width of the outline in pixels.
        picked: whether its outline is there where the look leaves outlines out.
        label: is written at it.
        at: where: x, y, and the middle's y in pixels.
    """

    path: str
    fill: str
    stroke: str
    number: int = -1
    tip: tuple[str, ...] = ()
    share: float = 1.0
    least: float = 0.0
    line: float = 1.5
    picked: bool = False
    label: str = ""
    at: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Scale(NamedTuple):
    """What colours stand for: written below the picture, with the words at both ends."""

    title: str
    colors: Sequence[str]
    low: str
    high: str


class Drawing(NamedTuple):
    """What is drawn over a picture.

    Attributes:
        shapes: the first lowest.
        legend: colours and what they stand for.
        scale: of colours that stand for numbers.
        note: is written in the middle.
    """

    shapes: Sequence[Shape]
    legend: Sequence[tuple[str, str]] = ()
    scale: Scale | None = None
    note: str = ""

    def texts(self) -> list[str]:
        """Return what is written in it: labels, the legend, the title of the scale."""
        scale = [self.scale.title] if self.scale else []
        return [*(shape.label for shape in self.shapes), *(title for _, title in self.legend), *scale]


class Look(NamedTuple):
    """How strongly shapes are drawn.

    Attributes:
        opacity: of fills, 0 to 1.
        outlines: whether they have outlines.
        shown: whether they are drawn at all.
    """

    opacity: float = 1.0
    outlines: bool = True
    shown: bool = True


LOOK = Look()
"""All that is there, as strong as it can be."""


def outline_path(outline: Outline) -> str:
    """Write an outline, x and y with None between its rings, as the path of an SVG.

    Example:
        >>> outline_path(([1, 2.5, 2.5, 1, None, 4, 5, 4], [0, 0, 3, 0, None, 1, 1, 1]))
        'M1 0 2.5 0 2.5 3 1 0ZM4 1 5 1 4 1Z'
    """
    rings: list[list[str]] = [[]]
    for x, y in zip(*outline, strict=True):
        if x is None or y is None:
            rings.append([])
        else:
            rings[-1].append(f"{x:.6g} {y:.6g}")
    return "".join(f"M{' '.join(ring)}Z" for ring in rings if ring)


def rings_of(path: str) -> list[list[tuple[float, float]]]:
    """Return the corners of each ring of a path that `outline_path` wrote.

    Example:
        >>> rings_of("M1 0 2.5 0 2.5 3 1 0ZM4 1 5 1 4 1Z")[1]
        [(4.0, 1.0), (5.0, 1.0), (4.0, 1.0)]
    """
    rings = []
    for ring in path.replace("M", "").split("Z"):
        numbers = [float(number) for number in ring.split()]
        if numbers:
            rings.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return rings


def place_of(outline: Outline, height: int) -> tuple[float, float, float]:
    """Return where a label stands: above a shape, or below it where the picture's top is near; as `Shape.at`."""
    x, y = ([value for value in values if value is not None] for values in outline)
    middle = (min(y) + max(y)) / 2
    return (min(x) + max(x)) / 2, max(y) if min(y) < 0.08 * height else min(y), middle
