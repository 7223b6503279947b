"""Street scenes with signs, and what is written on them where: what ODITS Street learns from.

No photograph is in them. Facades, skies, cars and trees are drawn; boards, posters, banners and round signs carry the
words; then the whole is seen from an angle, by day or by night, through dirt, blur and JPEG. In some there is no word
at all. `render_dataset` writes them as a data set in SVT's layout, the same bytes for the same seed, fonts and words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as Xml  # written here, never read

import cv2
import numpy as np
from PIL import Image

from odits.core.errors import OditsError
from odits.core.files import clear_interrupted, write_atomically
from odits.core.progress import Progress, no_progress
from odits.data.general_words import general_vocabulary
from odits.training.neighbourhoods import Law, Neighbourhoods
from odits.training.rendering import SignRenderer, background, cased, clutter, colour, draw_word, usable_fonts
from odits.training.settings import RenderSettings
from odits.training.sign_texts import SceneTexts, SignTexts, Texts

WIDTH, HEIGHT = 1024, 768
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_WORDLESS = 0.15  # of the scenes have no word


@dataclass(frozen=True, eq=False)
class WrittenWord:
    """A word on a sign.

    Attributes:
        text: as it is written.
        corners: float32 (4, 2), x and y in pixels, clockwise from where it begins at its top.
    """

    text: str
    corners: np.ndarray


class Street(NamedTuple):
    """A scene, uint8 RGB (H, W, 3), and the words that are written in it, those too that are hard to read."""

    image: np.ndarray
    words: list[WrittenWord]


class _Lettering(NamedTuple):
    """Letters: their coverage, uint8 (h, w), and of each word its text and its corners (4, 2) in it."""

    mask: np.ndarray
    words: list[tuple[str, np.ndarray]]


def draw_street(renderer: SignRenderer, texts: Texts, rng: np.random.Generator) -> Street:
    """Draw a scene.

    Args:
        renderer: its fonts.
        texts: what the signs say.
        rng: draws all that is random.
    """
    canvas = _scenery(rng)
    taken = np.zeros((HEIGHT, WIDTH), bool)
    words: list[WrittenWord] = []
    if rng.random() > _WORDLESS:
        slant = rng.normal(0, 0.06), rng.normal(0, 0.04)
        for _ in range(rng.integers(1, 8)):
            words += _add_sign(canvas, taken, renderer, texts, slant, rng)
    _occlude(canvas, rng)
    return Street(_photograph(canvas, rng), words)


# What stands around the signs


def _scenery(rng: np.random.Generator) -> np.ndarray:
    """Draw walls, windows, sky, road, cars and trees, float32 RGB (HEIGHT, WIDTH, 3)."""
    if rng.random() < 0.2:  # close to a wall
        return background(HEIGHT, WIDTH, rng).astype(np.float32)
    sky, low = colour(rng), colour(rng)
    ramp = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    image = np.broadcast_to(sky * (1 - ramp) + low * ramp, (HEIGHT, WIDTH, 3)).astype(np.uint8).copy()
    ground = int(HEIGHT * rng.uniform(0.7, 0.95))
    x = -int(rng.integers(0, 200))
    while x < WIDTH:
        wide = int(rng.integers(160, 620))
        _facade(image, (x, int(rng.integers(-100, HEIGHT // 2)), x + wide, ground), rng)
        x += wide
    cv2.rectangle(image, (0, ground), (WIDTH, HEIGHT), colour(rng).tolist(), -1)
    for _ in range(rng.integers(0, 4)):
        _car(image, int(rng.integers(0, WIDTH)), int(rng.integers(ground, HEIGHT + 40)), rng)
    if rng.random() < 0.3:
        clutter(image, rng)
    return image.astype(np.float32)


def _facade(image: np.ndarray, box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    x0, y0, x1, y1 = box
    cv2.rectangle(image, (x0, y0), (x1, y1), colour(rng).tolist(), -1)
    if rng.random() < 0.3:  # bricks or planks
        step, ink = int(rng.integers(6, 26)), colour(rng).tolist()
        for row, y in enumerate(range(y0, y1, step)):
            cv2.line(image, (x0, y), (x1, y), ink, 1)
            for x in range(x0 + (row % 2) * step, x1, step * 2):
                cv2.line(image, (x, y), (x, min(y + step, y1)), ink, 1)
    step_x, step_y = int(rng.integers(40, 160)), int(rng.integers(50, 180))
    share_x, share_y = rng.uniform(0.3, 0.8, 2)
    pane, frame, shine = (colour(rng) for _ in range(3))
    for y in range(y0 + 10, y1 - step_y, step_y):
        for x in range(x0 + 10, x1 - step_x, step_x):
            corner = (x + int(step_x * share_x), y + int(step_y * share_y))
            cv2.rectangle(image, (x, y), corner, pane.tolist(), -1)
            cv2.rectangle(image, (x, y), corner, frame.tolist(), int(rng.integers(1, 6)))
            if rng.random() < 0.5:
                cv2.line(image, (x, y), corner, shine.tolist(), int(rng.integers(1, 5)), cv2.LINE_AA)


def _car(image: np.ndarray, x: int, y: int, rng: np.random.Generator) -> None:
    size = int(rng.integers(50, 160))
    body = np.array([[-2, 0], [-2, -0.5], [-1, -0.7], [-0.6, -1.2], [0.7, -1.2], [1.1, -0.7], [2, -0.5], [2, 0]])
    cv2.fillPoly(image, [(body * size / 2 + (x, y)).astype(np.int32)], colour(rng).tolist(), cv2.LINE_AA)
    for side in (-1.1, 1.1):
        cv2.circle(image, (int(x + side * size / 2), y), size // 6, (20, 20, 22), -1, cv2.LINE_AA)


def _occlude(canvas: np.ndarray, rng: np.random.Generator) -> None:
    """Draw poles, wires and leaves before everything, in place."""
    for _ in range(rng.choice((0, 1, 2), p=(0.6, 0.25, 0.15))):
        x, ink = int(rng.integers(0, WIDTH)), colour(rng).tolist()
        cv2.line(canvas, (x, 0), (x + int(rng.normal(0, 30)), HEIGHT), ink, int(rng.integers(2, 14)), cv2.LINE_AA)
    if rng.random() < 0.3:
        x, y, reach = int(rng.integers(0, WIDTH)), int(rng.integers(0, HEIGHT)), int(rng.integers(30, 130))
        green = np.array([rng.uniform(20, 110), rng.uniform(70, 160), rng.uniform(10, 80)])
        for _ in range(int(rng.integers(40, 160))):
            dx, dy = rng.normal(0, reach, 2)
            shade = (green * rng.uniform(0.6, 1.2)).tolist()
            cv2.circle(canvas, (int(x + dx), int(y + dy)), int(rng.integers(2, 9)), shade, -1, cv2.LINE_AA)


# Signs


def _add_sign(
    canvas: np.ndarray,
    taken: np.ndarray,
    renderer: SignRenderer,
    texts: Texts,
    slant: tuple[float, float],
    rng: np.random.Generator,
) -> list[WrittenWord]:
    """Draw a sign where there is room, in place, and return its words; none where there was no room."""
    letters = _round_letters(renderer, texts, rng) if rng.random() < 0.08 else _letters(renderer, texts, rng)
    lines = max(1, len({round(float(corners[0, 1])) for _, corners in letters.words}))
    tall = float(np.exp(rng.uniform(np.log(11), np.log(90)))) * lines * 1.3
    scale = min(tall / letters.mask.shape[0], 0.9 * WIDTH / letters.mask.shape[1])
    pad = rng.uniform(0.1, 0.5) * letters.mask.shape[0] / lines
    panel = _corners(-pad, -pad, letters.mask.shape[1] + pad, letters.mask.shape[0] + pad)
    matrix = _perspective(panel * scale, slant, rng) @ np.diag([scale, scale, 1.0])
    placed = _project(panel, matrix)
    low, high = placed.min(0), placed.max(0)
    room = np.array([WIDTH, HEIGHT]) - (high - low)
    if (room < 2).any():
        return []
    shift = rng.uniform(0, room) - low
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ matrix
    placed = placed + shift
    x0, y0, x1, y1 = np.concatenate([placed.min(0), placed.max(0)]).astype(int)
    if taken[y0 : y1 + 1, x0 : x1 + 1].any():
        return []
    taken[y0 : y1 + 1, x0 : x1 + 1] = True
    _paint_sign(canvas, letters.mask, matrix, placed, rng)
    return [WrittenWord(text, _project(corners, matrix).astype(np.float32)) for text, corners in letters.words]


def _letters(renderer: SignRenderer, texts: Texts, rng: np.random.Generator) -> _Lettering:
    """Draw the lines of a sign one below the other, in one font or two."""
    fonts = [renderer.font(rng) for _ in range(2 if rng.random() < 0.3 else 1)]
    in_case = rng.random()
    rows: list[_Lettering] = []
    for line in texts.lines(rng):
        parts = []
        for word in line:
            written = word.upper() if in_case < 0.6 else cased(word, rng)
            mask, box = draw_word(written, fonts[int(rng.integers(len(fonts)))], rng)
            parts.append((written, mask, box))
        rows.append(_beside(parts, rng.uniform(0.25, 0.6)))
    wide, space = max(row.mask.shape[1] for row in rows), int(rng.integers(3, 20))
    whole = np.zeros((sum(row.mask.shape[0] + space for row in rows) - space, wide), np.uint8)
    words, y, left = [], 0, rng.random() < 0.25
    for row in rows:
        x = 0 if left else (wide - row.mask.shape[1]) // 2
        whole[y : y + row.mask.shape[0], x : x + row.mask.shape[1]] = row.mask
        words += [(text, corners + np.array((x, y))) for text, corners in row.words]
        y += row.mask.shape[0] + space
    return _Lettering(whole, words)


def _beside(parts: Sequence[tuple[str, np.ndarray, np.ndarray]], gap: float) -> _Lettering:
    """Put words (text, coverage, box of the ink) beside one another on one base line."""
    high = max(mask.shape[0] for _, mask, _ in parts)
    space = int(gap * high)
    whole = np.zeros((high, sum(mask.shape[1] + space for _, mask, _ in parts) - space), np.uint8)
    words, x = [], 0
    for text, mask, box in parts:
        y = high - mask.shape[0]
        whole[y:, x : x + mask.shape[1]] = mask
        words.append((text, _corners(*box) + np.array((x, y))))
        x += mask.shape[1] + space
    return _Lettering(whole, words)


def _round_letters(renderer: SignRenderer, texts: Texts, rng: np.random.Generator) -> _Lettering:
    """Draw a word on the upper part of a circle."""
    text = (texts.kind(rng) if rng.random() < 0.5 else texts.word(rng)).upper()
    flat, _ = draw_word(text, renderer.font(rng), rng)
    high, wide = flat.shape
    span = rng.uniform(1.2, 2.8)  # radians
    inner = wide / span
    outer = inner + high
    half = int(np.ceil(outer * np.sin(min(span, np.pi) / 2))) + 1
    low = inner * np.cos(span / 2)
    ys, xs = np.mgrid[0 : int(outer - min(low, inner)) + 2, -half : half + 1].astype(np.float32)
    radius, angle = np.hypot(xs, outer - ys), np.arctan2(xs, outer - ys)
    columns, rows = (angle / span + 0.5) * wide, outer - radius
    bent = cv2.remap(flat, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
    return _Lettering(bent, [(text, _corners(0, 0, bent.shape[1], bent.shape[0]))])


def _perspective(panel: np.ndarray, slant: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Return the homography (3, 3) under which a panel (4, 2) is seen: turned, slanted, and from an angle."""
    (x0, y0), (x1, y1) = panel.min(0), panel.max(0)
    width, height = x1 - x0, y1 - y0
    angle = rng.normal(slant[0], 0.03)
    if rng.random() < 0.03:
        angle += rng.choice((-1, 1)) * np.pi / 2  # a banner that hangs down
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, rng.normal(slant[1], 0.04)], [0, 1]])
    corners = (panel - (x0, y0)) * (rng.uniform(0.55, 1.0), 1)
    corners[[1, 2]] += np.array([[0, 1], [0, -1]]) * rng.uniform(-0.18, 0.18) * height  # one side is farther away
    corners = corners @ (turn @ shear).T + rng.normal(0, 0.02 * min(width, height), (4, 2))
    return cv2.getPerspectiveTransform(panel.astype(np.float32), corners.astype(np.float32)).astype(np.float64)


