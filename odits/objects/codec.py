"""Objects on the disk: each image is segmented once per (image, segmenter with its parameters)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odits.core.files import sha256_of
from odits.core.pool import Source
from odits.core.progress import Progress
from odits.core.store import FunctionCodec, Store, former_path, make_key
from odits.data.images import content_of, open_image
from odits.data.predictions import Segmenter

if TYPE_CHECKING:
    import supervision as sv


def _unpack(data: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(data)
    size = [int(side) for side in document["size"]]
    if not isinstance(document["objects"], list) or len(size) != 2:
        raise ValueError("no list of objects, or no size")
    for entry in document["objects"]:
        box, mask = entry["bbox"], entry["segmentation"]
        numbers = all(isinstance(one, int | float) for one in (*box, entry["score"], entry["area"]))
        if not numbers or len(box) != 4 or list(mask["size"]) != size or not isinstance(entry["kind"], str):
            raise ValueError("an object whose fields do not fit")
        if not isinstance(mask["counts"], str) or not mask["counts"].isascii():
            raise ValueError("a mask that is none")
    return document


OBJECTS: Store[dict[str, Any]] = Store(
    "objects", FunctionCodec(".json", lambda document: json.dumps(document).encode(), _unpack)
)
"""Objects of image files, as `to_document` has them."""


def result_key(content: bytes, segmenter: str) -> str:
    """Return the key of what the segmenter of this key finds in an image file of this content."""
    return make_key(image=sha256_of(content), segmenter=segmenter)


def former_result(store: Store[Any], content: bytes, segmenter: str) -> Path:
    """Return where an older version of this program stored the same result."""
    return former_path(store.kind, segmenter, sha256_of(content), store.suffix)


def compute_document(
    content: bytes, name: str | None, segmenter: Segmenter, advance: Progress | None = None
) -> dict[str, Any]:
    """Find the objects of an image file of this content, as the document that is stored of them.

    Raises:
        OditsError: the image can't be opened, or the segmenter's weights can't be had.
    """
    return to_document(segmenter.segment(open_image(content, name), advance)) | {"segmenter": segmenter.name}


def stored_objects(source: Source, segmenter: Segmenter, advance: Progress | None = None) -> sv.Detections:
    """Return the objects of an image file, from the store or found now and stored.

    Args:
        source: the image: its file, or what the file holds.
        segmenter: finds its objects.
        advance: as `Segmenter.segment` takes it.

    Raises:
        OditsError: the image can't be opened, or the segmenter's weights can't be had.
    """
    content = content_of(source)
    return stored_or_found(
        result_key(content, segmenter.key),
        lambda: segmenter.segment(open_image(content, name_of(source)), advance),
        former_result(OBJECTS, content, segmenter.key),
        segmenter=segmenter.name,
    )


def stored_or_found(
    key: str, find: Callable[[], sv.Detections], former: Path | None = None, **facts: str
) -> sv.Detections:
    """Return the objects that are stored under a key, or find and store them.

    Args:
        key: of the store.
        find: called where nothing is stored.
        former: where an older version stored the same.
        facts: kept in the document beside the objects.
    """
    found: list[sv.Detections] = []

    def compute() -> dict[str, Any]:
        found.append(find())
        return to_document(found[0]) | facts

    document = OBJECTS.get_or_compute(key, compute, former)
    return found[0] if found else from_document(document)  # masks are not decoded that are at hand


def stored_count(source: Source, segmenter: str) -> int | None:
    """Count the objects of an image that are stored for the segmenter of this key; None where there are none yet.

    Raises:
        ImageError: the image's file can't be read.
    """
    document = stored_document(source, segmenter)
    return None if document is None else len(document["objects"])


def stored_document(source: Source, segmenter: str) -> dict[str, Any] | None:
    """Return the document of an image that is stored for the segmenter of this key; None where there is none yet.

    Raises:
        ImageError: the image's file can't be read.
    """
    content = content_of(source)
    return OBJECTS.get(result_key(content, segmenter), former_result(OBJECTS, content, segmenter))


def name_of(source: Source) -> str | None:
    """Return what messages call an image: the name of its file; None where only its bytes are known."""
    return source.name if isinstance(source, Path) else None


def to_document(detections: sv.Detections) -> dict[str, Any]:
    """Return detections as a JSON document: COCO boxes (x, y, width, height) and run-length-encoded masks."""
    from odits.objects.detections import areas_of, kinds_of, masks_of, object_rle, texts_of

    confidence = np.ones(len(detections)) if detections.confidence is None else detections.confidence
    objects: list[dict[str, Any]] = [
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
    for entry, text in zip(objects, texts_of(detections), strict=False):
        entry["text"] = text
    return {"size": [int(side) for side in masks_of(detections).shape[1:]], "objects": objects}


def from_document(document: dict[str, Any]) -> sv.Detections:
    """Return detections as a segmenter does, from a stored document."""
    import supervision as sv

    from odits.objects.detections import mask_from_rle

    objects = document["objects"]
    height, width = document["size"]
    texts = bool(objects) and all("text" in entry for entry in objects)
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
            **({"text": np.array([entry["text"] for entry in objects], np.str_)} if texts else {}),
        },
    )
