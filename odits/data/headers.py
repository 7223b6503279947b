"""What a picture's file says of itself before a decoder sees it: refused, without its metadata, or to be decoded alone.

A walk over JPEG's markers, PNG's and WebP's chunks and TIFF's tags, itself bounded. What is plain is decoded in this
process, at no cost; what is rare, or could cost more than a picture is worth, in a process of its own under limits.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO, NamedTuple

from odits.core.limits import LIMITS
from odits.data.png import SIGNATURE as PNG
from odits.data.png import without_text

_TIFF = (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+")
_PLAIN_PPM = re.compile(rb"P[56]\s+(\d{1,6})\s+(\d{1,6})\s+255\s")
_MARKER = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_MAYBE_SCAN = re.compile(rb"\xff\xda")  # a search for it is several times as fast as bytes.count
_FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)))
_USUAL_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, with Huffman's codes
_METADATA = frozenset((*range(0xE0, 0xF0), 0xFE))
_SCAN, _END = 0xDA, 0xD9
_TAG_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
_MOST_SEGMENTS = 2_000  # of a JPEG: what has more is walked no further
_COPIED = 64 << 20  # bytes of a JPEG that is copied without its metadata


class RefusedError(Exception):
    """A picture that is not decoded at all; the message is the rest of a sentence that begins with its name."""


class Examined(NamedTuple):
    """A file that was looked at.

    Attributes:
        stream: the file at its start, or a copy without metadata that nothing here uses.
        alone: it is to be decoded in a process of its own.
    """

    stream: BinaryIO
    alone: bool = False


class _OddError(Exception):
    """The walk met what it does not follow: a decoder may, in a process of its own."""


@contextmanager
def examine(stream: BinaryIO, pixels: bool) -> Iterator[Examined]:
    """Look at a picture's file for a block; a copy is closed at its end, the stream itself is not.

    Args:
        stream: the open file.
        pixels: whether its pixels are to be decoded, else its header is read alone.

    Raises:
        RefusedError: it is not to be decoded.
    """
    stream.seek(0)
    head = stream.read(32)
    found = Examined(stream)
    try:
        if head.startswith(b"\xff\xd8"):
            found = _jpeg(stream, pixels)
        elif head.startswith(PNG):
            _check_size(*struct.unpack_from(">II", head.ljust(32, b"\0"), 16))
            copy = without_text(stream)
            found = Examined(stream, True) if copy is None else Examined(copy)
        elif head.startswith((b"GIF87a", b"GIF89a")):
            found = Examined(stream, _size_of(stream) > LIMITS.picture_frames_bytes)
        elif head[:4] == b"RIFF":
            found = Examined(stream, _webp_is_odd(stream, head))
        elif head.startswith(_TIFF):
            found = Examined(stream, pixels or _tiff_is_odd(stream, head))
        elif head.startswith(b"BM"):
            found = Examined(stream, head[30:34] in (b"\1\0\0\0", b"\2\0\0\0"))  # run lengths
        elif head.startswith(b"P"):
            is_small = _size_of(stream) <= LIMITS.picture_small_bytes
            found = Examined(stream, _PLAIN_PPM.match(head) is None and not is_small)
        elif head[4:8] == b"ftyp":  # AVIF and HEIF
            found = Examined(stream, pixels or _size_of(stream) > LIMITS.picture_webp_bytes)
    except _OddError:
        found = Examined(stream, True)
    found.stream.seek(0)
    try:
        yield found
    finally:
        if found.stream is not stream:
            found.stream.close()


def _check_size(width: int, height: int) -> None:
    """Refuse a picture by the size that its header claims; a size of nothing is the decoder's to refuse."""
    if width * height > LIMITS.picture_pixels:
        raise RefusedError(f"has more than {LIMITS.picture_pixels // 1_000_000} megapixels, the most that is accepted.")
    if max(width, height) > LIMITS.picture_side:
        raise RefusedError(f"is wider or higher than {LIMITS.picture_side:,} pixels, the most that is accepted.")


def _size_of(stream: BinaryIO) -> int:
    return stream.seek(0, io.SEEK_END)


# JPEG.


class _Segments(NamedTuple):
    """What stands before a JPEG's first scan.

    Attributes:
        kept: (start, length) of the segments that a decoder needs.
        many: metadata beyond what is passed on as it is.
        start: of the first scan.
        area: pixels.
        usual: the kind of frame is a usual one.
    """

    kept: list[tuple[int, int]]
    many: bool
    start: int
    area: int
    usual: bool


