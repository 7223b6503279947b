"""Objects kept on disk: each image is segmented once per (image, segmenter with its parameters)."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odits.core.files import cache_home, write_atomically
from odits.core.pool import Source
from odits.data.images import ImageError, open_image
from odits.data.predictions import Advance, Segmenter

if TYPE_CHECKING:
    import supervision as sv


def objects_file(content: bytes, key: str) -> Path:
    """Where the objects lie that the segmenter of this key finds in an image file of this content."""
    return stored_file("objects", content, key, ".json")


def stored_file(kind: str, content: bytes, key: str, suffix: str) -> Path:
    """Where one kind of result lies that the segmenter of this key gives for an image file of this content."""
    image, model = (hashlib.sha256(part).hexdigest()[:24] for part in (content, key.encode()))
    return cache_home() / kind / model / f"{image}{suffix}"


def compute_objects(
    content: bytes, name: str | None, segmenter: Segmenter, advance: Advance | None = None
) -> tuple[sv.Detections, bytes]:
    """The objects of an image file of this content, and what is to be stored of them.

    Raises:
        OditsError: the image cannot be opened, or the segmenter's weights cannot be had.
    """
    detections = segmenter.segment(open_image(content, name), advance)
    return detections, json.dumps(to_document(detections) | {"segmenter": segmenter.name}).encode()


def stored_objects(source: Source, segmenter: Segmenter, advance: Advance | None = None) -> sv.Detections:
    """The objects of an image file (a path or its bytes), from the store or segmented now and kept.

    Args:
        source: the image.
        segmenter: finds its objects.
        advance: as `Segmenter.segment` takes it.

    Raises:
        OditsError: the image cannot be opened, or the segmenter's weights cannot be had.
    """
    content = content_of(source)
    file = objects_file(content, segmenter.key)
    kept = _read(file)
    if kept is not None:
        return from_document(kept)
    detections, document = compute_objects(content, name_of(source), segmenter, advance)
    with suppress(OSError):  # a full or read-only disk costs time later, not the answer now
        write_atomically(file, document)
    return detections


def stored_count(source: Source, key: str) -> int | None:
    """How many objects of an image are stored for the segmenter of this key; None where it was not segmented yet.

    Raises:
        ImageError: the image's file cannot be read.
    """
    kept = _read(objects_file(content_of(source), key))
    return None if kept is None else len(kept["objects"])


def stored_document(source: Source, key: str) -> dict[str, Any] | None:
    """The stored document of an image, as `to_document` has it; None where it was not segmented yet."""
    return _read(objects_file(content_of(source), key))


def content_of(source: Source) -> bytes:
    """The bytes of an image's file.

    Raises:
        ImageError: it cannot be read.
    """
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise ImageError(f"{source.name} can't be read: {error.strerror or error}.") from error


def name_of(source: Source) -> str | None:
    """What messages call an image: the name of its file; None where only its bytes are known."""
    return source.name if isinstance(source, Path) else None


def _read(file: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(file.read_bytes())
        return document if isinstance(document["objects"], list) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or damaged: it is computed again


def to_document(detections: sv.Detections) -> dict[str, Any]:
    """Detections as a JSON document: COCO boxes (x, y, width, height) and run-length-encoded masks."""
    from odits.objects.detections import areas_of, kinds_of, masks_of, object_rle

    confidence = np.ones(len(detections)) if detections.confidence is None else detections.confidence
    objects = [
        {
            "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
            "segmentation": object_rle(detections, index),
            "score": float(confidence[index]),
            "area": int(area),
            "kind": kind,
        }
        for index, ((x0, y0, x1, y1), area, kind) in enumerate(
            zip(detections.xyxy, areas_of(detections), kinds_of(detections), strict=True)
        )
    ]
    return {"size": [int(side) for side in masks_of(detections).shape[1:]], "objects": objects}


def from_document(document: dict[str, Any]) -> sv.Detections:
    """Detections as a segmenter returns them, from a stored document."""
    import supervision as sv

    from odits.objects.detections import mask_from_rle

    objects = document["objects"]
    height, width = document["size"]
    masks = [mask_from_rle(entry["segmentation"]) for entry in objects]
    boxes = np.array([entry["bbox"] for entry in objects], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return sv.Detections(
        xyxy=boxes,
        mask=np.stack(masks) if masks else np.empty((0, height, width), bool),
        confidence=np.array([entry["score"] for entry in objects], np.float32),
        data={
            "area": np.array([entry["area"] for entry in objects], np.int64),
            "kind": np.array([entry["kind"] for entry in objects], np.str_),
        },
    )
