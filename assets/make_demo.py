"""Draws the demo images of assets/demo: six street scenes of our own, the same on every run with the same fonts.

    python assets/make_demo.py [FOLDER]

Every scene is a row of drawn facades, seen straight on or along the street, with sky, road, cars and trees, at
1024 × 768. `lexicons.csv` beside them lists the words on the signs, so that the folder can be opened as a data set.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, SCALE = 1024, 768, 2
W, H = WIDTH * SCALE, HEIGHT * SCALE
FACADE = 900  # height of a facade in its own drawing, in pixels
FONTS = Path("/usr/share/fonts/truetype")
FACES = {
    "sans": ("lato/Lato-Black.ttf", "dejavu/DejaVuSans-Bold.ttf"),
    "serif": ("liberation/LiberationSerif-Bold.ttf", "dejavu/DejaVuSerif-Bold.ttf"),
    "narrow": ("open-sans/OpenSans-CondBold.ttf", "dejavu/DejaVuSansCondensed-Bold.ttf"),
}
Color = tuple[int, int, int]
Corners = Sequence[tuple[float, float]]


class Shop(NamedTuple):
    """A building: what its signs say, and how it looks."""

    sign: str
    small: str
    wall: Color
    board: Color
    ink: Color
    face: str = "sans"
    width: int = 700
    awning: Color | None = None
    brick: bool = False


class Scene(NamedTuple):
    """A picture: its shops, the sky, where the row of facades lies, and what stands before it."""

    name: str
    shops: tuple[Shop, ...]
    corners: Corners  # of the facade row: top left, top right, bottom right, bottom left, in 1024 × 768
    sky: tuple[Color, Color]
    cars: tuple[tuple[int, int, float, Color], ...]  # x, y of the wheels, size, colour
    trees: tuple[tuple[int, int, int], ...] = ()
    light: float = 1.0


CREAM, BRICK, SLATE, SAND = (226, 214, 188), (150, 78, 60), (112, 122, 134), (202, 176, 140)
NAVY, GREEN, RED, BLACK = (28, 44, 92), (24, 84, 58), (168, 36, 36), (30, 30, 34)
WHITE, GOLD, YELLOW, BLUE = (246, 244, 238), (226, 186, 92), (240, 200, 40), (60, 110, 170)
DAY, DUSK, GREY = (
    ((96, 150, 214), (206, 224, 240)),
    ((70, 84, 140), (240, 186, 140)),
    ((168, 176, 186), (220, 224, 228)),
)
FRONT = ((-10, 70), (1034, 70), (1034, 610), (-10, 610))
RIGHTWARD = ((-20, -60), (1034, 190), (1034, 560), (-20, 680))
LEFTWARD = ((-10, 200), (1044, -40), (1044, 670), (-10, 555))
SCENES = (
    Scene(
        "bakery",
        (
            Shop("CORNER BAKERY", "FRESH BREAD", BRICK, CREAM, (110, 50, 24), "serif", 900, (176, 52, 44), True),
            Shop("FLOWERS", "OPEN", CREAM, GREEN, WHITE, "narrow", 600, None),
        ),
        FRONT,
        DAY,
        ((250, 700, 1.2, (70, 100, 150)),),
        ((592, 646, 95),),
    ),
    Scene(
        "hotel",
        (
            Shop("GRAND HOTEL", "ENTRANCE", SAND, NAVY, GOLD, "serif", 1000, (28, 44, 92)),
            Shop("BAR", "COCKTAILS", SLATE, BLACK, (240, 90, 80), "sans", 520, None, True),
        ),
        RIGHTWARD,
        DUSK,
        ((640, 706, 1.15, (190, 190, 194)),),
        (),
        0.92,
    ),
    Scene(
        "cafe",
        (
            Shop("MUSIC", "GUITARS", SLATE, RED, WHITE, "sans", 560, None),
            Shop("CAFE LUNA", "COFFEE & TEA", (196, 204, 190), (70, 42, 30), CREAM, "serif", 800, (40, 96, 76)),
            Shop("BOOKS", "USED & NEW", BRICK, BLUE, WHITE, "narrow", 560, None, True),
        ),
        LEFTWARD,
        DAY,
        ((300, 706, 1.1, (200, 60, 50)),),
        ((538, 636, 80),),
    ),
    Scene(
        "pharmacy",
        (
            Shop("PHARMACY", "PHOTO", (214, 218, 220), (20, 120, 84), WHITE, "sans", 800, None),
            Shop("CITY BANK", "ATM", (186, 180, 170), NAVY, WHITE, "sans", 760, None),
        ),
        FRONT,
        GREY,
        ((740, 706, 1.2, YELLOW), (170, 690, 1.05, (60, 62, 66))),
        (),
        0.95,
    ),
    Scene(
        "theater",
        (
            Shop("PIZZA", "BY THE SLICE", CREAM, RED, YELLOW, "sans", 560, (40, 120, 70)),
            Shop("STAR THEATER", "TICKETS", (126, 60, 72), BLACK, GOLD, "narrow", 1000, None, True),
        ),
        LEFTWARD,
        DUSK,
        ((380, 704, 1.15, (40, 70, 60)),),
        (),
        0.9,
    ),
    Scene(
        "market",
        (
            Shop("GARDEN MARKET", "FRUIT", (220, 198, 150), GREEN, YELLOW, "sans", 900, (214, 120, 36)),
            Shop("BARBER SHOP", "HAIRCUTS", BRICK, WHITE, RED, "serif", 720, None, True),
        ),
        RIGHTWARD,
        DAY,
        ((790, 704, 1.0, (230, 230, 226)),),
        ((700, 640, 92),),
    ),
)


def font(face: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the first font of the face that is installed, else Pillow's own."""
    for name in FACES[face]:
        if (FONTS / name).is_file():
            return ImageFont.truetype(str(FONTS / name), size)
    return ImageFont.load_default(size)


