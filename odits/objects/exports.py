"""Objects and boxed words of images as files for other tools: Label Studio, CVAT, CSV and Parquet (COCO: `coco`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import supervision as sv

from odits.core.errors import OditsError
from odits.data.cvat import CvatImage, CvatShape, cvat_document
from odits.data.exports import LOCAL_FILES, SHAPES, Files, picture_address, table
from odits.data.images import Size
from odits.data.label_studio import CONFIG, dump, label_tags, region_id
from odits.data.records import Dataset, ImageRecord
from odits.objects.detections import kinds_of, masks_of
from odits.objects.outlines import cvat_runs, label_studio_runs, polygons_of

TEXT_LABEL = "text"
"""The label of a boxed word; what it says is its text."""


@dataclass(frozen=True, eq=False)
class Region:
    """Something in an image.

    Attributes:
        label: what it is.
        box: x0, y0, x1, y1 in pixels of the upright image.
        kind: "mask", "region" or "text".
        mask: bool (H, W); None where only the box is known.
        score: confidence in 0..1; None where it is not known.
        text: what is written there; empty for an object.
    """

    label: str
    box: tuple[float, float, float, float]
    kind: str = "text"
    mask: np.ndarray | None = None
    score: float | None = None
    text: str = ""


@dataclass(frozen=True, eq=False)
class PictureRegions:
    """A picture with what is in it.

    Attributes:
        name: a path with forward slashes, by which other tools find the picture.
        size: width and height of the upright picture.
        regions: in it.
    """

    name: str
    size: Size
    regions: Sequence[Region]


def regions_of(detections: sv.Detections, names: Sequence[str] = ()) -> list[Region]:
    """Return the objects of an image; where nobody named them, their kind is their label."""
    kinds, masks = kinds_of(detections), masks_of(detections)
    scores = [None] * len(kinds) if detections.confidence is None else map(float, detections.confidence)
    labels = [name or kind for name, kind in zip(names or kinds, kinds, strict=True)]
    known = masks if len(masks) else [None] * len(kinds)
    return [
        Region(label, _box(box), kind, mask, score)
        for label, box, kind, mask, score in zip(labels, detections.xyxy, kinds, known, scores, strict=True)
    ]


def word_regions(record: ImageRecord) -> list[Region]:
    """Return the boxed words of an image."""
    return [Region(TEXT_LABEL, _box(item.box), text=item.word) for item in record.boxed]


def export_boxes(dataset: Dataset, format: str, prefix: str | None = None) -> Files:
    """Write the boxed words of a data set's images for another tool; see `export_regions`."""
    boxed = [PictureRegions(one.name, one.size(), word_regions(one)) for one in dataset.records]
    return export_regions(boxed, dataset.name, format, "box", prefix)