def _paint_sign(
    canvas: np.ndarray, mask: np.ndarray, matrix: np.ndarray, placed: np.ndarray, rng: np.random.Generator
) -> None:
    """Paint a panel, mostly, and the letters on it, in place."""
    if rng.random() < 0.75:
        ground = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.fillConvexPoly(ground, placed.round().astype(np.int32), 255, cv2.LINE_AA)
        alpha = ground[..., None].astype(np.float32) / 255
        surface = background(HEIGHT // 8, WIDTH // 8, rng).astype(np.float32) if rng.random() < 0.25 else None
        paint = colour(rng) if surface is None else cv2.resize(surface, (WIDTH, HEIGHT))
        canvas += alpha * rng.uniform(0.8, 1.0) * (paint - canvas)
        if rng.random() < 0.35:
            edge = [placed.round().astype(np.int32)]
            cv2.polylines(canvas, edge, True, colour(rng).tolist(), int(rng.integers(1, 5)), cv2.LINE_AA)
    x0, y0, x1, y1 = np.concatenate([placed.min(0), placed.max(0)]).astype(int)
    around = canvas[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1].reshape(-1, 3).mean(0)
    ink = colour(rng)
    if abs((ink - around) @ _LUMA) < rng.uniform(30, 120):
        ink = (rng.uniform(185, 255, 3) if around @ _LUMA < 128 else rng.uniform(0, 65, 3)).astype(np.float32)
    letters = _warped(mask, matrix)
    if rng.random() < 0.2:  # a shadow, or the depth of raised letters
        moved = np.array([[1, 0, rng.uniform(-4, 4)], [0, 1, rng.uniform(-3, 4)]], np.float32)
        shadow = cv2.GaussianBlur(cv2.warpAffine(letters, moved, (WIDTH, HEIGHT)), (0, 0), rng.uniform(0.4, 2.0))
        canvas *= 1 - shadow[..., None].astype(np.float32) / 255 * rng.uniform(0.3, 0.9)
    if rng.random() < 0.12:  # an outline, or the glow of a tube
        glow = cv2.GaussianBlur(cv2.dilate(letters, np.ones((3, 3), np.uint8)), (0, 0), rng.uniform(0.5, 5))
        canvas += glow[..., None].astype(np.float32) / 255 * (colour(rng) - canvas)
    canvas += letters[..., None].astype(np.float32) / 255 * rng.uniform(0.75, 1.0) * (ink - canvas)


def _warped(mask: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Show coverage under a homography (3, 3), uint8 (HEIGHT, WIDTH); it is shrunk with averaging first."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    if scale < 0.6:
        size = max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale))
        less = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.diag([mask.shape[1] / less.shape[1], mask.shape[0] / less.shape[0], 1.0])
        mask = less
    return cv2.warpPerspective(mask, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)


