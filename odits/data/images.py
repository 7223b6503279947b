"""The one place that opens an image, from wherever it comes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from odits.core.bounded import Bounds, run_bounded
from odits.core.errors import ItemError
from odits.core.files import sha256_of
from odits.core.limits import LIMITS
from odits.core.serving import ServingError, require_readable
from odits.data import decoding
from odits.data.decoding import DecodeError, ImageFacts, Size, facts_of, open_header, picture_of
from odits.data.headers import RefusedError, examine

__all__ = ["ImageError", "ImageFacts", "Size", "content_of", "image_digest", "image_facts", "image_size", "open_image"]

MAX_PIXELS = LIMITS.picture_pixels
_BOUNDS = Bounds(
    LIMITS.picture_memory_bytes,
    LIMITS.picture_seconds,
    LIMITS.picture_wall_seconds,
    written_bytes=3 * MAX_PIXELS + 4096,
    more_memory_bytes=LIMITS.picture_pixel_bytes * MAX_PIXELS,
)
_REASONS = {
    decoding.UNKNOWN: f"is not an image ({', '.join(decoding.FORMATS)}), or is damaged at its start.",
    decoding.DAMAGED: "is damaged, so it can't be opened as an image.",
    decoding.CUT_OFF: "is damaged or cut off, so its picture can't be read.",
    decoding.TOO_LARGE: f"has more than {MAX_PIXELS // 1_000_000} megapixels, the most that is accepted.",
    decoding.EMPTY: "has no pixels.",
    decoding.NO_HEIF: "is a HEIC picture: to open it, install pillow-heif (pip install -r requirements-heic.txt).",
    decoding.NO_MEMORY: "needs more memory than a picture may take.",
}


class ImageError(ItemError):
    """An image that can't be opened, and why, in a sentence that names it."""


def open_image(source: str | Path | bytes | BinaryIO, name: str | None = None) -> Image.Image:
    """Open the picture as people see it: RGB, 8 bits, upright, over white, the first frame; detached from its file.

    EXIF orientation is applied, CMYK and palettes are converted, 16-bit and floating-point grey is scaled to 8 bits,
    transparency is laid over white.

    Args:
        source: a path, the bytes of a file, or an open binary file (read from its start).
        name: what messages call the image; default the file's name.

    Raises:
        ImageError: missing, empty, not an image of a known format, damaged or cut off, or over 64 megapixels.
    """
    name = _title(source, name)
    with _sentences(name), _stream(source, name) as opened, examine(opened, pixels=True) as file:
        if file.alone:
            facts, pixels = _decode_alone(file.stream, "picture", name)
            size = facts.get("size", (0, 0))
            if len(pixels) != 3 * size[0] * size[1] or not pixels:
                raise DecodeError(decoding.CUT_OFF)
            return Image.frombytes("RGB", tuple(size), pixels)
        with open_header(file.stream, MAX_PIXELS) as image:
            return picture_of(image)


def image_size(source: Path | bytes, name: str | None = None) -> Size:
    """Read width and height in pixels of the upright picture from the file's header alone.

    Args:
        source: the file, or its bytes.
        name: what messages call the image; default the file's name.

    Raises:
        ImageError: as `open_image`, but for damage behind the header, which is not looked at.
    """
    return image_facts(source, name).size


def image_facts(source: Path | bytes, name: str | None = None) -> ImageFacts:
    """Read what the header says of the picture; see `image_size`."""
    name = _title(source, name)
    with _sentences(name), _stream(source, name) as opened, examine(opened, pixels=False) as file:
        if file.alone:
            facts, _ = _decode_alone(file.stream, "facts", name)
            return ImageFacts(tuple(facts["size"]), tuple(facts["stored"]), facts["orientation"], facts["several"])
        with open_header(file.stream, MAX_PIXELS) as image:
            return facts_of(image)


@contextmanager
def _sentences(name: str) -> Iterator[None]:
    """Turn what the block raises over a picture into a sentence that names it."""
    try:
        yield
    except RefusedError as error:
        raise ImageError(f"{name} {error}") from error
    except DecodeError as error:
        raise ImageError(f"{name} {_REASONS[error.reason]}") from error


