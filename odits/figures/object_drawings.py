"""What lies over a picture whose objects were found, or whose objects carry a word: for the browser and for paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from odits.core.percent import percent
from odits.figures.drawing import Drawing, Outline, Scale, Shape, outline_path
from odits.figures.explanation import scale_colors, value_shades
from odits.figures.objects import KINDS, OTHER_KIND, ColorBy, color_scale, hover_lines, mask_outline, object_colors
from odits.objects.detections import areas_of, kinds_of, masks_of

if TYPE_CHECKING:
    import supervision as sv

    from odits.data import Vocabulary
    from odits.models.fusion.explanation import ObjectGroup

NO_OBJECTS = "No objects were found in this image"
CARRIER_KINDS = {"text": "text", "line": "text read", "region": "region", "mask": "mask", "word": "text"}
"""What the kinds of the objects that carry words are called."""
_CLEAR = 0.2  # of an object's probability on its best word


def objects_drawing(
    detections: sv.Detections,
    paths: Sequence[str],
    color_by: ColorBy = "kind",
    *,
    shown: Sequence[int] | None = None,
    names: Sequence[str] = (),
    selected: int | None = None,
) -> Drawing:
    """Draw objects, large ones first, so that small ones lie on them; the selected one above all.

    Args:
        detections: the objects.
        paths: of their outlines, as `object_paths` returns them.
        color_by: what their colours say.
        shown: indices of those that are drawn; None: all.
        names: what each is called, or none.
        selected: the one that is brought out.
    """
    indices = list(range(len(detections))) if shown is None else list(shown)
    colors, area = object_colors(detections, color_by), areas_of(detections)
    shapes = [
        Shape(
            paths[index],
            colors[index],
            "#FFFFFF" if index == selected else colors[index],
            index,
            tuple(hover_lines(detections, index, names[index] if names else "")),
            share=0.35 if selected not in (None, index) else 1.0,
            least=0.6 if index == selected else 0.0,
            line=4.0 if index == selected else 1.5,
            picked=index == selected,
        )
        for index in sorted(indices, key=lambda index: (index == selected, -area[index]))
    ]
    nothing = "No object passes the filter" if len(detections) else NO_OBJECTS
    scale = color_scale(detections, color_by) if indices else None
    return Drawing(
        shapes,
        _legend(detections, indices) if color_by == "kind" else (),
        None if scale is None else Scale(*scale),
        "" if indices else nothing,
    )


def object_paths(detections: sv.Detections) -> list[str]:
    """Return the outline of each object, as the path of an SVG."""
    return [outline_path(mask_outline(mask)) for mask in masks_of(detections)]


def _legend(detections: sv.Detections, indices: Sequence[int]) -> list[tuple[str, str]]:
    """List the kinds of objects, with how many there are."""
    kinds = kinds_of(detections)
    counts = Counter(kinds[index] for index in indices)
    styles = {kind: KINDS.get(kind, OTHER_KIND) for kind in counts}
    return [(style.color, f"{style.title} ({counts[kind]})") for kind, style in styles.items()]


def carrier_labels(groups: Sequence[ObjectGroup], matrix: np.ndarray, vocabulary: Vocabulary) -> list[str]:
    """Name the objects that carry words: number, kind, and the word of each that has a clear one.

    Args:
        groups: the P groups of objects.
        matrix: (P, n) in 0..1, the object-text matrix.
        vocabulary: the n words.
    """
    labels = []
    for number, (group, row) in enumerate(zip(groups, matrix, strict=True), 1):
        best = int(row.argmax())
        word = f" {vocabulary.words[best]}" if row[best] >= _CLEAR else ""
        labels.append(f"{number} ({CARRIER_KINDS.get(group.kind, group.kind)}{word})")
    return labels


def carrier_outlines(groups: Sequence[ObjectGroup], masks: np.ndarray) -> list[Outline]:
    """Return the outline of each group of objects: a mask's, or the frame around a sign.

    Args:
        groups: the groups.
        masks: bool (N, H, W), of the segmenter's objects.
    """
    found: list[Outline] = []
    for group in groups:
        if group.kind in ("mask", "region") and 0 <= group.owner < len(masks):
            found.append(mask_outline(masks[group.owner]))
        else:
            closed = np.vstack([group.corners, group.corners[:1]]).astype(float)
            found.append((closed[:, 0].round(1).tolist(), closed[:, 1].round(1).tolist()))
    return found


def values_drawing(
    outlines: Sequence[Outline], labels: Sequence[str], values: np.ndarray, title: str, diverging: bool = True
) -> Drawing:
    """Draw objects coloured by a value, the strongest on top: 0 in the middle of the scale or at its beginning.

    Args:
        outlines: of the P objects.
        labels: what they are called.
        values: (P,) contributions to a word's logit, or attention.
        title: of the scale.
        diverging: whether 0 is in the middle of the scale (contributions), or at its beginning (attention).
    """
    shapes = []
    for index, shade in sorted(enumerate(value_shades(values, diverging)), key=lambda pair: abs(values[pair[0]])):
        value = f"{values[index]:+.3f}" if diverging else percent(float(values[index]))
        shapes.append(
            Shape(
                outline_path(outlines[index]),
                shade.color,
                shade.color if shade.strong else "#FFFFFF8C",
                index,
                (labels[index], value),
                share=shade.fill,
                line=2.5 if shade.strong else 0.8,
            )
        )
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    low, high = (f"{-largest:+.2f}", f"{largest:+.2f}") if diverging else (percent(0.0), percent(largest))
    scale = Scale(title, scale_colors(diverging), low, high)
    return Drawing(shapes, scale=scale, note="" if shapes else NO_OBJECTS)
