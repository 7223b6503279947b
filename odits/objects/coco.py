"""Objects of images as a COCO data set: one JSON file, or a folder with images and masks that other tools open."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import supervision as sv
from PIL import Image
from PIL.ImageColor import getrgb

from odits.core.files import clear_interrupted, write_atomically
from odits.data.exports import SHAPES, Files, picture_address, relative_names
from odits.data.images import image_facts
from odits.objects.detections import PALETTE, areas_of, index_map, kinds_of, masks_of, object_rle
from odits.objects.exports import PictureRegions, export_regions, regions_of

DATA, LABELS, MASKS = "data", "labels.json", "masks"


@dataclass(frozen=True, eq=False)
class ExportedImage:
    """One image with its objects.

    Attributes:
        name: its file's name; folders in it are left out.
        image: RGB, as the objects were found in it.
        detections: its objects; may be none.
        names: what each object was called; empty where nobody named them, "" for one without a name.
        source: its file or its bytes, which are passed on as they are; otherwise the image is written as a PNG.
    """

    name: str
    image: Image.Image
    detections: sv.Detections
    names: Sequence[str] = ()
    source: Path | bytes | None = None

    def categories(self) -> list[tuple[str, str]]:
        """Return (category, supercategory) of each object: its name, or its kind where it has none; and its kind."""
        kinds = kinds_of(self.detections)
        names = list(self.names) or [""] * len(kinds)
        return [(name or kind, kind) for name, kind in zip(names, kinds, strict=True)]


def coco_document(images: Iterable[ExportedImage], segmenter: str = "", named_by: str = "") -> dict[str, Any]:
    """Return a COCO object detection document; masks are run lengths, boxes (x, y, width, height) in pixels.

    An annotation has a `score` (the confidence) and the attribute `kind` besides COCO's own.

    Args:
        images: distinct images; of several with the same name all but the first get a number.
        segmenter: who found the objects, for `info`.
        named_by: who named them, for `info`.
    """
    return _document(_distinct(images), segmenter, named_by)


def _document(images: Sequence[tuple[str, ExportedImage]], segmenter: str, named_by: str) -> dict[str, Any]:
    found = sorted({pair for _, one in images for pair in one.categories()})
    # one category a name: it belongs to the kind that comes first
    supercategory: dict[str, str] = {}
    for name, kind in found:
        supercategory.setdefault(name, kind)
    identifiers = {name: number for number, name in enumerate(supercategory, 1)}
    now = datetime.now(UTC)
    annotations: list[dict[str, Any]] = []
    for number, (_, one) in enumerate(images, 1):
        annotations += _annotations(one, number, len(annotations), identifiers)
    return {
        "info": {
            "description": "Objects of images by ODITS Explorer",
            "version": "1.0",
            "year": now.year,
            "date_created": now.isoformat(timespec="seconds"),
            "contributor": "",
            "url": "",
            "segmenter": segmenter,
            "named_by": named_by,
        },
        "licenses": [],
        "images": [
            {"id": number, "file_name": name, "width": one.image.width, "height": one.image.height, "license": None}
            for number, (name, one) in enumerate(images, 1)
        ],
        "categories": [
            {"id": identifiers[name], "name": name, "supercategory": kind} for name, kind in supercategory.items()
        ],
        "annotations": annotations,
    }


def _annotations(one: ExportedImage, image: int, before: int, identifiers: dict[str, int]) -> list[dict[str, Any]]:
    found, area = one.detections, areas_of(one.detections)
    confidence = np.ones(len(found)) if found.confidence is None else found.confidence
    return [
        {
            "id": before + index + 1,
            "image_id": image,
            "category_id": identifiers[name],
            "segmentation": object_rle(found, index),
            "bbox": [float(x0), float(y0), float(x1 - x0), float(y1 - y0)],
            "area": int(area[index]),
            "iscrowd": 0,
            "score": round(float(confidence[index]), 6),
            "kind": kind,
        }
        for index, ((name, kind), (x0, y0, x1, y1)) in enumerate(
            zip(one.categories(), found.xyxy.astype(float), strict=True)
        )
    ]


def label_image(detections: sv.Detections, size: tuple[int, int]) -> Image.Image:
    """Draw an image of `size` (W, H) whose pixels are the objects' numbers, 0 for none; of several the smallest counts.

    Up to 255 objects it has a palette (mode "P"), so that it shows in colours; beyond, 16 bits of grey.
    """
    top = index_map(detections) + 1 if masks_of(detections).size else np.zeros(size[::-1], np.int32)
    if len(detections) > 255:
        return Image.fromarray(top.astype(np.uint16))
    image = Image.frombytes("P", size, top.astype(np.uint8).tobytes())
    colors = [getrgb(PALETTE[index % len(PALETTE)]) for index in range(255)]
    image.putpalette([0, 0, 0] + [part for color in colors for part in color])
    return image


def png(image: Image.Image) -> bytes:
    """Encode the image as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def coco_files(images: Iterable[ExportedImage], segmenter: str = "", named_by: str = "") -> dict[str, bytes]:
    """Make the files of a data set, by their paths: data/… (images), labels.json, masks/… (see `label_image`).

    It is what FiftyOne calls a COCODetectionDataset; the masks' folder is for those who want pictures.
    """
    named = _distinct(images)
    files = {LABELS: json.dumps(_document(named, segmenter, named_by)).encode()}
    for name, one in named:
        files[f"{DATA}/{name}"] = _content(name, one)
        files[f"{MASKS}/{PurePath(name).stem}.png"] = png(label_image(one.detections, one.image.size))
    return files


