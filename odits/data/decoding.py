"""Decoding of a picture with Pillow alone: the same code in this process and, for `images`, in one of its own.

`odits.core.bounded_child` runs it with the argument "picture" or "facts" and the file on stdin, so it imports nothing
of this package. On stdout: a line of JSON, then the pixels.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    import numpy as np

# MPO, the JPEG of stereo cameras and many phones, is opened by Pillow's JPEG reader and has no reader of its own
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""What the head of a HEIC or HEIF file names; AVIF has brands of its own."""

UNKNOWN, DAMAGED, CUT_OFF, TOO_LARGE, EMPTY, NO_HEIF, NO_MEMORY = range(3, 10)
"""Why a picture can't be decoded: also the exit status of the process that tried."""

_ORIENTATION = 0x0112
_WIDTH, _HEIGHT = 0x0100, 0x0101  # of a TIFF, as stored
_SEVERAL = ("GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")  # the second picture of an MPO is its stereo twin, or gains

Size = tuple[int, int]
"""Width and height in pixels."""


class DecodeError(Exception):
    """A picture that can't be decoded; `reason` is one of the numbers above."""

    def __init__(self, reason: int) -> None:
        super().__init__(str(reason))
        self.reason = reason


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


def open_header(stream: BinaryIO, most: int) -> Image.Image:
    """Open the picture behind the stream: its header read, its size checked, its pixels not decoded.

    Args:
        stream: an open file.
        most: pixels.

    Raises:
        DecodeError: it is no picture, damaged at its start, or too large.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on; the limit is lower and is an error
            warnings.simplefilter("ignore")
            image = _open_heif(stream) or Image.open(stream, formats=FORMATS)
    except DecodeError:
        raise
    except Image.DecompressionBombError as error:
        raise DecodeError(TOO_LARGE) from error
    except UnidentifiedImageError as error:
        raise DecodeError(UNKNOWN) from error
    except Exception as error:
        raise DecodeError(DAMAGED) from error
    if image.width * image.height > most:
        raise DecodeError(TOO_LARGE)
    if not image.width or not image.height:
        raise DecodeError(EMPTY)
    return image


def facts_of(image: Image.Image) -> ImageFacts:
    """Read what the header says of an opened picture."""
    # Pillow has turned the size of a TIFF already; the file's own tags have not changed
    stored = _stored_size(image)
    orientation = _orientation(image)
    size = stored[::-1] if orientation >= 5 else stored
    return ImageFacts(size, stored, orientation, _has_several(image))


def picture_of(image: Image.Image) -> Image.Image:
    """Decode an opened picture: RGB, upright, over white.

    Raises:
        DecodeError: it is damaged or cut off, or needs more memory than there is.
    """
    try:
        deep = _deep_ppm(image) if image.format == "PPM" and isinstance(image, ImageFile.ImageFile) else None
        if deep is not None:
            return deep
        image.load()
        return _to_rgb(_upright(image))
    except MemoryError as error:
        raise DecodeError(NO_MEMORY) from error
    except Exception as error:
        # Pillow's decoders meet damaged bytes with many kinds of exception; for a user they all mean this
        raise DecodeError(CUT_OFF) from error


def _open_heif(stream: BinaryIO) -> Image.Image | None:
    """Open a HEIC or HEIF picture, for which Pillow needs a plugin; None where the file is something else."""
    head = stream.read(64)
    stream.seek(0)
    if head[4:8] != b"ftyp" or head[8:12] not in HEIF_BRANDS or b"avif" in head[12 : int.from_bytes(head[:4], "big")]:
        return None
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise DecodeError(NO_HEIF) from error
    opened: Image.Image = HeifImageFile(stream)
    return opened


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


def _deep_ppm(image: ImageFile.ImageFile) -> Image.Image | None:
    """Decode a PPM or PGM whose white is not 255, as Pillow does value by value, by a table; None where it is another.

    Pillow takes a microsecond a value.
    """
    import numpy as np

    tile = image.tile[0]
    if tile.codec_name != "ppm" or image.mode not in ("L", "I", "RGB") or not isinstance(tile.args, tuple):
        return None
    white, bands = int(tile.args[1]), len(image.getbands())
    kind = np.dtype(">u2" if white > 255 else "u1")
    assert image.fp is not None
    image.fp.seek(tile.offset)
    count = image.width * image.height * bands
    data = image.fp.read(count * kind.itemsize)
    if len(data) < count * kind.itemsize:
        raise DecodeError(CUT_OFF)
    share = np.arange(2 ** (8 * kind.itemsize)) / white
    if image.mode == "I":
        table = np.rint(np.minimum(np.rint(share * 65535), 65535).astype(np.float32) * (255.0 / 65535.0))
    else:
        table = np.minimum(np.rint(share * 255), 255)
    values = table.astype(np.uint8)[np.frombuffer(data, kind)]
    return Image.fromarray(values.reshape(image.height, image.width, *([bands] if bands > 1 else []))).convert("RGB")


def _grey8(image: Image.Image) -> np.ndarray:
    """Convert grey of 16 or 32 bits or floating point to uint8 (H, W).

    16-bit values are divided by 257. The wider kinds have no fixed white: values within 0..1 (floating point), 0..255
    or 0..65535 are read as such, others are stretched from their darkest to their brightest.
    """
    import numpy as np

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


# The script.


def prepare() -> None:
    """Import the readers of the formats that are decoded here."""
    from PIL import AvifImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

    Image.preinit()


def _allow(more: int) -> None:
    """Take so many bytes of memory more, as far as the limit's hard part goes."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (min(soft + more, hard), hard))


def main(arguments: list[str]) -> int:
    """Decode the file on stdin, or read its facts; the arguments are WHAT MOST_PIXELS PIXEL_BYTES."""
    what, most, pixel_bytes = arguments
    document: dict[str, Any]
    try:
        with open(0, "rb", closefd=False) as stream, open_header(stream, int(most)) as image:
            if what == "facts":
                document, pixels = facts_of(image)._asdict(), b""
            else:
                _allow(int(pixel_bytes) * image.width * image.height)
                picture = picture_of(image)
                document, pixels = {"size": picture.size}, picture.tobytes()
    except DecodeError as error:
        return error.reason
    except MemoryError:
        return NO_MEMORY
    sys.stdout.buffer.write(json.dumps(document).encode() + b"\n")
    sys.stdout.buffer.write(pixels)
    sys.stdout.buffer.flush()
    return 0
