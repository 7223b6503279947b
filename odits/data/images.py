"""The one place that opens an image, from wherever it comes."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from odits.core.errors import ItemError
from odits.core.files import sha256_of
from odits.data.png import SIGNATURE as PNG_SIGNATURE
from odits.data.png import without_text

MAX_PIXELS = 64_000_000
# MPO, the JPEG of stereo cameras and many phones, is opened by Pillow's JPEG reader and has no reader of its own
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""What the head of a HEIC or HEIF file names; AVIF has brands of its own."""

_ORIENTATION = 0x0112
_WIDTH, _HEIGHT = 0x0100, 0x0101  # of a TIFF, as stored
_SEVERAL = ("GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")  # the second picture of an MPO is its stereo twin, or gains

Size = tuple[int, int]
"""Width and height in pixels."""


class ImageError(ItemError):
    """An image that can't be opened, and why, in a sentence that names it."""


class ImageFacts(NamedTuple):
    """What the header of an image's file says.

    Attributes:
        size: of the upright picture.
        stored: size of the pixels as they lie in the file.
        orientation: EXIF's, 1 (upright) to 8: how `stored` is turned to be seen upright.
        several: the file holds several frames or pages, of which the first is shown.
    """

    size: Size
    stored: Size
    orientation: int = 1
    several: bool = False


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
    with _stream(source, name) as stream, _open(stream, name) as image:
        # Pillow has turned the size of a TIFF already; the file's own tags have not changed
        stored = _stored_size(image)
        orientation = _orientation(image)
        size = stored[::-1] if orientation >= 5 else stored
        return ImageFacts(size, stored, orientation, _has_several(image))


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
    is_png = stream.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE
    stream.seek(0)
    return without_text(stream) if is_png else stream


def _open_heif(stream: BinaryIO, name: str) -> Image.Image | None:
    """Open a HEIC or HEIF picture, for which Pillow needs a plugin; None where the file is something else."""
    head = stream.read(64)
    stream.seek(0)
    if head[4:8] != b"ftyp" or head[8:12] not in HEIF_BRANDS or b"avif" in head[12 : int.from_bytes(head[:4], "big")]:
        return None
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise ImageError(
            f"{name} is a HEIC picture: to open it, install pillow-heif (pip install -r requirements-heic.txt)."
        ) from error
    opened: Image.Image = HeifImageFile(stream)
    return opened


def _open(stream: BinaryIO, name: str) -> Image.Image:
    """Open the image behind the stream: its header read, its size checked, its pixels not decoded."""
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on; the limit below is lower and is an error
            warnings.simplefilter("ignore")
            image = _open_heif(stream, name) or Image.open(stream, formats=FORMATS)
    except ImageError:
        raise
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
        # what stands behind a PNG's pixels was put before them: there is nothing to decode for
        exif = Image.Image.getexif(image) if image.format == "PNG" else image.getexif()
        value = exif.get(_ORIENTATION, 1)
    except Exception:
        # broken metadata must not cost a good picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _stored_size(image: Image.Image) -> Size:
    """Return the size of the pixels as they lie in the file."""
    tags = getattr(image, "tag_v2", {})
    width, height = tags.get(_WIDTH), tags.get(_HEIGHT)
    if isinstance(width, int) and isinstance(height, int) and sorted((width, height)) == sorted(image.size):
        return width, height
    return image.size


def _has_several(image: Image.Image) -> bool:
    try:
        return image.format in _SEVERAL and bool(getattr(image, "is_animated", False))
    except Exception:
        # a second frame that is damaged must not cost the first
        return False


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