def shade(color: Color, factor: float) -> Color:
    """Return the colour made darker (factor below 1) or lighter."""
    red, green, blue = (int(np.clip(part * factor, 0, 255)) for part in color)
    return red, green, blue


def lettering(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], text: str, face: str, ink: Color) -> None:
    """Write the text as large as fits into the middle of the box, with a soft shadow."""
    x0, y0, x1, y1 = box
    size = int((y1 - y0) * 0.86)
    while draw.textlength(text, font=font(face, size)) > (x1 - x0) * 0.9:
        size -= 2
    place = ((x0 + x1) / 2, (y0 + y1) / 2)
    draw.text((place[0] + 3, place[1] + 4), text, (20, 20, 20), font(face, size), anchor="mm")
    draw.text(place, text, ink, font(face, size), anchor="mm")


def window(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], frame: Color, lit: bool) -> None:
    """Draw a pane with its frame, sill, cross-bar and a slanting reflection."""
    x0, y0, x1, y1 = box
    glass = (206, 186, 128) if lit else (64, 82, 98)
    draw.rectangle((x0 - 8, y0 - 8, x1 + 8, y1 + 8), fill=frame)
    draw.rectangle(box, fill=glass)
    third = (x1 - x0) // 3
    draw.polygon([(x0 + third, y0), (x0 + 2 * third, y0), (x0 + third, y1), (x0, y1)], fill=shade(glass, 1.25))
    draw.line((x0, (y0 + y1) // 2, x1, (y0 + y1) // 2), fill=frame, width=6)
    draw.rectangle((x0 - 14, y1 + 8, x1 + 14, y1 + 20), fill=shade(frame, 0.8))


def facade(shop: Shop, rng: np.random.Generator) -> Image.Image:
    """One building, straight on, (shop.width, FACADE) pixels."""
    width = shop.width
    image = Image.new("RGB", (width, FACADE), shop.wall)
    draw = ImageDraw.Draw(image)
    if shop.brick:
        for row, y in enumerate(range(0, FACADE, 16)):
            for x in range(-24 * (row % 2), width, 48):
                draw.rectangle((x, y, x + 45, y + 13), fill=shade(shop.wall, float(rng.uniform(0.86, 1.12))))
    draw.rectangle((0, 0, width, 34), fill=shade(shop.wall, 0.72))
    draw.rectangle((0, 34, width, 46), fill=shade(shop.wall, 0.5))
    count = max(2, width // 200)
    gap = width / count
    for column in range(count):
        x = int(gap * (column + 0.5))
        window(draw, (x - 46, 90, x + 46, 268), shade(WHITE, 0.9), bool(rng.random() < 0.25))
    draw.rectangle((0, 330, width, 350), fill=shade(shop.wall, 0.65))
    board = (24, 356, width - 24, 500)
    draw.rectangle((30, 366, width - 14, 512), fill=shade(shop.wall, 0.45))
    draw.rectangle(board, fill=shop.board)
    draw.rectangle((32, 364, width - 32, 492), outline=shop.ink, width=4)
    lettering(draw, board, shop.sign, shop.face, shop.ink)
    shopfront(draw, shop, rng)
    draw.line((0, 0, 0, FACADE), fill=shade(shop.wall, 0.4), width=10)
    return image


def shopfront(draw: ImageDraw.ImageDraw, shop: Shop, rng: np.random.Generator) -> None:
    """Draw the ground floor: display window, door, awning and the smaller sign."""
    width, frame = shop.width, shade(shop.board, 0.7)
    door = (width - 190, 560, width - 60, FACADE - 12)
    draw.rectangle((20, 524, width - 20, FACADE), fill=frame)
    pane = (44, 560, door[0] - 30, FACADE - 90)
    draw.rectangle(pane, fill=(54, 60, 66))
    for x in range(pane[0] + 14, pane[2] - 40, 56):  # goods on display
        tall = int(rng.integers(40, 120))
        goods = tuple(int(v) for v in rng.integers(70, 210, 3))
        draw.rounded_rectangle((x, pane[3] - tall, x + 42, pane[3] - 6), 8, fill=(goods[0], goods[1], goods[2]))
    third = (pane[2] - pane[0]) // 4
    draw.polygon(
        [(pane[0] + third, pane[1]), (pane[0] + 2 * third, pane[1]), (pane[0] + third, pane[3]), (pane[0], pane[3])],
        fill=(96, 108, 118),
    )
    draw.rectangle(door, fill=shade(frame, 1.35))
    draw.rectangle((door[0] + 20, door[1] + 20, door[2] - 20, door[3] - 110), fill=(92, 108, 116))
    draw.ellipse((door[0] + 10, door[3] - 96, door[0] + 24, door[3] - 82), fill=GOLD)
    plate = (pane[0] + 40, 632, pane[2] - 40, 706)
    draw.rectangle(plate, fill=WHITE)
    lettering(draw, plate, shop.small, "sans", shade(shop.board, 0.8) if sum(shop.board) < 500 else shop.ink)
    if shop.awning:
        stripes = max(8, width // 50)
        for stripe in range(stripes):
            x0, x1 = 20 + (width - 40) * stripe / stripes, 20 + (width - 40) * (stripe + 1) / stripes
            fill = shop.awning if stripe % 2 == 0 else WHITE
            draw.polygon([(x0, 512), (x1, 512), (x1 + 4, 606), (x0 + 4, 606)], fill=fill)
            draw.pieslice((x0 + 4, 590, x1 + 4, 622), 0, 180, fill=shade(fill, 0.85))


def sky(top: Color, low: Color, rng: np.random.Generator) -> np.ndarray:
    """float32 (H, W, 3): a gradient with clouds of blurred noise."""
    ramp = np.linspace(0, 1, H, dtype=np.float32)[:, None, None] ** 0.8
    image = np.float32(top) * (1 - ramp) + np.float32(low) * ramp
    cloud = np.zeros((H // 8, W // 8), np.float32)
    for octave in (4, 8, 16, 32):
        noise = rng.random((octave, octave * 2), dtype=np.float32)
        cloud += cv2.resize(noise, (W // 8, H // 8), interpolation=cv2.INTER_CUBIC) / octave**0.7
    cloud = np.clip((cloud - np.percentile(cloud, 55)) * 1.6, 0, 0.8)
    cover = cv2.resize(cloud, (W, H), interpolation=cv2.INTER_CUBIC)[..., None]
    return image * (1 - cover) + 248 * cover


def ground(canvas: np.ndarray, corners: Corners, rng: np.random.Generator) -> None:
    """Pavement below the facades, kerb, road and a dashed line, drawn into the canvas."""
    left, right = corners[3][1] * SCALE - 4, corners[2][1] * SCALE - 4
    kerb_left, kerb_right = left + 0.35 * (H - left), right + 0.35 * (H - right)
    for points, color in (
        ([(0, left), (W, right), (W, H), (0, H)], (172, 168, 160)),
        ([(0, kerb_left), (W, kerb_right), (W, H), (0, H)], (206, 202, 194)),
        ([(0, kerb_left + 14), (W, kerb_right + 14), (W, H), (0, H)], (84, 86, 90)),
    ):
        cv2.fillPoly(canvas, [np.int32(points)], color)
    for x in range(0, W, 160):  # paving joints lead away from the viewer
        bottom, top = kerb_left + (kerb_right - kerb_left) * x / W, left + (right - left) * x / W
        cv2.line(canvas, (x, int(bottom)), (int(W / 2 + (x - W / 2) * 0.94), int(top)), (148, 144, 138), 3, cv2.LINE_AA)
    for x in range(60, W, 400):
        cv2.line(canvas, (x, H - 40), (x + 190, H - 40), (214, 210, 190), 12, cv2.LINE_AA)
    speck = cv2.GaussianBlur(rng.normal(0, 9, (H, W)).astype(np.float32), (0, 0), 1.2)[..., None]
    below = np.zeros((H, W), np.uint8)
    cv2.fillPoly(below, [np.int32([(0, left), (W, right), (W, H), (0, H)])], 1)
    canvas[:] = np.clip(canvas + speck * below[..., None] * 2, 0, 255).astype(np.uint8)


def car(draw: ImageDraw.ImageDraw, x: int, y: int, size: float, color: Color) -> None:
    """Draw a saloon from the side; (x, y) is the ground below its middle in the 1024 × 768 picture."""
    unit = size * SCALE

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * SCALE + px * unit, y * SCALE + py * unit) for px, py in points]

    draw.ellipse([*at((-178, -16))[0], *at((178, 12))[0]], fill=(44, 44, 48))
    body = at(
        (-170, -22),
        (-172, -52),
        (-150, -66),
        (-92, -72),
        (-54, -110),
        (48, -110),
        (96, -72),
        (160, -60),
        (172, -44),
        (170, -22),
    )
    draw.polygon(body, fill=color)
    draw.polygon(at((-170, -22), (-171, -40), (171, -40), (170, -22)), fill=shade(color, 0.7))
    draw.polygon(at((-80, -72), (-48, -102), (-6, -102), (-6, -72)), fill=(58, 70, 82))
    draw.polygon(at((4, -72), (4, -102), (44, -102), (80, -72)), fill=(58, 70, 82))
    draw.polygon(at((-60, -84), (-48, -102), (-30, -102), (-46, -72), (-70, -72)), fill=(120, 138, 150))
    draw.line(at((-1, -72), (-1, -26)), fill=shade(color, 0.6), width=int(3 * unit))
    draw.line(at((-150, -56), (160, -56)), fill=shade(color, 1.25), width=int(3 * unit))
    draw.rectangle([*at((10, -62))[0], *at((26, -58))[0]], fill=shade(color, 0.5))
    draw.ellipse([*at((152, -58))[0], *at((170, -46))[0]], fill=(246, 240, 206))
    draw.rectangle([*at((-172, -58))[0], *at((-162, -44))[0]], fill=(190, 40, 40))
    for wheel in (-104, 106):
        for radius, fill in ((32, (24, 24, 26)), (19, (176, 178, 182)), (7, (90, 92, 96))):
            draw.ellipse([*at((wheel - radius, -26 - radius))[0], *at((wheel + radius, -26 + radius))[0]], fill=fill)


def tree(draw: ImageDraw.ImageDraw, x: int, y: int, size: int, rng: np.random.Generator) -> None:
    """Draw a street tree whose trunk meets the ground at (x, y)."""
    trunk = size * 0.07
    draw.polygon(
        [
            ((x - trunk) * SCALE, y * SCALE),
            ((x + trunk) * SCALE, y * SCALE),
            ((x + trunk * 0.6) * SCALE, (y - size * 1.6) * SCALE),
            ((x - trunk * 0.6) * SCALE, (y - size * 1.6) * SCALE),
        ],
        fill=(84, 62, 46),
    )
    for level in range(150):
        dx, dy = rng.normal(0, size * 0.26), rng.normal(0, size * 0.24)
        radius = float(rng.uniform(0.07, 0.16)) * size
        cx, cy = (x + dx) * SCALE, (y - size * 1.75 + dy) * SCALE
        fill = shade((66, 112, 52), 0.65 + 0.5 * level / 150 + float(rng.uniform(-0.1, 0.1)))
        radius *= SCALE
        draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=fill)


def paint(scene: Scene, seed: int) -> Image.Image:
    """Draw the scene at 1024 × 768."""
    rng = np.random.default_rng(seed)
    canvas = np.clip(sky(*scene.sky, rng), 0, 255).astype(np.uint8)
    ground(canvas, scene.corners, rng)
    row = np.hstack([np.asarray(facade(shop, rng)) for shop in scene.shops])
    source = np.float32([(0, 0), (row.shape[1], 0), (row.shape[1], FACADE), (0, FACADE)])
    warp = cv2.getPerspectiveTransform(source, np.float32(scene.corners) * SCALE)
    seen = cv2.warpPerspective(row, warp, (W, H), flags=cv2.INTER_AREA)
    cover = cv2.warpPerspective(np.full(row.shape[:2], 255, np.uint8), warp, (W, H))[..., None] / 255.0
    canvas = (canvas * (1 - cover) + seen * cover).astype(np.uint8)
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    for x, y, size in scene.trees:
        tree(draw, x, y, size, rng)
    for x, y, size, color in scene.cars:
        car(draw, x, y, size, color)
    return develop(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), scene.light, rng)


def develop(image: Image.Image, light: float, rng: np.random.Generator) -> Image.Image:
    """Return the drawing as a camera might give it: uneven light, a little softness and noise."""
    pixels = np.asarray(image, np.float32) * light
    x, y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
    pixels *= (1.04 - 0.16 * (x**2 + y**2))[..., None]
    patches = cv2.resize(rng.normal(1, 0.06, (6, 8)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    pixels = cv2.GaussianBlur(pixels * patches[..., None], (0, 0), 0.6)
    pixels += rng.normal(0, 2.5, (HEIGHT, WIDTH, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def main(folder: Path) -> None:
    """Write the images and lexicons.csv into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lexicons.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "words", "split"])
        for seed, scene in enumerate(SCENES, 1):
            paint(scene, seed).save(folder / f"{scene.name}.jpg", quality=84, optimize=True)
            words = [word for shop in scene.shops for word in f"{shop.sign} {shop.small}".split() if word != "&"]
            table.writerow([f"{scene.name}.jpg", " ".join(words), "eval"])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "demo")
