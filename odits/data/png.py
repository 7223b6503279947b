"""PNG files without what is written in them besides the picture: text, and profiles that nothing here uses."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

from odits.core.limits import LIMITS

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_UNUSED = (*_TEXT, b"iCCP")
_ORIENTATION_KEYWORDS = (b"Raw profile type exif", b"Raw profile type APP1", b"XML:com.adobe.xmp")
_MAX_METADATA = LIMITS.picture_text_bytes
_MOST_TEXTS = 4  # that may say how the picture is to be held


def without_text(stream: BinaryIO) -> BinaryIO | None:
    """Return a PNG without text, colour profile and much EXIF, undecoded; what holds the EXIF orientation stays.

    Pillow decodes all text while it opens a file, and refuses the picture where there is much of it. EXIF that stands
    behind the pixels is put before them, so that it is read from the header.

    Args:
        stream: an open PNG file, seekable. A damaged one is returned as it is.

    Returns:
        The same stream at its start where nothing had to be changed, else another; None where it has too many chunks.
    """
    stream.seek(len(SIGNATURE))
    head: list[tuple[int, int]] = []
    pixels: list[tuple[int, int]] = []
    changed = False
    texts = 0
    for _ in range(LIMITS.picture_chunks):
        start = stream.tell()
        header = stream.read(8)
        if len(header) < 8:
            break
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if kind in _UNUSED:
            is_needed = texts < _MOST_TEXTS and _holds_orientation(stream, kind, length)
            texts += is_needed
        else:
            is_needed = kind != b"eXIf" or length <= LIMITS.picture_exif_bytes
        if not is_needed:
            changed = True
        elif kind == b"eXIf" and pixels:
            head.append((start, 12 + length))
            changed = True
        else:
            (pixels if pixels or kind == b"IDAT" else head).append((start, 12 + length))
        stream.seek(start + 12 + length)
        if kind == b"IEND":
            break
    else:
        return None
    stream.seek(0)
    if not changed:
        return stream
    copy = io.BytesIO()
    copy.write(SIGNATURE)
    for start, size in (*head, *pixels):
        stream.seek(start)
        copy.write(stream.read(size))
    copy.seek(0)
    return copy


def _holds_orientation(stream: BinaryIO, kind: bytes, length: int) -> bool:
    """Return whether the text chunk that begins here may say how the picture is to be held, and is small."""
    if kind not in _TEXT or length > _MAX_METADATA:
        return False
    keyword, _, rest = stream.read(length).partition(b"\0")
    if keyword not in _ORIENTATION_KEYWORDS:
        return False
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] != b"\1"):
        return True
    compressed = rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    try:
        return len(zlib.decompressobj().decompress(compressed, _MAX_METADATA + 1)) <= _MAX_METADATA
    except zlib.error:
        return False
