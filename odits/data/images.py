"""The one place that opens an image, from wherever it comes."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from odits.core.errors import ItemError
from odits.core.files import sha256_of

MAX_PIXELS = 64_000_000
# MPO, the JPEG of stereo cameras and many phones, is opened by Pillow's JPEG reader and has no reader of its own
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_ORIENTATION = 0x0112


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
    stream = _stream(source, name)
    with stream, _open(stream, name) as image:
        try:
            image.load()
            return _to_rgb(_upright(image))
        except MemoryError as error:
            raise ImageError(f"{name} needs more memory than there is.") from error
        except Exception as error:
            # Pillow's decoders meet damaged bytes with many kinds of exception; for a user they all mean this
            raise ImageError(f"{name} is damaged or cut off, so its picture can't be read.") from error


def image_size(source: Path | bytes, name: str | None = None) -> tuple[int, int]:
    """Read width and height in pixels of the upright picture from the file's header alone.

    Args:
        source: the file, or its bytes.
        name: what messages call the image; default the file's name.

    Raises:
        ImageError: as `open_image`, but for damage behind the header, which is not looked at.
    """
    name = _title(source, name)
    with _stream(source, name) as stream, _open(stream, name) as image:
        width, height = image.size
        return (height, width) if _orientation(image) >= 5 else (width, height)


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
    try:
        return source.read_bytes()
    except OSError as error:
        raise ImageError(f"{_title(source, name)} can't be read: {error.strerror or error}.") from error


def image_digest(image: Image.Image) -> str:
    """Return the hexadecimal SHA-256 of mode, size and pixels; the file's name and metadata do not count."""
    return sha256_of(f"{image.mode} {image.width} {image.height} ", image.tobytes())


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
        stream = io.BytesIO(source.read())
    if not stream.read(1):
        stream.close()
        raise ImageError(f"{name} is empty (0 bytes).")
    stream.seek(0)
    return stream


def _open(stream: BinaryIO, name: str) -> Image.Image:
    """Open the image behind the stream: its header read, its size checked, its pixels not decoded."""
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on; the limit below is lower and is an error
            warnings.simplefilter("ignore")
            image = Image.open(stream, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(name)) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image ({', '.join(FORMATS)}), or is damaged at its start.") from error
    except Exception as error:
        raise ImageError(f"{name} is damaged, so it can't be opened as an image.") from error
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(_too_large(name))
    if not image.width or not image.height:
        raise ImageError(f"{name} has no pixels.")
    return image


def _too_large(name: str) -> str:
    return f"{name} has more than {MAX_PIXELS // 1_000_000} megapixels, the most that is accepted."


def _orientation(image: Image.Image) -> int:
    """Read the EXIF orientation, 1 to 8; 1 where there is none or it can't be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        # broken metadata must not cost a good picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Image.Image) -> Image.Image:
    """Turn the image as EXIF says it is to be held. Pillow has done so for TIFF when the pixels are loaded."""
    if _orientation(image) == 1:
        return image
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Make an RGB image without metadata."""
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_grey8(image))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        rgb = Image.new("RGB", layer.size, "white")
        rgb.paste(layer, mask=layer.getchannel("A"))
    else:
        rgb = image.convert("RGB")
    rgb.info = {}
    return rgb


def _grey8(image: Image.Image) -> np.ndarray:
    """Convert grey of 16 or 32 bits or floating point to uint8 (H, W).

    16-bit values are divided by 257. The wider kinds have no fixed white: values within 0..1 (floating point), 0..255
    or 0..65535 are read as such, others are stretched from their darkest to their brightest.
    """
    values = np.nan_to_num(np.asarray(image).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.mode.startswith("I;16") or image.format == "PPM":
        white = 65535.0
    elif low < 0 or high > 65535:
        values -= low
        white = max(high - low, 1e-12)
    elif image.mode == "F" and high <= 1:
        white = 1.0
    else:
        white = 255.0 if high <= 255 else 65535.0
    return np.rint(np.clip(values * (255.0 / white), 0, 255)).astype(np.uint8)