def _jpeg(stream: BinaryIO, pixels: bool) -> Examined:
    """Walk over a JPEG's segments, and where its pixels are asked for, count its scans."""
    try:
        found = _segments(stream)
    except _OddError:
        if _size_of(stream) > LIMITS.picture_small_bytes:
            raise
        stream.seek(0)
        return Examined(stream, _most_scans(stream.read()) > LIMITS.picture_scans_here)
    alone = False
    if pixels:
        stream.seek(found.start)
        body = stream.read()
        scans = _most_scans(body)
        if scans > LIMITS.picture_scans and (scans := _count_scans(body)) > LIMITS.picture_scans:
            raise RefusedError(f"is refused: it is a JPEG of more than {LIMITS.picture_scans} scans.")
        work = scans * found.area
        alone = not found.usual or scans > LIMITS.picture_scans_here or work > LIMITS.picture_scanned_pixels
    if not found.many:
        return Examined(stream, alone)
    if _size_of(stream) - found.start > _COPIED:
        raise _OddError
    copy = io.BytesIO(b"\xff\xd8")
    copy.seek(0, io.SEEK_END)
    for start, length in (*found.kept, (found.start, -1)):
        stream.seek(start)
        copy.write(stream.read(length))
    return Examined(copy, alone)


def _segments(stream: BinaryIO) -> _Segments:
    kept: list[tuple[int, int]] = []
    at, count, metadata, exif, area, usual = 2, 0, 0, 0, 0, False
    for _ in range(_MOST_SEGMENTS):
        stream.seek(at)
        head = stream.read(9)
        if len(head) < 4 or head[0] != 0xFF or head[1] == 0xFF or head[1] < 0xC0 or 0xD0 <= head[1] <= _END:
            raise _OddError
        marker, length = head[1], int.from_bytes(head[2:4], "big")
        if marker == _SCAN:
            many = count > LIMITS.picture_segments or metadata > LIMITS.picture_metadata_bytes or exif > 1
            return _Segments(kept, many, at, area, usual)
        if marker in _FRAMES and len(head) == 9:
            height, width = struct.unpack_from(">HH", head, 5)
            _check_size(width, height)
            area, usual = width * height, marker in _USUAL_FRAMES and not area
        is_exif = marker == 0xE1 and head[4:8] == b"Exif"
        exif += is_exif
        if marker in _METADATA:
            count, metadata = count + 1, metadata + length
        if marker not in _METADATA or marker == 0xEE or head[4:8] == b"JFIF" or (is_exif and exif == 1):
            kept.append((at, length + 2))
        at += 2 + length
    raise _OddError


def _most_scans(body: bytes) -> int:
    """Count what may be the start of a scan: at least as many as there are, or one more than is accepted."""
    return sum(1 for _ in islice(_MAYBE_SCAN.finditer(body), LIMITS.picture_scans + 1))


def _count_scans(body: bytes) -> int:
    """Count the scans of what begins with a JPEG's first, as far as its end and no further than the limit."""
    at = scans = 0
    for _ in range(100 * LIMITS.picture_scans):
        found = _MARKER.search(body, at)
        if found is None or scans > LIMITS.picture_scans:
            break
        at, marker = found.end(), body[found.end() - 1]
        if marker == _END:
            break
        if marker >= 0xC0:
            scans += marker == _SCAN
            at += max(int.from_bytes(body[at : at + 2], "big"), 2)
    return scans


# WebP and TIFF.


def _webp_is_odd(stream: BinaryIO, head: bytes) -> bool:
    """Return whether a WebP is large, or has much metadata: it is all decoded at once."""
    kind = head[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(head[place : place + 3], "little") + 1 for place in (24, 27))
    elif kind == b"VP8 ":
        width, height = (int.from_bytes(head[place : place + 2], "little") & 0x3FFF for place in (26, 28))
    else:
        bits = int.from_bytes(head[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    _check_size(width, height)
    size, at = _size_of(stream), 12
    if size > LIMITS.picture_webp_bytes or width * height > LIMITS.picture_webp_pixels:
        return True
    for _ in range(LIMITS.picture_chunks):
        stream.seek(at)
        chunk = stream.read(8)
        if len(chunk) < 8:
            return False
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"EXIF" and length > LIMITS.picture_exif_bytes:
            return True
        at += 8 + length + length % 2
    return True


def _tiff_is_odd(stream: BinaryIO, head: bytes) -> bool:
    """Return whether the tags of a TIFF's first picture are many or large: Pillow reads all of them at once."""
    order = "<" if head[:2] == b"II" else ">"
    if head[2:4] not in (b"*\0", b"\0*"):
        return True
    stream.seek(struct.unpack_from(f"{order}I", head.ljust(8, b"\0"), 4)[0])
    count = stream.read(2)
    if len(count) < 2 or (number := struct.unpack(f"{order}H", count)[0]) > LIMITS.picture_tags:
        return True
    tags = stream.read(12 * number)
    sizes = 0
    for start in range(0, len(tags) - 11, 12):
        _, kind, values = struct.unpack_from(f"{order}HHI", tags, start)
        sizes += values * (_TAG_SIZES[kind] if kind < len(_TAG_SIZES) else 8)
    return sizes > LIMITS.picture_tag_bytes
