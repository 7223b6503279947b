from __future__ import annotations

import contextlib
import io
import os
import struct
import sys
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from odits.data.images import (
    ImageError,
    ImageFacts,
    content_of,
    image_digest,
    image_facts,
    image_size,
    open_image,
    turn_point,
)


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def gradient(width: int = 40, height: int = 30) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([columns * 6, rows * 8, columns * 0 + 90], axis=-1).astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_the_pixels_back(format: str) -> None:
    options = {"lossless": True} if format == "WEBP" else {}
    opened = open_image(encoded(gradient(), format, **options))
    assert opened.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(opened), np.asarray(gradient()))


@pytest.mark.parametrize("format", ["JPEG", "GIF", "MPO"])
def test_lossy_formats_give_nearly_the_pixels_back(format: str) -> None:
    opened = open_image(encoded(gradient().resize((400, 300)), format))
    difference = np.abs(np.asarray(opened, int) - np.asarray(gradient().resize((400, 300)), int))
    assert opened.mode == "RGB" and difference.mean() < 12


def test_bytes_paths_and_streams_are_the_same_image(tmp_path: Path) -> None:
    data = encoded(gradient())
    path = tmp_path / "a.png"
    path.write_bytes(data)
    stream = io.BytesIO(data)
    stream.read(10)
    digests = {image_digest(open_image(source)) for source in (data, path, str(path), stream)}
    assert len(digests) == 1
    assert not stream.closed


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.new("RGB", (64, 32), "black")
    image.paste("red", (0, 0, 16, 16))
    path = tmp_path / "turned.jpg"
    image.save(path, exif=exif, quality=95, subsampling=0)
    opened = open_image(path)
    assert opened.size == image_size(path) == ((32, 64) if orientation >= 5 else (64, 32))
    right, bottom = opened.width - 4, opened.height - 4
    corner = {1: (4, 4), 2: (right, 4), 3: (right, bottom), 4: (4, bottom)}
    corner |= {5: (4, 4), 6: (right, 4), 7: (right, bottom), 8: (4, bottom)}
    red, green, _ = opened.getpixel(corner[orientation])
    assert red > 200 and green < 60
    assert opened.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_every_format_is_held_upright(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.new("RGB", (64, 32), "black")
    image.paste("red", (0, 0, 16, 16))
    if format == "HEIF":
        heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (requirements-heic.txt)")
        stream = io.BytesIO()
        heif.from_pillow(image).save(stream, exif=exif.tobytes(), quality=95)
        data = stream.getvalue()
    else:
        data = encoded(image, format, exif=exif)
    opened, facts = open_image(data), image_facts(data)
    assert opened.size == facts.size == image_size(data) == ((32, 64) if orientation >= 5 else (64, 32))
    stored = ImageFacts(facts.size, (64, 32), orientation)
    assert format == "HEIF" or facts == stored, "a HEIC decoder turns the picture itself"
    x, y = (round(value) for value in turn_point(8, 8, stored))
    red, green, _ = opened.getpixel((x, y))
    assert red > 200 and green < 80
    x, y = (round(value) for value in turn_point(56, 24, stored))
    assert opened.getpixel((x, y))[0] < 60


@pytest.mark.parametrize("kind", ["behind", "raw", "xmp"])
def test_a_png_that_says_otherwise_how_it_is_held(kind: str) -> None:
    """EXIF behind the pixels, in ImageMagick's own text, and XMP."""
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = encoded(gradient())
    info = PngImagePlugin.PngInfo()
    content = exif.tobytes()
    if kind == "raw":
        lines = content.hex()
        info.add_text("Raw profile type exif", f"\nexif\n{len(content):8}\n{lines}\n", zip=True)
    elif kind == "xmp":
        info.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>')
    data = encoded(gradient(), pnginfo=info)
    if kind == "behind":
        body = content.removeprefix(b"Exif\0\0")
        late = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
        data = plain[:-12] + late + plain[-12:]
    assert image_size(data) == open_image(data).size == (30, 40)
    assert open_image(data).getpixel((29, 0)) == gradient().getpixel((0, 0))


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"tEXt", b"iCCP"])
def test_much_text_in_a_png_is_passed_over(kind: bytes, behind: bool) -> None:
    """Pillow decodes a PNG's text, and refuses the picture where there is more than a megabyte."""
    much = zlib.compress(b"x" * 2**22, 9)
    body = {
        b"zTXt": b"note\0\0" + much,
        b"iTXt": b"note\0\1\0\0\0" + much,
        b"tEXt": b"note\0" + b"x" * 2**22,
        b"iCCP": b"profile\0\0" + much,
    }[kind]
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    plain = encoded(gradient())
    cut = len(plain) - 12 if behind else 33
    data = plain[:cut] + chunk * 20 + plain[cut:]
    assert image_size(data) == (40, 30)
    np.testing.assert_array_equal(np.asarray(open_image(data)), np.asarray(gradient()))


