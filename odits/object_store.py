"""Objects kept on disk: each image is segmented once per (image, segmenter with its parameters)."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv

from odits.data.images import open_image
from odits.files import cache_home, write_atomically
from odits.objects import areas_of, kinds_of, mask_from_rle, masks_of, object_rle
from odits.predictions import Segmenter


def stored_objects(source: Path | bytes, segmenter: Segmenter) -> sv.Detections:
    """The objects of an image file (a path or its bytes), from the store or segmented now and kept.

    Raises:
        OditsError: the image cannot be opened, or the segmenter's weights cannot be had.
    """
    content = source.read_bytes() if isinstance(source, Path) else source
    file = _entry(content, segmenter)
    kept = _read(file)
    if kept is not None:
        return from_document(kept)
    detections = segmenter.segment(open_image(content, source.name if isinstance(source, Path) else None))
    with suppress(OSError):  # a full or read-only disk costs time later, not the answer now
        write_atomically(file, json.dumps(to_document(detections) | {"segmenter": segmenter.name}).encode())
    return detections


def stored_count(source: Path, segmenter: Segmenter) -> int:
    """The number of objects of an image file; reads no mask where they are stored."""
    kept = _read(_entry(source.read_bytes(), segmenter))
    return len(kept["objects"]) if kept is not None else len(stored_objects(source, segmenter))


def _entry(content: bytes, segmenter: Segmenter) -> Path:
    image, model = (hashlib.sha256(part).hexdigest()[:24] for part in (content, segmenter.key.encode()))
    return cache_home() / "objects" / model / f"{image}.json"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(file.read_bytes())
        return document if isinstance(document["objects"], list) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or damaged: it is computed again


def to_document(detections: sv.Detections) -> dict[str, Any]:
    """Detections as a JSON document: COCO boxes (x, y, width, height) and run-length-encoded masks."""
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
