"""Damaged pictures of ten formats, opened as the explorer opens what people upload: facts, then pixels."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image

from benchmarks._reliability.batches import BATCH, Costs, try_all
from benchmarks._reliability.mutants import mutant
from benchmarks._reliability.part import Part, PartProgress
from odits.core.limits import LIMITS
from odits.data.images import ImageError, image_facts, open_image

FULL, QUICK_S, FULL_S = 50_000, 45.0, 24 * 3600.0
SLICES = 20
_SECOND_S = 2  # of CPU, for what the process that asks does itself
_ALLOWED = Costs(
    2 * (LIMITS.picture_seconds + _SECOND_S),  # facts and pixels
    LIMITS.picture_memory_bytes + LIMITS.picture_pixel_bytes * LIMITS.picture_pixels,
)
_WORDS = {
    "JPEG": [bytes((0xFF, kind)) for kind in range(0xC0, 0x100)]
    + [b"Exif\0\0II*\0\x08\0\0\0", b"JFIF\0", b"Adobe\0", b"ICC_PROFILE\0", b"MPF\0", b"\xff" * 32],
    "PNG": [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"fdAT"],
    "GIF": [b"GIF87a", b"\x21\xf9\x04", b"\x21\xfe\xff", b"\x21\xff\x0bNETSCAPE2.0", b"\x2c", b"\x3b", b"\0"],
    "WEBP": [b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"XMP ", b"ICCP"],
    "BMP": [
        b"BM",
        b"\x28\0\0\0",
        b"\1\0\0\0",
        b"\2\0\0\0",
        b"\3\0\0\0",
        b"\x08\0",
        b"\x20\0",
        b"\0\0",
        b"\0\1",
        b"\0\2",
    ],
    "TIFF": [
        b"II*\0",
        b"MM\0*",
        b"\0\1\3\0",
        b"\1\1\3\0",
        b"\x11\1\4\0",
        b"\x42\1\4\0",
        b"\x12\1\3\0\1\0\0\0",
        b"II+\0",
    ],
    "PPM": [b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"Pf\n", b"#", b"65535\n", b"99999 99999 "],
    "AVIF": [
        b"ftyp",
        b"avif",
        b"avis",
        b"mif1",
        b"heic",
        b"meta",
        b"iloc",
        b"iinf",
        b"iprp",
        b"ispe",
        b"av01",
        b"grid",
    ],
}
_ALONE = ("TIFF", "AVIF")  # each costs a process


def files() -> list[tuple[str, list[bytes]]]:
    """Make the undamaged pictures: each format with several of its kinds."""
    coarse = np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC)
    deep = Image.fromarray((np.arange(96 * 72) * 9 % 65536).astype(np.uint16).reshape(72, 96))
    exif = Image.Exif()
    exif[0x0112] = 6

    def frames() -> list[Image.Image]:
        return [image.rotate(angle) for angle in (5, 10)]  # a picture keeps how it was encoded last

    def save(picture: Image.Image, format: str, **options: object) -> bytes:
        stream = io.BytesIO()
        picture.copy().save(stream, format, **options)
        return stream.getvalue()

    jpeg = [save(image, "JPEG", exif=exif), save(image.convert("CMYK"), "JPEG"), save(image.convert("L"), "JPEG")]
    png = [save(image, "PNG", exif=exif), save(deep, "PNG"), save(image.quantize(16), "PNG", transparency=3)]
    tiff = [save(image, "TIFF", compression=kind) for kind in ("raw", "tiff_lzw", "jpeg", "packbits")]
    head = b"96 72 65535\n"
    return [
        ("JPEG", jpeg),
        ("JPEG", [save(image, "JPEG", progressive=True, exif=exif)]),
        ("JPEG", [save(image, "MPO", save_all=True, append_images=frames())]),
        ("PNG", [*png, save(image, "PNG", save_all=True, append_images=frames())]),
        ("GIF", [save(image, "GIF"), save(image, "GIF", save_all=True, append_images=frames())]),
        ("WEBP", [save(image, "WEBP", exif=exif), save(image, "WEBP", lossless=True)]),
        ("BMP", [save(image, "BMP"), save(image.quantize(16), "BMP")]),
        ("PPM", [save(image, "PPM"), b"P6 " + head + deep.tobytes() * 3, b"P3 4 2 255\n" + b"1 2 3 " * 8]),
        ("TIFF", [*tiff, save(deep, "TIFF"), save(image, "TIFF", save_all=True, append_images=frames())]),
        ("AVIF", [save(image, "AVIF"), save(image, "AVIF", save_all=True, append_images=frames())]),
    ]


def run(quick: bool, seed: int, progress: PartProgress) -> Part:
    """Try a slice of a million damaged pictures, or those of the first three quarters of a minute."""
    kinds = files()
    weights = [1 if kind in _ALONE else 8 for kind, _ in kinds]
    undamaged = [data for _, whole in kinds for data in whole]

    def attempt(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        kind, whole = rng.choices(kinds, weights)[0]
        data = mutant(whole, rng.randrange(len(whole)), _WORDS[kind], rng)
        # the first of each batch are as they should be: where nothing can be read, nothing was tried
        is_whole = (place := number % BATCH) < len(undamaged)
        for read in (image_facts, open_image):
            try:
                read(undamaged[place] if is_whole else data, "it")  # type: ignore[operator]
            except ImageError as error:
                if is_whole or "\n" in str(error):
                    raise ValueError(f"not one sentence about a damaged picture: {error}") from error

    again = f"pictures, seed {seed}, mutant"
    tally = try_all(attempt, FULL, QUICK_S if quick else FULL_S, _ALLOWED, again, progress)
    return tally.to_part("damaged pictures")
