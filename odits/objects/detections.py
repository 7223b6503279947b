"""The objects of an image: built from masks, looked up, cropped, tabled, encoded and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

import cv2
import numpy as np
import pandas as pd
import supervision as sv
from PIL import Image

from odits.core.errors import OditsError

MAX_MASK_BYTES = 2 << 30
PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")  # Okabe and Ito


class RunLengths(TypedDict):
    """A mask as COCO writes it: `size` is (height, width), `counts` the compressed run lengths."""

    size: list[int]
    counts: str


def make_detections(
    masks: Iterable[np.ndarray],
    confidence: Sequence[float],
    kind: Sequence[str],
    size: tuple[int, int],
    texts: Sequence[str] | None = None,
) -> sv.Detections:
    """Make the detections of an image from masks, largest object first; masks of another size are scaled to it.

    Boxes are half-open: x1 and y1 are one past the mask's last pixel. Masks without a pixel are left out.

    Args:
        masks: bool (h, w), as many as there are in `confidence` and `kind`.
        confidence: in 0..1 (clipped to it).
        kind: "mask", "region" or "text".
        size: width and height of the result.
        texts: what each object was found for, where a text was asked for; they go to `data["text"]`.

    Raises:
        OditsError: the masks together need more than 2 GiB.
    """
    width, height = size
    if len(confidence) * width * height > MAX_MASK_BYTES:
        longest = int((MAX_MASK_BYTES / len(confidence) / (width * height)) ** 0.5 * max(size))
        raise OditsError(
            f"{len(confidence)} objects at {width} × {height} pixels need too much memory: "
            f"reduce the image to at most {longest} pixels on its longer side."
        )
    stack = np.zeros((len(confidence), height, width), bool)
    for target, mask in zip(stack, masks, strict=True):
        target[:] = resize_mask(mask, size)
    area = np.array([np.count_nonzero(mask) for mask in stack], np.int64)
    order = np.argsort(-area, kind="stable")
    order = order[area[order] > 0]
    if not np.array_equal(order, np.arange(len(stack))):
        stack = stack[order]
    return sv.Detections(
        xyxy=np.array([mask_box(mask) for mask in stack], np.float32).reshape(-1, 4),
        mask=stack,
        confidence=np.clip(np.asarray(confidence, np.float32)[order], 0, 1),
        data={
            "area": area[order],
            "kind": np.asarray(kind, dtype=np.str_)[order],
            **({} if texts is None else {"text": np.asarray(texts, dtype=np.str_)[order]}),
        },
    )


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a mask to `size` (W, H): bool (H, W), its outline interpolated, not stepped."""
    if mask.shape == (size[1], size[0]):
        return mask.astype(bool, copy=False)
    return cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR) >= 128


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of a mask bool (h, w) with at least one pixel; the last row and column are not in it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def suppress(masks: Sequence[np.ndarray], threshold: float) -> list[int]:
    """Suppress masks that a better one overlaps by an IoU above the threshold (non-maximum suppression).

    Args:
        masks: bool (h, w) each, best first.
        threshold: in 0..1.

    Returns:
        Indices of the masks that stay.
    """
    areas = [int(np.count_nonzero(mask)) for mask in masks]
    boxes = [mask_box(mask) if area else (0, 0, 0, 0) for mask, area in zip(masks, areas, strict=True)]
    selected: list[int] = []
    for index, area in enumerate(areas):
        # An IoU is at most the ratio of the areas, so that most pairs need no look at their pixels.
        rivals = (one for one in selected if min(area, areas[one]) > threshold * max(area, areas[one]))
        if area and all(_iou(masks, boxes, areas, index, one) <= threshold for one in rivals):
            selected.append(index)
    return selected


def _iou(
    masks: Sequence[np.ndarray], boxes: Sequence[tuple[int, int, int, int]], areas: Sequence[int], i: int, j: int
) -> float:
    """Return the intersection over union of two masks, counted where their boxes overlap."""
    x0, y0 = max(boxes[i][0], boxes[j][0]), max(boxes[i][1], boxes[j][1])
    x1, y1 = min(boxes[i][2], boxes[j][2]), min(boxes[i][3], boxes[j][3])
    if x0 >= x1 or y0 >= y1:
        return 0.0
    window = np.s_[y0:y1, x0:x1]
    common = int(np.count_nonzero(masks[i][window] & masks[j][window]))
    return common / (areas[i] + areas[j] - common)


def masks_of(detections: sv.Detections) -> np.ndarray:
    """Return the masks, bool (K, H, W), with K = 0 where nothing was found."""
    return np.zeros((0, 0, 0), bool) if detections.mask is None else np.asarray(detections.mask)


def kinds_of(detections: sv.Detections) -> list[str]:
    """Return the kind of each object: "mask", "region" or "text"."""
    return [str(kind) for kind in detections.data.get("kind", ["mask"] * len(detections))]


def texts_of(detections: sv.Detections) -> tuple[str, ...]:
    """Return the text that each object was found for; nothing where none was asked for."""
    return tuple(str(text) for text in detections.data.get("text", ()))


def areas_of(detections: sv.Detections) -> np.ndarray:
    """Return the pixels of each object, int64 (K,)."""
    area = detections.data.get("area")
    return masks_of(detections).sum(axis=(1, 2), dtype=np.int64) if area is None else np.asarray(area, np.int64)


