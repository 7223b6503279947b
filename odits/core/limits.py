"""What files from outside may cost: every limit, stated once. docs/limits.md is its table, and a test compares them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30


def _limit(value: int, help: str) -> Any:
    return field(default=value, metadata={"help": help})


@dataclass(frozen=True)
class Limits:
    """The limits; each field's help is its row of the table.

    Example:
        >>> LIMITS.picture_scans
        500
    """

    picture_bytes: int = _limit(512 * _MIB, "bytes of a picture's file")
    picture_pixels: int = _limit(64_000_000, "pixels of a picture")
    picture_side: int = _limit(65_535, "pixels of a picture's side")
    picture_exif_bytes: int = _limit(64 * _KIB, "bytes of EXIF; what is larger is passed over")
    picture_metadata_bytes: int = _limit(_MIB, "bytes of other metadata of a JPEG; with more, all but EXIF is left out")
    picture_text_bytes: int = _limit(128 * _KIB, "bytes, decompressed, of a PNG's text that may say how it is held")
    picture_segments: int = _limit(64, "segments of metadata of a JPEG; with more, all but EXIF is left out")
    picture_chunks: int = _limit(50_000, "chunks of a PNG or WebP that is decoded in this process")
    picture_tags: int = _limit(512, "tags of a TIFF whose header is read in this process")
    picture_tag_bytes: int = _limit(16 * _MIB, "bytes of the tags of a TIFF whose header is read in this process")
    picture_frames_bytes: int = _limit(2 * _MIB, "bytes of a GIF that is decoded in this process")
    picture_webp_bytes: int = _limit(8 * _MIB, "bytes of a WebP that is decoded in this process")
    picture_webp_pixels: int = _limit(16_000_000, "pixels of a WebP that is decoded in this process")
    picture_small_bytes: int = _limit(64 * _KIB, "bytes of an odd JPEG or PPM that is decoded in this process")
    picture_scans: int = _limit(500, "scans of a JPEG")
    picture_scans_here: int = _limit(20, "scans of a JPEG that is decoded in this process")
    picture_scanned_pixels: int = _limit(400_000_000, "scans times pixels of a JPEG that is decoded in this process")
    picture_seconds: int = _limit(8, "seconds of CPU of a picture that is decoded in a process of its own")
    picture_wall_seconds: int = _limit(30, "seconds that such a process may last")
    picture_memory_bytes: int = _limit(1_200_000_000, "bytes of memory of such a process, beyond its libraries")
    picture_pixel_bytes: int = _limit(8, "bytes that each pixel adds to that, as of a plain picture")

    json_bytes: int = _limit(512 * _MIB, "bytes of a JSON file")
    json_values: int = _limit(40_000_000, "values of a JSON file")
    xml_bytes: int = _limit(256 * _MIB, "bytes of an XML file")
    xml_depth: int = _limit(32, "elements of an XML file inside one another")
    xml_elements: int = _limit(5_000_000, "elements of an XML file")
    xml_attributes: int = _limit(64, "attributes of an XML element")
    xml_text: int = _limit(_MIB, "characters of the text, of a name or of an attribute of an XML element")
    csv_bytes: int = _limit(64 * _MIB, "bytes of a table of words (CSV)")
    csv_field: int = _limit(131_072, "characters of a cell of a CSV table")
    csv_fields: int = _limit(1_000_000, "cells of a row of a CSV table")
    csv_rows: int = _limit(5_000_000, "rows of a CSV table")
    text_bytes: int = _limit(4 * _MIB, "bytes of the text file of one image")
    parquet_rows: int = _limit(10_000_000, "rows of a Parquet file")
    parquet_columns: int = _limit(10_000, "columns of a Parquet file, nested ones counted")
    parquet_groups: int = _limit(100_000, "groups of rows of a Parquet file")
    parquet_group_bytes: int = _limit(4 * _GIB, "bytes of a group of rows of a Parquet file, unpacked")
    matlab_bytes: int = _limit(256 * _MIB, "bytes of a MATLAB file, and of all its variables, unpacked")
    matlab_values: int = _limit(8_000_000, "numbers, and cells, of a MATLAB file")
    weights_header_bytes: int = _limit(32 * _MIB, "bytes of the header of a safetensors file")
    zip_contents_bytes: int = _limit(64 * _MIB, "bytes of the table of contents of a ZIP")
    pickle_bytes: int = _limit(16 * _GIB, "bytes of a pickle of weights, which a process of its own converts")
    pickle_memory_bytes: int = _limit(_GIB, "bytes of memory of such a process, beside three times the file")
    pickle_seconds: int = _limit(300, "seconds that such a process may last")

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the table: name, value as shown, and what is limited."""
        return [(one.name, _shown(one.name, getattr(self, one.name)), one.metadata["help"]) for one in fields(self)]


def _shown(name: str, value: int) -> str:
    """Write a number of bytes in its unit, any other one in digits.

    Example:
        >>> _shown("picture_bytes", 2**29), _shown("picture_scans", 5000)
        ('512 MiB', '5,000')
    """
    if name.endswith("_bytes"):
        for size, unit in ((_GIB, "GiB"), (_MIB, "MiB"), (_KIB, "KiB")):
            if value % size == 0 and (size >= _MIB or value < _MIB):
                return f"{value // size:,} {unit}"
    return f"{value:,}"


LIMITS = Limits()
