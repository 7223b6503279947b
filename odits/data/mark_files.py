"""Marks of an annotator as files of four formats, and back: CSV, Parquet, COCO and Label Studio.

All of them bring back what they were written with. In COCO a mark whose place is known is an object with a box and the
word as its caption, the others are captions of the picture; what COCO has no field for is in `attributes`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple
from typing import Any

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.core.limits import LIMITS
from odits.data.annotation_imports import REFUSE, TakenMarks, take_over
from odits.data.annotation_tables import COLUMNS, MAX_BYTES, mark_rows, marks_csv, marks_of_rows, read_marks_csv
from odits.data.exports import Files, picture_address, table
from odits.data.images import Size
from odits.data.label_studio import dump, import_tasks, mark_tasks
from odits.data.marks import KEY_COLUMNS, MARK_COLUMNS, ImageWord, Mark, to_row

FORMATS = ("csv", "parquet", "coco", "label-studio")
_TEXT_BYTES = 8 * MAX_BYTES
"""The most bytes of text that a Parquet file is unpacked to."""

Marks = Iterable[tuple[ImageWord, Mark]]


def export_marks(
    name: str, marks: Marks, format: str, prefix: str | None = None, sizes: Mapping[str, Size] | None = None
) -> Files:
    """Write the marks of an annotator for another tool or machine.

    Args:
        name: the annotator.
        marks: of the annotator, decisions between others too.
        format: one of `FORMATS`.
        prefix: what stands before each picture's name in COCO and Label Studio.
        sizes: width and height of pictures, where known; COCO has them.

    Raises:
        OditsError: there is no such format.
    """
    if format == "csv":
        return {".csv": marks_csv(name, marks)}
    if format == "parquet":
        return table(COLUMNS, mark_rows(name, marks), "parquet")
    if format == "label-studio":
        return mark_tasks(name, marks, prefix)
    if format == "coco":
        return {".json": dump(_coco(name, marks, prefix, sizes or {}))}
    raise OditsError(f"There is no format {format[:40]!r} here; there is {', '.join(FORMATS)}.")


def import_file(
    content: bytes, file: str, mode: str = REFUSE, annotator: str | None = None, done_by: str | None = None
) -> TakenMarks:
    """Take over the marks of a file of any of the formats, which its content tells.

    Args:
        content: of the file.
        file: what messages call it.
        mode: what becomes of words that are marked otherwise here; see `odits.data.annotation_imports.take_over`.
        annotator: under whose name marks of Label Studio are stored; the other formats say whose they are.
        done_by: which user of Label Studio made them.

    Raises:
        OditsError: it is no such file, a mark in it is wrong (it is named), or marks can't be written; nothing was
            taken over.
    """
    if _first(content) == b"[":
        if annotator is None:
            raise OditsError("Name the annotator under whom the marks are stored: Label Studio has names of its own.")
        return import_tasks(content, annotator, file, mode, done_by)
    name, marks = read_marks_file(content, file)
    return take_over(name, marks, mode)


def read_marks_file(content: bytes, file: str) -> tuple[str, list[tuple[ImageWord, Mark]]]:
    """Read whose marks a file of CSV, Parquet or COCO holds, and the marks, in order of time.

    Args:
        content: of the file.
        file: what messages call it.

    Raises:
        OditsError: it is no such file, or a mark in it is wrong (it is named).
    """
    if len(content) > MAX_BYTES:
        raise OditsError(f"{file} is larger than {MAX_BYTES // 2**20} MiB.")
    if content[:4] == b"PAR1":
        return marks_of_rows(_parquet_rows(content, file), file)
    if _first(content) == b"{":
        return marks_of_rows(_coco_rows(content, file), file)
    return read_marks_csv(content, file)


def _first(content: bytes) -> bytes:
    """Return the first letter of a text, after a byte order mark and space."""
    return content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]


def _parquet_rows(content: bytes, file: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a table of marks in Parquet with what messages call them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = unpacked = 0
    try:
        with pq.ParquetFile(io.BytesIO(content)) as reader:
            shape = reader.metadata
            if shape.num_rows > LIMITS.csv_rows or shape.num_columns > LIMITS.parquet_columns:
                raise OditsError(f"{file} has more rows or columns than a table of marks may have.")
            columns = [column for column in COLUMNS if column in reader.schema_arrow.names]
            if not {"annotator", *KEY_COLUMNS, "verdict", "time"} <= set(columns):
                raise OditsError(f"{file} is no table of marks.")
            for batch in reader.iter_batches(1024, columns=columns):
                unpacked += batch.nbytes
                if unpacked > _TEXT_BYTES:
                    raise OditsError(f"{file} unpacks to more than {_TEXT_BYTES // 2**20} MiB.")
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", _texts(row)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise OditsError(f"{file} is damaged, cut off, or no Parquet file.") from error


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the values that are texts; whatever else stands in a cell counts as nothing."""
    return {key: value for key, value in values.items() if isinstance(value, str)}


# COCO.


def _coco(name: str, marks: Marks, prefix: str | None, sizes: Mapping[str, Size]) -> dict[str, Any]:
    """Return a COCO document of marks (https://cocodataset.org/#format-data)."""
    images: dict[tuple[str, str], dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for about, mark in marks:
        key = (about.data, about.image)
        if key not in images:
            image: dict[str, Any] = {"id": len(images) + 1, "file_name": picture_address(about.image, prefix)}
            if about.image in sizes:
                image |= dict(zip(("width", "height"), sizes[about.image], strict=True))
            images[key] = image
        attributes = dict(zip(KEY_COLUMNS, astuple(about), strict=True)) | dict(
            zip(MARK_COLUMNS, to_row(mark), strict=True)
        )
        place: dict[str, Any] = {}
        if mark.box is not None:
            width, height = mark.box[2:]
            place = {"category_id": 1, "bbox": list(mark.box), "area": width * height, "segmentation": [], "iscrowd": 0}
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": images[key]["id"],
                "caption": about.word,
                **place,
                "attributes": {"annotator": name, **attributes},
            }
        )
    return {
        "info": {"description": f"Marks of {name}"},
        "images": list(images.values()),
        "categories": [{"id": 1, "name": "word", "supercategory": "text"}],
        "annotations": annotations,
    }


def _coco_rows(content: bytes, file: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the marks of a COCO document with what messages call them; a box that was moved counts as it stands."""
    try:
        document = parse_json(content.decode("utf-8-sig"))
    except ValueError as error:
        raise OditsError(f"{file} is no JSON file.") from error
    annotations = document.get("annotations") if isinstance(document, dict) else None
    if not isinstance(annotations, list):
        raise OditsError(f"{file} is no COCO file: it has no annotations.")
    for number, annotation in enumerate(annotations, 1):
        attributes = annotation.get("attributes") if isinstance(annotation, dict) else None
        if not isinstance(attributes, dict):
            raise OditsError(f"{file}, annotation {number}: it is no mark of this program. Nothing was taken over.")
        row = _texts(attributes)
        box = annotation.get("bbox")
        if isinstance(box, list):
            row["box"] = " ".join(repr(value) for value in box if isinstance(value, int | float))
        yield f"annotation {number}", row
