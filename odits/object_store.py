"""Objects kept on disk: each image is segmented once per (image, segmenter with its parameters)."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from pycocotools import mask as coco

from odits.data.images import open_image
from odits.files import cache_home, write_atomically
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
    objects = []
    masks = detections.mask if detections.mask is not None else np.empty((0, 1, 1), bool)
    for index, mask in enumerate(masks):
        encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        x0, y0, x1, y1 = (float(value) for value in detections.xyxy[index])
        objects.append(
            {
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "segmentation": {"size": list(map(int, encoded["size"])), "counts": encoded["counts"].decode("ascii")},
                "score": float(detections.confidence[index]) if detections.confidence is not None else 1.0,
                "area": int(detections.data["area"][index]),
                "kind": str(detections.data["kind"][index]),
            }
        )
    return {"size": list(masks.shape[1:]), "objects": objects}


def from_document(document: dict[str, Any]) -> sv.Detections:
    """Detections as a segmenter returns them, from a stored document."""
    objects = document["objects"]
    height, width = document["size"]
    masks = [
        coco.decode({**entry["segmentation"], "counts": entry["segmentation"]["counts"].encode()}) for entry in objects
    ]
    boxes = np.array([entry["bbox"] for entry in objects], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return sv.Detections(
        xyxy=boxes,
        mask=np.stack(masks).astype(bool) if masks else np.empty((0, height, width), bool),
        confidence=np.array([entry["score"] for entry in objects], np.float32),
        data={
            "area": np.array([entry["area"] for entry in objects], np.int64),
            "kind": np.array([entry["kind"] for entry in objects], str),
        },
    )