def test_text_that_pretends_to_say_how_a_png_is_held_is_passed_over_too() -> None:
    body = b"Raw profile type exif\0\0" + zlib.compress(b"x" * 2**24, 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    plain = encoded(gradient())
    assert open_image(plain[:33] + chunk + plain[33:]).size == (40, 30)


def test_avif() -> None:
    opened = open_image(encoded(gradient(), "AVIF", quality=100))
    assert np.abs(np.asarray(opened, int) - np.asarray(gradient(), int)).mean() < 6


def test_heic_without_its_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    head = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40
    with pytest.raises(ImageError, match=r"^IMG_1\.HEIC is a HEIC picture: to open it, install pillow-heif \(pip inst"):
        open_image(head, "IMG_1.HEIC")


def test_damaged_heic_is_one_sentence() -> None:
    pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (requirements-heic.txt)")
    with pytest.raises(ImageError, match=r"^a\.heic is damaged"):
        open_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40, "a.heic")


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_a_colour(suffix: str) -> None:
    wide = (np.asarray(gradient())[..., ::-1].astype(np.uint16)) * 257
    good, data = cv2.imencode(suffix, wide)
    assert good
    np.testing.assert_array_equal(np.asarray(open_image(data.tobytes())), np.asarray(gradient()))


@pytest.mark.parametrize("ending", [".jpg", ".avif", ".txt", ""])
def test_the_content_says_what_a_file_is(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture{ending}"
    path.write_bytes(encoded(gradient()))
    np.testing.assert_array_equal(np.asarray(open_image(path)), np.asarray(gradient()))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF", "PNG", "AVIF"])
def test_several_frames_are_told_of(format: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "lime")]
    assert image_facts(encoded(frames[0], format, save_all=True, append_images=frames[1:])).several
    assert not image_facts(encoded(frames[0], format)).several
    assert open_image(encoded(frames[0], format, save_all=True, append_images=frames[1:])).getpixel((8, 8))[0] > 200


def test_the_stereo_twin_of_a_phone_is_no_second_frame() -> None:
    assert not image_facts(encoded(gradient(), "MPO", save_all=True, append_images=[gradient()])).several


def test_broken_exif_does_not_cost_the_picture() -> None:
    data = encoded(gradient(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff broken")
    assert open_image(data).size == (40, 30)


def test_cmyk() -> None:
    opened = open_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    red, green, blue = opened.getpixel((4, 4))
    assert red > 230 and green < 30 and blue < 30


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_cut(format: str) -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    opened = np.asarray(open_image(encoded(Image.fromarray(ramp), format)))
    np.testing.assert_array_equal(opened[..., 0].ravel(), np.arange(256))


def test_dark_sixteen_bit_grey_stays_dark() -> None:
    dark = Image.fromarray(np.full((4, 4), 200, np.uint16))
    assert np.asarray(open_image(encoded(dark, "PPM"))).max() == 1
    assert np.asarray(open_image(encoded(dark, "PNG"))).max() == 1


def test_floating_point_grey_between_zero_and_one() -> None:
    values = np.array([[0.0, 0.5], [1.0, np.nan]], np.float32)
    opened = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))[..., 0]
    assert opened.tolist() == [[0, 128], [255, 0]]


def test_signed_wide_grey_is_stretched() -> None:
    values = np.array([[-100, 0], [100, 100_000]], np.int32)
    opened = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))[..., 0]
    assert opened[0, 0] == 0 and opened[1, 1] == 255


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([[0, 100], [200, 255]], np.int32, [0, 100, 200, 255]),
        ([[0, 256], [32768, 65535]], np.int32, [0, 1, 128, 255]),
        ([[0, 16384], [32768, 65536]], np.int32, [0, 64, 128, 255]),
        ([[-1, 0], [1, 1]], np.int32, [0, 128, 255, 255]),
        ([[7, 7], [7, 7]], np.int32, [7, 7, 7, 7]),
        ([[-5, -5], [-5, -5]], np.int32, [0, 0, 0, 0]),
        ([[0, 0.25], [0.5, 1]], np.float32, [0, 64, 128, 255]),
        ([[0, 0.5], [1, 1.5]], np.float32, [0, 0, 1, 2]),
        ([[0, 128], [255, 255.5]], np.float32, [0, 0, 1, 1]),
        ([[0, 51], [102, np.inf]], np.float32, [0, 51, 102, 0]),
    ],
)
def test_wide_grey_by_hand(values: list[list[float]], kind: type, expected: list[int]) -> None:
    """The widest value says how they are read: within 0..1, 0..255, 0..65535, or stretched."""
    opened = open_image(encoded(Image.fromarray(np.array(values, kind)), "TIFF"))
    assert np.asarray(opened)[..., 0].ravel().tolist() == expected


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_is_passed_over(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(gradient(), "JPEG", exif=exif)
    assert open_image(data).size == image_size(data) == (40, 30)


def test_a_long_name_is_cut_and_a_bad_one_replaced() -> None:
    for name, shown in (("n" * 200, "n" * 120), ("n" * 120, "n" * 120), ("  ", "The image"), ("a\x00b", "a?b")):
        with pytest.raises(ImageError) as caught:
            open_image(b"", name)
        assert str(caught.value) == f"{shown} is empty (0 bytes)."


def test_a_path_that_can_be_none_is_one_sentence(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / ("x" * 300), "File name too long"), ("a\0b", "embedded null byte")):
        with pytest.raises(ImageError, match=f"can't be opened: {reason}[.]$"):
            open_image(path)


