"""Pictures that would cost more than they are worth: refused, relieved of what they don't need, or decoded alone."""

from __future__ import annotations

import ast
import io
import resource
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.bounded import Bounds
from odits.core.limits import LIMITS
from odits.data import images
from odits.data.headers import examine
from odits.data.images import ImageError, image_facts, open_image

ROOT = Path(__file__).parents[2]


def street(width: int = 400, height: int = 300) -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 255, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def scans(count: int, width: int = 400, height: int = 300) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    plain = encoded(street(width, height), "JPEG", progressive=True)
    last = plain[plain.rindex(b"\xff\xda") : -2]
    return plain[:-2] + last * count + plain[-2:]


def crowded_exif(size: int) -> bytes:
    """EXIF of so many tags as have room, each with nearly all of the bytes for its value."""
    count = min((size - 14) // 12, 65_000)
    tags = (struct.pack("<HHII", 0x0200 + number, 7, size - 108, 8) for number in range(count))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", count) + b"".join(tags) + bytes(4)).ljust(size, b"x")


def exif_segments(count: int) -> bytes:
    """A JPEG with EXIF that says how it is held, and so many crowded segments of EXIF behind it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = encoded(street(), "JPEG", exif=exif)
    crowd = b"Exif\0\0" + crowded_exif(65_000)
    place = plain.index(b"\xff\xdb")
    return plain[:place] + (b"\xff\xe1" + struct.pack(">H", len(crowd) + 2) + crowd) * count + plain[place:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def is_alone(data: bytes, pixels: bool = True) -> bool:
    with examine(io.BytesIO(data), pixels) as file:
        return file.alone


def cost_of(data: bytes) -> tuple[float, int]:
    """Seconds of CPU, and bytes by which this process grew, to open a picture or refuse it."""

    def used() -> tuple[float, int]:
        mine, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        seconds = mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime
        return seconds, 1024 * mine.ru_maxrss

    before = used()
    try:
        open_image(data, "it")
        image_facts(data, "it")
    except ImageError as error:
        assert "\n" not in str(error) and str(error).startswith("it ")
    after = used()
    return after[0] - before[0], after[1] - before[1]


def test_plain_pictures_are_decoded_here() -> None:
    """A process of its own costs a tenth of a second: what people have most must not pay it."""
    image = street()
    for data in (
        encoded(image, "JPEG"),
        encoded(image, "JPEG", progressive=True),
        encoded(image, "MPO"),
        encoded(image, "PNG"),
        encoded(image, "GIF"),
        encoded(image, "WEBP"),
        encoded(image, "BMP"),
        encoded(image, "PPM"),
    ):
        assert not is_alone(data) and not is_alone(data, pixels=False)
    for format in ("TIFF", "AVIF"):
        assert is_alone(encoded(image, format)) and not is_alone(encoded(image, format), pixels=False)


@pytest.mark.parametrize("count", [30, 100])
def test_many_scans_are_decoded_alone_to_the_same_pixels(count: int) -> None:
    data = scans(count)
    assert is_alone(data)
    with Image.open(io.BytesIO(data)) as plain:
        np.testing.assert_array_equal(np.asarray(open_image(data)), np.asarray(plain.convert("RGB")))


def test_two_thousand_scans_are_refused_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(ImageError, match=r"^it is refused: it is a JPEG of more than 500 scans\.$"):
        open_image(scans(2000), "it")
    assert time.monotonic() - began < 2
    assert image_facts(scans(2000)).size == (400, 300)


def test_what_only_looks_like_scans_does_not_count() -> None:
    """A film behind the picture, as phones append one, may hold the bytes of any marker."""
    data = encoded(street(), "JPEG") + b"\xff\xda\0\x02" * 1000
    assert open_image(data).size == (400, 300)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: scans(480, 3200, 2400), id="scans"),
        pytest.param(lambda: b"\xff\xd8" + b"\xff" * 100_000_000, id="fill"),
        pytest.param(lambda: b"P6\n#" + b"c" * 100_000_000, id="comment"),
        pytest.param(lambda: b"P3 4000 3000 255\n" + b"7 " * 36_000_000, id="digits"),
        pytest.param(lambda: many_chunks(3_000_000), id="chunks"),
    ],
)
def test_nothing_takes_more_than_its_seconds(data: object) -> None:
    seconds, _ = cost_of(data())  # type: ignore[operator]
    assert seconds < 2 * (LIMITS.picture_seconds + 1)  # it is opened, and its header read: two limits


def many_chunks(count: int) -> bytes:
    plain = encoded(street(), "PNG")
    return plain[:33] + png_chunk(b"abCd", b"") * count + plain[33:]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("count", [1, 2, 60, 300])
def test_exif_segments_cost_no_memory(count: int) -> None:
    data = exif_segments(count)
    seconds, grown = cost_of(data)
    assert seconds < 2 and grown < 600 << 20
    assert open_image(data).size == image_facts(data).size == (300, 400), "the first one still says how it is held"


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_much_exif_is_passed_over(format: str) -> None:
    """A JPEG's segment ends at 64 KiB; that of others may have megabytes, of which tags make gigabytes."""
    exif = crowded_exif(2_000_000)
    plain = encoded(street(), format, exif=b"Exif\0\0" + exif if format == "WEBP" else b"Exif\0\0II*\0")
    data = plain if format == "WEBP" else plain[:33] + png_chunk(b"eXIf", exif) + plain[33:]
    seconds, grown = cost_of(data)
    assert seconds < 4 and grown < 300 << 20
    assert open_image(data).size == (400, 300)


def test_tags_of_a_tiff_cost_no_memory() -> None:
    seconds, grown = cost_of(crowded_exif(3_000_000))
    assert seconds < 4 and grown < 300 << 20


@pytest.mark.parametrize(
    "start",
    [
        *(
            b"\xff\xd8\xff\xe1",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"RIFF",
            b"II*\0",
            b"MM\0*",
            b"II+\0",
            b"BM",
            b"P6",
            b"P",
        ),
        *(b"RIFF\0\0\0\0WEBPVP8X", b"\0\0\0 ftypavif", b"\0\0\0 ftypheic", b"\xff\xd8"),
    ],
)
def test_a_file_that_ends_in_its_first_bytes(start: bytes) -> None:
    for data in (start, start[:-1], start + b"\0", start + bytes(3), (start + b"\xff" * 32)[:33]):
        for opened in (image_facts, open_image) if not start.startswith((b"II", b"MM")) else (image_facts,):
            with pytest.raises(ImageError, match=r"^it .*\.$"):
                opened(data, "it")


def test_a_side_may_be_only_so_long() -> None:
    header = struct.pack(">IIBBBBB", 1, 60_000_000, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")
    for opened in (open_image, image_facts):
        with pytest.raises(ImageError, match=r"^it is wider or higher than 65,535 pixels"):
            opened(data, "it")


def test_a_file_may_be_only_so_large(tmp_path: Path) -> None:
    with (tmp_path / "large.jpg").open("wb") as file:
        file.write(encoded(street(), "JPEG"))
        file.truncate(LIMITS.picture_bytes + 1)  # a hole: no disk is filled
    with pytest.raises(ImageError, match=r"^large\.jpg is larger than 512 MiB, the most that is accepted\.$"):
        open_image(tmp_path / "large.jpg")


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        (
            images._BOUNDS._replace(memory_bytes=8 << 20, more_memory_bytes=0),
            "needs more memory than a picture may take",
        ),
        (images._BOUNDS._replace(wall_seconds=0), "is refused: decoding it takes more than 8 s"),
        (images._BOUNDS._replace(written_bytes=1000), "is damaged"),
    ],
)
def test_a_limit_that_is_met_is_one_sentence(bounds: Bounds, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_BOUNDS", bounds)
    with pytest.raises(ImageError, match=f"^street.tif {sentence}"):
        open_image(encoded(street(1600, 1200), "TIFF"), "street.tif")


@pytest.mark.parametrize("white", [7, 300, 4095, 65535])
@pytest.mark.parametrize(("magic", "bands"), [("P6", 3), ("P5", 1)])
def test_deep_ppm_has_pillows_pixels(magic: str, bands: int, white: int) -> None:
    """Pillow takes a microsecond a value; ours is a table, and must be the same."""
    kind = ">u2" if white > 255 else "u1"
    values = np.random.default_rng(2).integers(0, white + 1, (30, 40, bands)).astype(kind)
    data = f"{magic} 40 30 {white}\n".encode() + values.tobytes()
    with Image.open(io.BytesIO(data)) as plain:
        plain.load()
        wanted = np.asarray(plain).astype(np.float32) / (257 if plain.mode.startswith("I") else 1)
    found = np.asarray(open_image(data)).astype(np.float32)
    assert np.abs(found - wanted.reshape(30, 40, -1)).max() <= (0.5 if wanted.ndim == 2 else 0)
    with pytest.raises(ImageError, match="damaged or cut off"):
        open_image(data[:-5], "it")


# One rule in the house.

OPENERS = {"Image.open", "cv2.imread", "cv2.imdecode", "cv2.VideoCapture", "plt.imread", "imageio.imread", "iio.imread"}
OURS = {
    "odits/data/decoding.py": "the decoder itself",
    "odits/training/rendering.py": "what this program has just encoded",
    "odits/training/streets.py": "what this program has just encoded",
    "odits/training/scenes.py": "what this program has just encoded",
}


def opens_pictures(source: str) -> list[str]:
    """What a module calls that opens a picture's file or bytes."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [text for call in calls if (text := ast.unparse(call.func)) in OPENERS]


def sources() -> Iterator[Path]:
    yield ROOT / "app.py"
    for room in ("odits", "pages"):
        yield from (ROOT / room).rglob("*.py")


def test_pictures_are_opened_in_one_place() -> None:
    assert opens_pictures("with Image.open(a) as b: cv2.imdecode(c, 1)") == ["Image.open", "cv2.imdecode"]
    found = {str(path.relative_to(ROOT)) for path in sources() if opens_pictures(path.read_text(encoding="utf-8"))}
    assert found == set(OURS)