def object_table(
    detections: sv.Detections, names: Sequence[str] = (), sure: Sequence[float] | np.ndarray = ()
) -> pd.DataFrame:
    """Return a table of objects: number (from 1), kind, area in pixels and per cent, confidence, box in pixels.

    Where `names` has what each is called, and `sure` how sure that is, these are the columns "name" and "name_score".
    """
    masks, area, box = masks_of(detections), areas_of(detections), detections.xyxy.round().astype(int)
    pixels = max(1, masks.shape[1] * masks.shape[2])
    confidence = np.full(len(detections), np.nan) if detections.confidence is None else detections.confidence
    named = {"name": list(names), "name_score": np.asarray(sure, float).round(4)} if len(names) else {}
    return pd.DataFrame(
        {
            "number": np.arange(1, len(detections) + 1),
            **named,
            "kind": kinds_of(detections),
            "area": area,
            "area_percent": (100 * area / pixels).round(2),
            "confidence": np.asarray(confidence, float).round(4),
            "x0": box[:, 0],
            "y0": box[:, 1],
            "x1": box[:, 2],
            "y1": box[:, 3],
        }
    )


def object_crop(image: Image.Image, detections: sv.Detections, index: int) -> Image.Image:
    """Crop the image to the object's box, with its background; at least one pixel."""
    _check(detections, index)
    x0, y0, x1, y1 = (int(v) for v in detections.xyxy[index])
    return image.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))


def object_at(detections: sv.Detections, x: float, y: float) -> int | None:
    """Return the index of the smallest object that covers the pixel at (x, y), or None."""
    masks = masks_of(detections)
    column, row = int(np.floor(x)), int(np.floor(y))
    if not (0 <= row < masks.shape[1] and 0 <= column < masks.shape[2]):
        return None
    hits = np.flatnonzero(masks[:, row, column])
    return int(hits[np.argmin(areas_of(detections)[hits])]) if len(hits) else None


def object_in(detections: sv.Detections, box: Sequence[float]) -> int | None:
    """Return the index of the object whose box fits x0, y0, x1, y1 best by IoU; None where none meets it."""
    if not len(detections):
        return None
    fit = sv.box_iou_batch(np.array([box], float), detections.xyxy.astype(float))[0]
    return int(fit.argmax()) if fit.max() > 0 else None


def part_of(detections: sv.Detections, indices: Sequence[int]) -> sv.Detections:
    """Return the detections at these indices, in their order; all sizes stay, also where there are none."""
    chosen = np.asarray(indices, int)
    return sv.Detections(
        xyxy=detections.xyxy[chosen],
        mask=masks_of(detections)[chosen] if len(detections) else detections.mask,
        confidence=None if detections.confidence is None else detections.confidence[chosen],
        data={name: np.asarray(values)[chosen] for name, values in detections.data.items()},
    )


def index_map(detections: sv.Detections) -> np.ndarray:
    """Return int32 (H, W): the object that `object_at` gives for every pixel, -1 for none."""
    masks = masks_of(detections)
    top = np.full(masks.shape[1:], -1, np.int32)
    for index in np.argsort(-areas_of(detections), kind="stable"):
        top[masks[index]] = index
    return top


def object_rle(detections: sv.Detections, index: int) -> RunLengths:
    """Return the object's mask as COCO's compressed run lengths, ready for JSON."""
    from pycocotools import mask as coco

    _check(detections, index)
    columns = cv2.transpose(masks_of(detections)[index].astype(np.uint8, copy=False)).T  # sooner than np.asfortranarray
    encoded = coco.encode(columns)
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def mask_from_rle(rle: RunLengths) -> np.ndarray:
    """Return the mask, bool (H, W), of COCO's compressed run lengths."""
    from pycocotools import mask as coco

    return coco.decode({"size": rle["size"], "counts": rle["counts"].encode("ascii")}).astype(bool)


def overlay_image(image: Image.Image, detections: sv.Detections, opacity: float = 0.5) -> Image.Image:
    """Draw every object onto an RGB copy of the image: filled at `opacity` (0..1), outlined and numbered."""
    if len(detections) == 0:
        return image.convert("RGB")
    scene = np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
    palette = sv.ColorPalette.from_hex(list(PALETTE))
    thickness = max(1, round(max(image.size) / 700))
    lookup = sv.ColorLookup.INDEX
    scene = sv.MaskAnnotator(color=palette, opacity=opacity, color_lookup=lookup).annotate(scene, detections)
    scene = sv.PolygonAnnotator(color=palette, thickness=thickness, color_lookup=lookup).annotate(scene, detections)
    labels = sv.LabelAnnotator(
        color=palette,
        text_color=sv.Color.BLACK,
        text_scale=max(0.35, max(image.size) / 3200),
        text_padding=2,
        text_position=sv.Position.CENTER_OF_MASS,
        color_lookup=lookup,
    )
    scene = labels.annotate(scene, detections, labels=[str(number) for number in range(1, len(detections) + 1)])
    return Image.fromarray(np.ascontiguousarray(scene[..., ::-1]))


def side_by_side(image: Image.Image, other: Image.Image, gap: int = 12) -> Image.Image:
    """Put another image right of an image, with white between them, as RGB (Fig. 3.3 of the thesis)."""
    pair = Image.new("RGB", (image.width + gap + other.width, max(image.height, other.height)), "white")
    pair.paste(image, (0, 0))
    pair.paste(other, (image.width + gap, 0))
    return pair


def _check(detections: sv.Detections, index: int) -> None:
    if not 0 <= index < len(detections):
        raise OditsError(f"There is no object {index + 1}: the image has {len(detections)}.")