def _box(values: Iterable[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = map(float, values)
    return x0, y0, x1, y1


def export_regions(
    pictures: Sequence[PictureRegions], found_by: str, format: str, shape: str = SHAPES[0], prefix: str | None = None
) -> Files:
    """Write objects for another tool; pictures are referred to, not copied.

    Args:
        pictures: with their objects.
        found_by: who found them.
        format: "label-studio", "cvat", "csv" or "parquet".
        shape: one of SHAPES; objects without a mask are boxes in any case.
        prefix: what stands before each picture's name; see `odits.data.exports.picture_address`.

    Raises:
        OditsError: there is no such shape.
    """
    if shape not in SHAPES:
        raise OditsError(f"There is no shape {shape!r}: choose {', '.join(SHAPES)}.")
    if format == "label-studio":
        return _label_studio(pictures, found_by, shape, prefix)
    if format == "cvat":
        images = [
            CvatImage(picture_address(one.name, prefix), one.size, list(_cvat_shapes(one, shape))) for one in pictures
        ]
        return {".xml": cvat_document(images, f"Objects by {found_by}")}
    return table(_COLUMNS, _rows(pictures, found_by), format)


# Label Studio.

_CONTROLS = {"polygon": "PolygonLabels", "mask": "BrushLabels", "box": "RectangleLabels"}
_TRANSCRIPTION = (
    '  <TextArea name="transcription" toName="image" editable="true" perRegion="true" displayMode="region-list"/>\n'
)


def _label_studio(pictures: Sequence[PictureRegions], found_by: str, shape: str, prefix: str | None) -> Files:
    used: dict[str, dict[str, None]] = {}
    tasks = []
    for one in pictures:
        results: list[dict[str, Any]] = []
        for number, region in enumerate(one.regions):
            for drawn, values in _drawn(region, shape, one.size):
                used.setdefault(drawn, {}).setdefault(region.label)
                results += _results(region, drawn, values, one, f"{number} {len(results)}")
        scores = [region.score for region in one.regions if region.score is not None]
        prediction = {"model_version": found_by, "score": float(np.mean(scores)) if scores else 0.0, "result": results}
        tasks.append({"data": {"image": picture_address(one.name, prefix, LOCAL_FILES)}, "predictions": [prediction]})
    controls = "".join(
        f'  <{_CONTROLS[drawn]} name="{drawn}" toName="image">{label_tags(list(labels))}</{_CONTROLS[drawn]}>\n'
        for drawn, labels in used.items()
    )
    has_text = any(region.text for one in pictures for region in one.regions)
    config = (
        f'<View>\n  <Image name="image" value="$image" zoom="true"/>\n{controls}{_TRANSCRIPTION * has_text}</View>\n'
    )
    return {".json": dump(tasks), CONFIG: config.encode()}


def _drawn(region: Region, shape: str, size: Size) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield how a region is drawn, and the value of each of its shapes: percentages of the picture's size."""
    width, height = size
    if region.mask is None or shape == "box" or not region.mask.any():
        x0, y0, x1, y1 = region.box
        box = {"x": 100 * x0 / width, "y": 100 * y0 / height}
        yield "box", box | {"width": 100 * (x1 - x0) / width, "height": 100 * (y1 - y0) / height, "rotation": 0}
    elif shape == "mask":
        yield "mask", {"format": "rle", "rle": label_studio_runs(region.mask)}
    else:
        for polygon in polygons_of(region.mask):
            points = polygon * (100 / width, 100 / height)
            yield "polygon", {"points": points.round(4).tolist(), "closed": True}


def _results(
    region: Region, drawn: str, values: dict[str, Any], one: PictureRegions, place: str
) -> Iterator[dict[str, Any]]:
    """Yield the result of a shape, and that of the text in it."""
    width, height = one.size
    shared = {
        "id": region_id(one.name, place),
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "origin": "prediction",
    }
    kind = _CONTROLS[drawn].lower()
    told = {} if region.score is None else {"score": round(region.score, 6)}
    yield {**shared, "from_name": drawn, "type": kind, "value": {**values, kind: [region.label]}, **told}
    if region.text:
        yield {**shared, "from_name": "transcription", "type": "textarea", "value": {**values, "text": [region.text]}}


# CVAT.


def _cvat_shapes(one: PictureRegions, shape: str) -> Iterator[CvatShape]:
    for number, region in enumerate(one.regions, 1):
        told = {"kind": region.kind} if not region.text else {"text": region.text}
        told |= {} if region.score is None else {"score": f"{region.score:.6g}"}
        if region.mask is None or shape == "box" or not region.mask.any():
            place = {key: f"{value:.2f}" for key, value in zip(("xtl", "ytl", "xbr", "ybr"), region.box, strict=True)}
            yield CvatShape("box", region.label, place, told)
        elif shape == "mask":
            yield CvatShape("mask", region.label, cvat_runs(region.mask), told)
        else:
            polygons = polygons_of(region.mask)
            for polygon in polygons:
                points = ";".join(f"{x:.2f},{y:.2f}" for x, y in polygon)
                yield CvatShape("polygon", region.label, {"points": points}, told, number if len(polygons) > 1 else 0)


# Tables.

_COLUMNS = ("image", "number", "label", "kind", "text", "score", "x0", "y0", "x1", "y1", "area", "polygons", "found_by")


def _rows(pictures: Sequence[PictureRegions], found_by: str) -> Iterator[tuple[Any, ...]]:
    """Yield a row an object: its polygons are JSON, a list of [x, y, x, y, …]."""
    for one in pictures:
        for number, region in enumerate(one.regions, 1):
            x0, y0, x1, y1 = region.box
            outlines = [] if region.mask is None else [polygon.ravel().tolist() for polygon in polygons_of(region.mask)]
            area = (x1 - x0) * (y1 - y0) if region.mask is None else int(region.mask.sum())
            known = (one.name, number, region.label, region.kind, region.text, region.score)
            yield (*known, x0, y0, x1, y1, area, json.dumps(outlines), found_by)