def _corners(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def _project(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply a homography (3, 3) to points (k, 2)."""
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    projected: np.ndarray = moved[:, :2] / moved[:, 2:]
    return projected


# What a camera makes of it


def _photograph(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take a scene through light, night, dirt, blur, noise and JPEG, uint8 RGB."""
    if rng.random() < 0.4:
        light = rng.uniform(0.45, 1.35, (2, 3)).astype(np.float32)
        canvas = canvas * cv2.resize(light, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)[..., None]
    if rng.random() < 0.15:  # night: dark but for a few lamps
        lamps = rng.uniform(0.1, 0.9, (4, 5)).astype(np.float32) ** 1.5
        canvas = canvas * cv2.resize(lamps, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).clip(0.08, 1)[..., None]
    if rng.random() < 0.2:  # dirt and reflections
        spots = cv2.resize(rng.random((24, 32), np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        veil = ((spots - rng.uniform(0.4, 0.8)) * 1.5).clip(0, rng.uniform(0.2, 0.7))[..., None]
        canvas = canvas + veil * (colour(rng) - canvas)
    blur = rng.random()
    if blur < 0.5:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.8))
    elif blur < 0.6:
        length = int(rng.integers(3, 9))
        kernel = np.full((1, length), 1 / length, np.float32)
        canvas = cv2.filter2D(canvas, -1, kernel if rng.random() < 0.7 else kernel.T)
    gain, offset = rng.uniform(0.55, 1.2), rng.uniform(-25, 30)
    noise = rng.normal(0, rng.uniform(0, 10), canvas.shape) if rng.random() < 0.5 else 0.0
    image = np.clip((canvas - 128) * gain + 128 + offset + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR))
    return image


# A data set of them


def render(
    settings: RenderSettings, folder: Path, fonts: Sequence[str | Path], progress: Progress = no_progress
) -> int:
    """Write the data set that settings name: the same bytes for the same settings, fonts and words.

    Args:
        settings: how many scenes, whether their lexicons follow a law (then law.json holds it), and the seed.
        folder: gets the data set; an interrupted one goes on.
        fonts: folders of fonts.
        progress: called with (scenes done, scenes in all).

    Returns:
        How many fonts are drawn from.

    Raises:
        OditsError: there is no usable font.
        WriteError: the folder can't be written.
    """
    found = usable_fonts(fonts)
    if not found:
        raise OditsError("No usable font: install some, or name a folder of them with --fonts.")
    words = [word.lower() for word in general_vocabulary().words if word.isalpha()]
    texts: SceneTexts = SignTexts(words)
    if settings.neighbourhoods:
        law = Law.draw(settings.neighbourhoods, words, settings.seed)
        law.save(folder)
        texts = Neighbourhoods(law)
    counts = (settings.scenes, settings.held_out)
    render_dataset(SignRenderer(found, words), texts, folder, counts, settings.seed, progress)
    return len(found)


def render_dataset(
    renderer: SignRenderer,
    texts: SceneTexts,
    folder: Path,
    counts: tuple[int, int],
    seed: int,
    progress: Progress = no_progress,
) -> None:
    """Write scenes as a data set in SVT's layout.

    A scene's lexicon holds the words that are written in it, or those that the texts say.

    Scenes that are there already are drawn again only where their file is missing, so that an interrupted run goes on.

    Args:
        renderer: its fonts.
        texts: what the signs say.
        folder: gets train.xml, test.xml and img/.
        counts: scenes to train on, and to hold out.
        seed: of all that is random; each scene has a generator of its own.
        progress: called with (scenes done, scenes in all).

    Raises:
        WriteError: the folder can't be written.
    """
    done = 0
    clear_interrupted(folder)
    clear_interrupted(folder / "img")
    for number, (file, count) in enumerate(zip(("train.xml", "test.xml"), counts, strict=True)):
        tags = Xml.Element("tagset")
        for index in range(count):
            own, lexicon = texts.for_scene(np.random.default_rng((seed, number, index, 1)))
            street = draw_street(renderer, own, np.random.default_rng((seed, number, index)))
            name = f"img/{file[:-4]}_{index:05d}.jpg"
            if not (folder / name).is_file():
                content = BytesIO()
                Image.fromarray(street.image).save(content, "JPEG", quality=95)
                write_atomically(folder / name, content.getvalue())
            _append_image(tags, name, street, lexicon or [word.text for word in street.words])
            done += 1
            progress(done, sum(counts))
        Xml.indent(tags)
        write_atomically(folder / file, Xml.tostring(tags, "utf-8", xml_declaration=True))


def _append_image(tags: Xml.Element, name: str, street: Street, lexicon: Sequence[str]) -> None:
    height, width = street.image.shape[:2]
    image = Xml.SubElement(tags, "image")
    Xml.SubElement(image, "imageName").text = name
    Xml.SubElement(image, "lex").text = ",".join(lexicon)
    Xml.SubElement(image, "Resolution", x=str(width), y=str(height))
    boxes = Xml.SubElement(image, "taggedRectangles")
    for word in street.words:
        (x0, y0), (x1, y1) = word.corners.min(0).clip(0), word.corners.max(0)
        sides = {"x": x0, "y": y0, "width": min(x1, width) - x0, "height": min(y1, height) - y0}
        box = Xml.SubElement(
            boxes, "taggedRectangle", {side: str(max(1, round(float(v)))) for side, v in sides.items()}
        )
        Xml.SubElement(box, "tag").text = word.text