def _decode_alone(stream: BinaryIO, what: str, name: str) -> tuple[dict[str, Any], bytes]:
    """Decode the file in a process of its own under limits; return the document and the pixels that it writes."""
    try:
        arguments = [what, str(MAX_PIXELS), str(LIMITS.picture_pixel_bytes)]
        ended = run_bounded(Path(decoding.__file__).absolute(), arguments, _BOUNDS, stream)
    except OSError as error:
        raise ImageError(f"{name} can't be decoded: {error.strerror or error}.") from error
    if not ended.in_time:
        raise ImageError(f"{name} is refused: decoding it takes more than {LIMITS.picture_seconds} s.")
    if ended.status in _REASONS:
        raise DecodeError(ended.status)
    line, _, pixels = ended.output.partition(b"\n")
    if ended.status != 0 or not line:
        raise ImageError(f"{name} is damaged: decoding it broke the process set to it.")
    document: dict[str, Any] = json.loads(line)
    return document, pixels


def turn_point(x: float, y: float, facts: ImageFacts) -> tuple[float, float]:
    """Turn a point of the stored pixels to where it lies in the upright picture.

    Args:
        x: from the left edge of the stored pixels.
        y: from their upper edge.
        facts: of the image.

    Example:
        >>> turn_point(0, 0, ImageFacts((32, 64), (64, 32), 6))
        (32, 0)
    """
    width, height = facts.stored
    return {
        1: (x, y),
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }[facts.orientation]


def content_of(source: Path | bytes, name: str | None = None) -> bytes:
    """Return the bytes of an image's file.

    Args:
        source: the file, or its bytes.
        name: what messages call the image; default the file's name.

    Raises:
        ImageError: it can't be read.
    """
    if isinstance(source, bytes):
        return source
    _require_readable(source, name)
    try:
        return source.read_bytes()
    except OSError as error:
        raise ImageError(f"{_title(source, name)} can't be read: {error.strerror or error}.") from error


def image_digest(image: Image.Image) -> str:
    """Return the hexadecimal SHA-256 of mode, size and pixels; the file's name and metadata do not count."""
    return sha256_of(f"{image.mode} {image.width} {image.height} ", image.tobytes())


def _require_readable(path: Path, name: str | None) -> None:
    try:
        require_readable(path, _title(path, name))
    except ServingError as error:
        raise ImageError(str(error)) from error


def _title(source: str | Path | bytes | BinaryIO, name: str | None) -> str:
    """Return what messages call the image: one line, whatever a file is named."""
    if name is None:
        name = Path(source).name if isinstance(source, str | Path) else getattr(source, "name", "")
    printable = "".join(character if character.isprintable() else "?" for character in str(name)).strip()
    return printable[:120] or "The image"


def _stream(source: str | Path | bytes | BinaryIO, name: str) -> BinaryIO:
    """Open a stream that is ours to close and is known not to be empty."""
    stream: BinaryIO
    if isinstance(source, str | Path):
        path = Path(source)
        _require_readable(path, name)
        try:
            # a device or a pipe would block or never end
            if path.exists() and not path.is_file():
                raise ImageError(f"{name} is not a file.")
            stream = path.open("rb")
        except FileNotFoundError as error:
            raise ImageError(f"There is no image {name}.") from error
        except (OSError, ValueError) as error:
            raise ImageError(f"{name} can't be opened: {getattr(error, 'strerror', None) or error}.") from error
    elif isinstance(source, bytes | bytearray | memoryview):
        stream = io.BytesIO(source)
    else:
        if source.seekable():
            source.seek(0)
        stream = io.BytesIO(source.read(LIMITS.picture_bytes + 1))
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if 0 < size <= LIMITS.picture_bytes:
        return stream
    stream.close()
    if not size:
        raise ImageError(f"{name} is empty (0 bytes).")
    raise ImageError(f"{name} is larger than {LIMITS.picture_bytes >> 20} MiB, the most that is accepted.")