def write_coco_folder(
    folder: Path, images: Iterable[ExportedImage], segmenter: str = "", named_by: str = ""
) -> list[Path]:
    """Write `coco_files` into the folder, in place of files of the same names, and return their paths."""
    written = []
    for place in (folder, folder / DATA, folder / MASKS):
        clear_interrupted(place)
    for name, content in coco_files(images, segmenter, named_by).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
        written.append(file)
    return written


def exported_files(
    images: Sequence[ExportedImage],
    format: str,
    shape: str = SHAPES[0],
    prefix: str | None = None,
    segmenter: str = "",
    named_by: str = "",
) -> Files:
    """Write objects for another tool, pictures referred to and not copied.

    Args:
        images: with their objects; those that are files are named by their paths below the folder they share.
        format: "coco", or one of `odits.objects.exports.export_regions`.
        shape: polygon, mask or box, for Label Studio and CVAT.
        prefix: what stands before each picture's name.
        segmenter: who found the objects.
        named_by: who named them.
    """
    paths = [one.source for one in images if isinstance(one.source, Path)]
    names = relative_names(paths) if len(paths) == len(images) else [name for name, _ in _distinct(images)]
    if format == "coco":  # the pictures are where they are: their own names, also of those that EXIF turns
        referred = [(picture_address(name, prefix), one) for name, one in zip(names, images, strict=True)]
        return {".json": json.dumps(_document(referred, segmenter, named_by)).encode()}
    pictures = [
        PictureRegions(name, one.image.size, regions_of(one.detections, one.names))
        for name, one in zip(names, images, strict=True)
    ]
    return export_regions(pictures, segmenter, format, shape, prefix)


def _distinct(images: Iterable[ExportedImage]) -> list[tuple[str, ExportedImage]]:
    """Images with names whose stems are distinct, for masks are called after them."""
    named: list[tuple[str, ExportedImage]] = []
    taken: set[str] = set()
    for one in images:
        path = PurePath(one.name.replace("\\", "/"))
        stem, number = path.stem or "image", 2
        while stem.casefold() in taken:
            stem, number = f"{path.stem}-{number}", number + 1
        taken.add(stem.casefold())
        suffix = path.suffix if _upright(one) else ".png"
        named.append((stem + suffix, one))
    return named


def _upright(one: ExportedImage) -> bool:
    """Whether its file shows the very pixels in which the objects were found: not turned by EXIF, not reduced."""
    if one.source is None:
        return False
    facts = image_facts(one.source, one.name)
    return facts.stored == one.image.size and facts.orientation == 1


def _content(name: str, one: ExportedImage) -> bytes:
    if one.source is None or not _upright(one):
        return png(one.image)
    return one.source.read_bytes() if isinstance(one.source, Path) else one.source
