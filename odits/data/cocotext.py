"""COCO-Text (Veit et al., 2016) and TextOCR (Singh et al., 2021): a JSON file of `imgs` and `anns`, both by their ids.

An image has `file_name`, `width`, `height` and `set`; an annotation `image_id`, `bbox` (x, y, width, height), a polygon
(`mask` or `polygon` in COCO-Text, `points` in TextOCR) and `utf8_string`. Text that nobody could read is illegible
(`legibility`) in COCO-Text, and "." in TextOCR.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.core.limits import LIMITS
from odits.data.reading import WITHOUT_LEXICONS, FoundImage, Reader, Reading, images_below, is_coordinate
from odits.data.records import BoxedWord, Dataset, ImageRecord

MAX_BYTES = LIMITS.json_bytes
_HEAD = 2**16  # bytes of a file in which its keys are looked for
_COCO_TEXT, _TEXT_OCR = ("cocotext", "coco_text", "coco-text"), ("textocr",)


def _files(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the folder's files of annotations by name, and whether each is TextOCR's."""
    for path in sorted((*folder.glob("*.json"), *folder.glob("annotations/*.json"))):
        name = path.name.lower()
        if name.startswith((*_COCO_TEXT, *_TEXT_OCR)):
            yield path, name.startswith(_TEXT_OCR)
            continue
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if b'"imgs"' in head or (b'"anns"' in head and b'"utf8_string"' in head):
            yield path, b'"legibility"' not in head and b'"cats"' not in head


def _fits(folder: Path, text_ocr: bool) -> bool:
    """Return whether the first of the folder's files of annotations is TextOCR's, or COCO-Text's."""
    return next((kind for _, kind in _files(folder)), None) is text_ocr


def _read(folder: Path, reader: Reader) -> Dataset:
    """Read the data set in a folder; images are looked for at their paths, else below it by their names."""
    reading = Reading(folder)
    by_name: dict[str, Path] = {}
    for path in images_below(folder):
        by_name.setdefault(path.name, path)
    records = [
        record
        for file, text_ocr in _files(folder)
        if text_ocr is (reader is TEXT_OCR)
        for record in _records(reading, file, by_name)
    ]
    return reading.dataset(reader.name, records, reader.name, WITHOUT_LEXICONS)


def _records(reading: Reading, file: Path, by_name: dict[str, Path]) -> Iterator[ImageRecord]:
    """Yield the images of one file; a file that can't be read is a warning, and those beside it go on."""
    try:
        document = _document(file)
    except OditsError as error:
        reading.warn(str(error))
        return
    annotations: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for annotation in _values(document.get("anns")):
        annotations[str(annotation.get("image_id"))].append(annotation)
    for number, entry in enumerate(_values(document.get("imgs")), 1):
        place = f"{file.name}, image {number}"
        named = str(entry.get("file_name") or entry.get("filename") or "")
        path = by_name.get(PurePosixPath(named.replace("\\", "/")).name)
        given = (entry.get("width"), entry.get("height"))
        declared = given if all(type(side) is int for side in given) else None
        if path is not None and ".." not in PurePosixPath(named).parts:
            image = reading.open_image(path, reading.name_of(path), place, declared)  # type: ignore[arg-type]
        else:
            image = reading.find_image(named, place)
        if image is not None:
            split = "train" if str(entry.get("set", "")).lower() == "train" else "eval"
            yield _record(reading, image, split, annotations.get(str(entry.get("id")), []), place)


def _record(
    reading: Reading, image: FoundImage, split: str, annotations: list[dict[str, Any]], place: str
) -> ImageRecord:
    boxed: list[BoxedWord | None] = []
    for annotation in annotations:
        word = annotation.get("utf8_string")
        if not isinstance(word, str) or not word.strip() or word == "." or annotation.get("legibility") == "illegible":
            continue
        boxed.append(reading.box_word(word, _points(annotation), image, place))
    return reading.boxed_record(image, split, boxed)


def _points(annotation: dict[str, Any]) -> list[float]:
    """Return the corners of an annotation: its polygon, else its box; none where it has neither."""
    for key in ("points", "mask", "polygon", "segmentation"):
        points = annotation.get(key)
        if isinstance(points, list) and len(points) == 1 and isinstance(points[0], list):
            points = points[0]
        if isinstance(points, list) and len(points) >= 6 and all(is_coordinate(value) for value in points):
            return [float(value) for value in points]
    box = annotation.get("bbox")
    if isinstance(box, list) and len(box) == 4 and all(is_coordinate(value) for value in box):
        x, y, width, height = map(float, box)
        return [x, y, x + width, y + height]
    return []


def _values(found: Any) -> list[dict[str, Any]]:
    """Return the entries of a mapping by ids, or of a list; those that are no entries are left out."""
    values = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return [value for value in values if isinstance(value, dict)]


def _document(file: Path) -> dict[str, Any]:
    """Parse a file of annotations.

    Raises:
        OditsError: it can't be read, is too large, or is no JSON object.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise OditsError(f"{file.name} is larger than {MAX_BYTES >> 20} MiB.")
        document = parse_json(file.read_bytes())
    except OSError as error:
        raise OditsError(f"{file.name} can't be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise OditsError(f"{file.name} is no JSON file, or is cut off.") from error
    if not isinstance(document, dict):
        raise OditsError(f"{file.name} holds no images and annotations.")
    return document


COCO_TEXT: Reader = Reader(
    "COCO-Text",
    "cocotext.v2.json, and train2014/",
    lambda folder: _fits(folder, False),
    lambda folder: _read(folder, COCO_TEXT),
)
TEXT_OCR: Reader = Reader(
    "TextOCR",
    "TextOCR_*.json, and train_images/",
    lambda folder: _fits(folder, True),
    lambda folder: _read(folder, TEXT_OCR),
)