def test_the_bytes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    assert content_of(tmp_path / "a.bin") == content_of(b"abc") == b"abc"
    with pytest.raises(ImageError, match=r"^none\.bin can't be read: No such file"):
        content_of(tmp_path / "none.bin")
    with pytest.raises(ImageError, match=r"^mine can't be read"):
        content_of(tmp_path, "mine")


def test_transparency_lies_over_white() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((1, 1), (0, 0, 255, 255))
    image.putpixel((2, 2), (0, 0, 0, 128))
    opened = open_image(encoded(image))
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((1, 1)) == (0, 0, 255)
    assert opened.getpixel((2, 2)) == (127, 127, 127)


def test_grey_with_alpha_and_palettes_with_a_transparent_colour() -> None:
    assert open_image(encoded(Image.new("LA", (4, 4), (0, 0)))).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert open_image(encoded(palette)).getpixel((0, 0)) == (10, 200, 30)
    assert open_image(encoded(palette, transparency=1)).getpixel((0, 0)) == (255, 255, 255)


def test_black_and_white() -> None:
    image = Image.new("1", (4, 4), 1)
    image.putpixel((0, 0), 0)
    opened = open_image(encoded(image))
    assert opened.getpixel((0, 0)) == (0, 0, 0) and opened.getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF"])
def test_first_frame_of_several(format: str) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    opened = open_image(encoded(frames[0], format, save_all=True, append_images=frames[1:], **options))
    assert opened.getpixel((8, 8)) == (255, 0, 0)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_every_cut_through_a_file_is_one_sentence_that_names_it(format: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = encoded(noise, format)
    for length in (1, 9, len(data) // 4, len(data) // 2):
        with pytest.raises(ImageError) as caught:
            open_image(data[:length], "shop.img")
        assert "shop.img" in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_bytes_never_raise_anything_else() -> None:
    rng = np.random.default_rng(1)
    with warnings.catch_warnings():
        # Pillow warns about broken metadata; here only exceptions count
        warnings.simplefilter("ignore")
        for format in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
            good = np.frombuffer(encoded(gradient(), format), np.uint8)
            for _ in range(40):
                bad = good.copy()
                bad[rng.integers(0, len(bad), 6)] = rng.integers(0, 256, 6)
                with contextlib.suppress(ImageError):
                    assert open_image(bad.tobytes()).mode == "RGB"


def test_empty_missing_folder_and_text(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.png", tmp_path / "text.jpg"
    empty.write_bytes(b"")
    text.write_text("not a picture")
    for path, part in (
        (empty, "0 bytes"),
        (text, "not an image"),
        (tmp_path, "not a file"),
        (tmp_path / "no", "no image"),
    ):
        for opener in (open_image, image_size):
            with pytest.raises(ImageError, match=part) as caught:
                opener(path)
            assert path.name in str(caught.value)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a file"):
        open_image(tmp_path / "pipe.png")


@pytest.mark.parametrize("size", [(30_000, 30_000), (8_001, 8_000), (401, 159_601)])
def test_too_many_pixels(size: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="huge has more than 64 megapixels"):
            open_image(png_header(*size), "huge")


def test_64_megapixels_are_not_too_many() -> None:
    with pytest.raises(ImageError, match="damaged or cut off"):
        open_image(png_header(8_000, 8_000), "large.png")


def test_other_formats_are_not_opened() -> None:
    with pytest.raises(ImageError, match="not an image"):
        open_image(encoded(gradient(), "ICO"))


def test_metadata_is_left_behind() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x")
    assert open_image(encoded(gradient(), pnginfo=info)).info == {}


def test_a_name_with_a_line_break_stays_one_line() -> None:
    with pytest.raises(ImageError) as caught:
        open_image(b"", "a\nb.png")
    assert "\n" not in str(caught.value)


def test_digest_tells_pixels_and_shapes_apart() -> None:
    black = Image.new("RGB", (4, 2))
    assert image_digest(black) == image_digest(Image.new("RGB", (4, 2)))
    assert image_digest(black) != image_digest(Image.new("RGB", (2, 4)))
    assert image_digest(black) != image_digest(Image.new("RGB", (4, 2), (0, 0, 1)))
