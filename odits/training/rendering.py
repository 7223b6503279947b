"""Words rendered as street signs: the crops that the embedded model learns to read. No photograph is in them.

Everything random comes from the generator that is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, ImageDraw, ImageFont

from odits.core.errors import OditsError
from odits.core.files import expand_home, sha256_of
from odits.models.clip.sign_tower import CROP_HEIGHT, CROP_WIDTH

CANVAS_HEIGHT, CANVAS_WIDTH = 88, 320
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "/Library/Fonts", "C:/Windows/Fonts")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789&'"


@dataclass
class SignRenderer:
    """Draws words as signs.

    Attributes:
        fonts: font files to draw with (see `usable_fonts`).
        words: where neighbouring words on a sign come from.
    """

    fonts: Sequence[Path]
    words: Sequence[str]
    _loaded: dict[tuple[Path, int], ImageFont.FreeTypeFont] = field(default_factory=dict, repr=False)

    def plain(self, word: str, rng: np.random.Generator) -> np.ndarray:
        """Draw a word in clear capitals on a flat ground, uint8 RGB (32, 128, 3): what reading starts with."""
        mask, box = draw_word(word.upper(), self.font(rng), rng)
        x0, y0, x1, y1 = box.astype(int)
        letters = np.pad(mask[y0:y1, x0:x1], rng.integers(1, 7, (2, 2))).astype(np.float32)[..., None] / 255
        ground, ink = rng.uniform(0, 90, 3), rng.uniform(165, 255, 3)
        if rng.random() < 0.5:
            ground, ink = ink, ground
        image = (ground + letters * (ink - ground)).astype(np.uint8)
        return cv2.resize(image, (CROP_WIDTH, CROP_HEIGHT), interpolation=cv2.INTER_AREA)

    def crop(self, word: str, rng: np.random.Generator) -> np.ndarray:
        """Draw a tight crop of a word on a sign, uint8 RGB (32, 128, 3), stretched to that size."""
        canvas, quad = self._sign(word, rng)
        return degrade(_cut(canvas, _frame(quad, rng, tight=True)), rng)

    def misframed(self, word: str, rng: np.random.Generator) -> np.ndarray:
        """Draw a window that frames no word well (cut off, beside it, far too wide, or empty), uint8 (32, 128, 3)."""
        if rng.random() < 0.35:
            canvas = background(CANVAS_HEIGHT, CANVAS_WIDTH, rng)
            width, height = rng.integers(60, CANVAS_WIDTH - 8), rng.integers(20, CANVAS_HEIGHT - 8)
            x, y = rng.integers(0, CANVAS_WIDTH - width), rng.integers(0, CANVAS_HEIGHT - height)
            box = np.array([x, y, x + width, y + height], float)
        else:
            canvas, quad = self._sign(word, rng)
            box = _frame(quad, rng, tight=False)
        return degrade(_cut(canvas, box), rng)

    def font(self, rng: np.random.Generator) -> ImageFont.FreeTypeFont:
        """Draw a font of the collection in one of two sizes."""
        key = (self.fonts[int(rng.integers(len(self.fonts)))], int(rng.choice((30, 44))))
        if key not in self._loaded:
            self._loaded[key] = ImageFont.truetype(str(key[0]), key[1])
        return self._loaded[key]

    def _sign(self, word: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a sign with some surroundings, uint8 RGB, and return the word's four corners (4, 2) in it too."""
        font = self.font(rng)
        mask, box = draw_word(cased(word, rng), font, rng)
        scale = min(1.0, 0.72 * CANVAS_WIDTH / mask.shape[1], 0.6 * CANVAS_HEIGHT / mask.shape[0])
        if scale < 1.0:
            mask = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            box = box * scale
        canvas_mask = np.zeros((CANVAS_HEIGHT, CANVAS_WIDTH), np.uint8)
        x, y = (CANVAS_WIDTH - mask.shape[1]) // 2, (CANVAS_HEIGHT - mask.shape[0]) // 2
        canvas_mask[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
        box = box + np.array([x, y, x, y])
        if rng.random() < 0.5:
            self._neighbours(canvas_mask, box, font, rng)
        image = paint(canvas_mask, box, rng)
        quad = np.array([[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]]], np.float32)
        return _warp(image, quad, rng)

    def _neighbours(
        self, mask: np.ndarray, box: np.ndarray, font: ImageFont.FreeTypeFont, rng: np.random.Generator
    ) -> None:
        """Draw other words of the same sign around the box into the mask."""
        gap = rng.uniform(0.15, 0.6) * (box[3] - box[1])
        for side in rng.permutation(4)[: rng.integers(1, 4)]:
            other, _ = draw_word(cased(self.words[int(rng.integers(len(self.words)))], rng), font, rng)
            scale = (box[3] - box[1]) / other.shape[0] * rng.uniform(0.5, 1.1)
            other = cv2.resize(other, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            height, width = other.shape
            centre_x = (box[0] + box[2] - width) / 2 + rng.normal(0, 20)
            centre_y = (box[1] + box[3] - height) / 2
            left, top = (
                (box[0] - gap - width, centre_y),
                (box[2] + gap, centre_y),
                (centre_x, box[1] - gap - height),
                (centre_x, box[3] + gap),
            )[side]
            paste_max(mask, other, int(left), int(top))


def paint(mask: np.ndarray, box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint a coverage mask with colours, sign panel, shadow, outline and light, uint8 RGB.

    Args:
        mask: uint8 (H, W).
        box: of the word in it, (4,).
        rng: draws all that is random.
    """
    height, width = mask.shape
    image = background(height, width, rng)
    if rng.random() < 0.4:  # a panel behind the word
        x0, y0, x1, y1 = box
        pad_x, pad_y = rng.uniform(0.1, 0.8, 2) * (y1 - y0)
        corners = (int(x0 - pad_x), int(y0 - pad_y)), (int(x1 + pad_x), int(y1 + pad_y))
        panel = colour(rng).tolist()
        cv2.rectangle(image, *corners, panel, -1)
        if rng.random() < 0.4:
            cv2.rectangle(image, *corners, colour(rng).tolist(), int(rng.integers(1, 4)))
    x0, y0, x1, y1 = (max(int(v), 0) for v in box)
    around = image[y0:y1, x0:x1].reshape(-1, 3).mean(0)
    ink = colour(rng)
    least = rng.uniform(35, 110)
    if abs((ink - around) @ (0.299, 0.587, 0.114)) < least:  # readable against what lies behind
        bright = around @ (0.299, 0.587, 0.114) < rng.uniform(90, 165)
        ink = rng.uniform(190, 255, 3) if bright else rng.uniform(0, 70, 3)
    canvas = image.astype(np.float32)
    coverage = mask.astype(np.float32)[..., None] / 255
    if rng.random() < 0.25:  # shadow or depth of raised letters
        shift = np.array([[1, 0, rng.uniform(-5, 5)], [0, 1, rng.uniform(-4, 5)]], np.float32)
        shadow = cv2.GaussianBlur(cv2.warpAffine(mask, shift, (width, height)), (0, 0), rng.uniform(0.4, 2.5))
        canvas *= 1 - shadow[..., None].astype(np.float32) / 255 * rng.uniform(0.3, 0.9)
    if rng.random() < 0.18:  # outline
        size = int(rng.integers(2, 5))
        outline = cv2.dilate(mask, np.ones((size, size), np.uint8)).astype(np.float32)[..., None] / 255
        canvas += outline * (colour(rng) - canvas)
    if rng.random() < 0.1:  # hollow letters
        inner = cv2.erode(mask, np.ones((2, 2), np.uint8)).astype(np.float32)[..., None] / 255
        coverage = np.clip(coverage - 0.85 * inner, 0, 1)
    letters = ink
    if rng.random() < 0.25:  # uneven light on the letters
        coarse = (ink + rng.normal(0, 30, (2, 3, 3))).astype(np.float32)
        letters = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    canvas += coverage * rng.uniform(0.75, 1.0) * (letters - canvas)
    if rng.random() < 0.3:  # light falling across the sign
        light = rng.uniform(0.45, 1.4, (2, 2)).astype(np.float32)
        canvas *= cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    image = np.clip(canvas, 0, 255).astype(np.uint8)
    if rng.random() < 0.12:  # a wire or a branch in front
        start, end = ((int(rng.integers(0, width)), int(rng.integers(0, height))) for _ in range(2))
        cv2.line(image, start, end, colour(rng).tolist(), int(rng.integers(1, 4)), cv2.LINE_AA)
    return image


def _warp(image: np.ndarray, quad: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Show image and corners from an angle, under one random homography."""
    height, width = image.shape[:2]
    angle = np.deg2rad(rng.normal(0, 4.5))
    shear = rng.normal(0, 0.12)
    centre = np.array([width / 2, height / 2])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ [[1, shear], [0, 1]]
    corners = (quad - centre) @ turn.T + centre
    tall = quad[2, 1] - quad[0, 1]
    corners += rng.normal(0, 0.09 * tall, (4, 2))
    corners = corners.astype(np.float32)
    matrix = cv2.getPerspectiveTransform(quad, corners)
    warped = cv2.warpPerspective(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return warped, corners


def _frame(quad: np.ndarray, rng: np.random.Generator, tight: bool) -> np.ndarray:
    """Return a box (x0, y0, x1, y1) around the corners: well framed, or wrong in one of several ways."""
    (x0, y0), (x1, y1) = quad.min(0), quad.max(0)
    width, height = x1 - x0, y1 - y0
    left, right = rng.uniform(-0.10, 0.3, 2) * height
    top, bottom = rng.uniform(-0.10, 0.25, 2) * height
    if tight and rng.random() < 0.15:  # loose, as a window that slides over a scene finds it
        left, right = rng.uniform(0, 0.35, 2) * width
        top, bottom = rng.uniform(0, 0.4, 2) * height
    box = np.array([x0 - left, y0 - top, x1 + right, y1 + bottom])
    if tight:
        return box
    kind = rng.integers(4)
    if kind == 0:  # beside the word: part of it is cut off
        box[[0, 2]] += rng.choice((-1, 1)) * rng.uniform(0.3, 1.0) * width
    elif kind == 1:  # above or below
        box[[1, 3]] += rng.choice((-1, 1)) * rng.uniform(0.4, 1.0) * height
    elif kind == 2:  # far too wide or tall
        grow = rng.uniform(1.0, 2.0)
        box += np.array([-grow * width / 2, -grow * height / 3, grow * width / 2, grow * height / 3])
    else:  # only a part
        part = rng.uniform(0.25, 0.6) * width
        start = rng.uniform(0, width - part)
        box[0], box[2] = x0 + start, x0 + start + part
    return box


def _cut(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    x0, y0 = int(np.clip(box[0], 0, width - 8)), int(np.clip(box[1], 0, height - 8))
    x1, y1 = int(np.clip(box[2], x0 + 8, width)), int(np.clip(box[3], y0 + 8, height))
    return image[y0:y1, x0:x1]


# Strokes, surfaces, colours, and what a distant camera leaves of them


def colour(rng: np.random.Generator) -> np.ndarray:
    """Draw a colour (3,) in 0..255: mostly muted, as paint outdoors is."""
    saturation = rng.choice((0.1, 0.35, 1.0), p=(0.35, 0.4, 0.25))
    return np.clip(rng.uniform(0, 255) + saturation * rng.uniform(-160, 160, 3), 0, 255).astype(np.float32)


def cased(word: str, rng: np.random.Generator) -> str:
    """Write a word in capitals, mostly, or with one, or in small letters."""
    draw = rng.random()
    return word.upper() if draw < 0.65 else word.title() if draw < 0.9 else word.lower()


def paste_max(mask: np.ndarray, patch: np.ndarray, left: int, top: int) -> None:
    """Put a patch of coverage into a mask, in place; what lies outside is cut off."""
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + patch.shape[1], mask.shape[1]), min(top + patch.shape[0], mask.shape[0])
    if x1 > x0 and y1 > y0:
        part = patch[y0 - top : y1 - top, x0 - left : x1 - left]
        np.maximum(mask[y0:y1, x0:x1], part, out=mask[y0:y1, x0:x1])


def draw_word(text: str, font: ImageFont.FreeTypeFont, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a word.

    Returns:
        Its coverage, uint8 (H, W), and the box of its ink, float (4,): x0, y0, x1, y1.
    """
    stroke = int(rng.choice((0, 1, 2), p=(0.6, 0.28, 0.12)))  # bold letters: signs are read from afar
    spacing = 0.0 if rng.random() < 0.7 else rng.uniform(-0.04, 0.35) * font.size
    if spacing:
        advances = [font.getlength(letter) + spacing for letter in text]
        width = int(sum(advances) + font.size)
    else:
        width = int(font.getlength(text) + font.size)
    image = Image.new("L", (max(width, 8), int(font.size * 2)), 0)
    pen = ImageDraw.Draw(image)
    x, y = font.size / 2, font.size / 4
    if spacing:
        for letter, advance in zip(text, advances, strict=True):
            pen.text((x, y), letter, font=font, fill=255, stroke_width=stroke)
            x += advance
    else:
        pen.text((x, y), text, font=font, fill=255, stroke_width=stroke)
    mask = np.asarray(image)
    if rng.random() < 0.12:
        mask = _arc(mask, rng)
    columns, rows = np.flatnonzero(mask.max(0) > 60), np.flatnonzero(mask.max(1) > 60)
    if not len(columns):
        return np.zeros((16, 32), np.uint8), np.array([0, 0, 32, 16], float)
    x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    mask = np.pad(mask[y0:y1, x0:x1], 2)
    stretch = np.exp(rng.normal(0, 0.22))  # narrow and wide letters
    mask = cv2.resize(mask, (max(8, int(mask.shape[1] * stretch)), mask.shape[0]), interpolation=cv2.INTER_AREA)
    return mask, np.array([0, 0, mask.shape[1], mask.shape[0]], float)


def _arc(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bend a word on a bow, as on round signs."""
    height, width = mask.shape
    bow = rng.uniform(-0.35, 0.35) * height
    padded = np.pad(mask, ((abs(int(bow)) + 1,) * 2, (0, 0)))
    ys, xs = np.mgrid[0 : padded.shape[0], 0:width].astype(np.float32)
    ys += (bow * (1 - (2 * xs / max(width, 1) - 1) ** 2) - bow / 2).astype(np.float32)
    return cv2.remap(padded, xs, ys, cv2.INTER_LINEAR)


def background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a plain, shaded, mottled or cluttered surface, uint8 RGB (height, width, 3)."""
    base = colour(rng)
    draw = rng.random()
    if draw < 0.35:
        image = np.broadcast_to(base, (height, width, 3)).astype(np.float32).copy()
    else:
        spread = rng.uniform(5, 50 if draw < 0.8 else 120)
        shape = (2, 2) if draw < 0.6 else tuple(rng.integers(2, 12, 2))
        tint = rng.normal(0, spread * rng.uniform(0, 0.4), (*shape, 3))
        coarse = (base + rng.normal(0, spread, (*shape, 1)) + tint).astype(np.float32)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.35:
        clutter(image, rng)
    return image


def clutter(image: np.ndarray, rng: np.random.Generator) -> None:
    """Draw poles, window frames, bricks, blobs, in place."""
    height, width = image.shape[:2]
    if rng.random() < 0.2:
        step, ink = int(rng.integers(8, 40)), colour(rng).tolist()
        for y in range(0, height, step):
            cv2.line(image, (0, y), (width, y), ink, int(rng.integers(1, 3)))
        if rng.random() < 0.6:
            for x in range(0, width, step * int(rng.integers(1, 4))):
                cv2.line(image, (x, 0), (x, height), ink, 1)
        return
    for _ in range(rng.integers(1, 8)):
        first = (int(rng.integers(-20, width)), int(rng.integers(-20, height)))
        second = (int(rng.integers(0, width + 20)), int(rng.integers(0, height + 20)))
        ink = colour(rng).tolist()
        kind, thickness = rng.integers(3), int(rng.integers(1, 7))
        if kind == 0:
            cv2.line(image, first, second, ink, thickness, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(image, first, second, ink, thickness if rng.random() < 0.5 else -1)
        else:
            axes = (int(rng.integers(3, 60)), int(rng.integers(3, 40)))
            cv2.ellipse(image, first, axes, float(rng.uniform(0, 180)), 0, 360, ink, thickness, cv2.LINE_AA)


def degrade(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what a distant camera leaves of a crop: low resolution, blur, noise, JPEG; uint8 RGB (32, 128, 3)."""
    height, width = crop.shape[:2]
    low = min(height, int(rng.integers(11, 48)))
    if low < height:
        crop = cv2.resize(crop, (max(8, width * low // height), low), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.45:
        crop = cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.3, 0.04 * low + 0.3))
    if rng.random() < 0.1:  # motion
        length = int(rng.integers(2, 5))
        kernel = np.full((1, length), 1 / length, np.float32)
        crop = cv2.filter2D(crop, -1, kernel if rng.random() < 0.7 else kernel.T)
    gain, offset = rng.uniform(0.55, 1.3), rng.uniform(-35, 35)
    noise = rng.normal(0, rng.uniform(0, 14), crop.shape) if rng.random() < 0.6 else 0.0
    crop = np.clip((crop.astype(np.float32) - 128) * gain + 128 + offset + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        crop = np.repeat(crop.mean(2, keepdims=True).astype(np.uint8), 3, axis=2)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        crop = np.asarray(cv2.imdecode(cv2.imencode(".jpg", crop, quality)[1], cv2.IMREAD_COLOR))
    return cv2.resize(crop, (CROP_WIDTH, CROP_HEIGHT), interpolation=cv2.INTER_LINEAR)


# Fonts and words


def usable_fonts(folders: Iterable[str | Path] = FONT_FOLDERS) -> list[Path]:
    """Return font files that draw all Latin letters and digits, one of each distinct drawing, sorted by path."""
    seen: set[str] = set()
    fonts: list[Path] = []
    files = sorted(
        path
        for folder in folders
        for pattern in ("*.ttf", "*.otf", "*.TTF", "*.OTF")
        for path in expand_home(folder).rglob(pattern)
    )
    for path in files:
        try:
            covered = TTFont(path, lazy=True).getBestCmap() or {}
            if any(ord(letter) not in covered for letter in _LETTERS):
                continue
            font = ImageFont.truetype(str(path), 24)
            glyphs = {letter: bytes(font.getmask(letter)) for letter in "ABEHaeg"}
            drawing = sha256_of(bytes(font.getmask("Hamburg RESTAURANT 2")))
        except (OSError, TTLibError, ValueError, KeyError, AssertionError):
            continue
        if len(set(glyphs.values())) == len(glyphs) and all(glyphs.values()) and drawing not in seen:
            seen.add(drawing)
            fonts.append(path)
    return fonts


def read_words(files: Iterable[Path]) -> list[str]:
    """Read distinct lower-case words of 2 to 16 Latin letters from word lists, in order.

    Raises:
        OditsError: a list cannot be read, or there are fewer than 1000 words.
    """
    words: dict[str, None] = {}
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise OditsError(f"The word list {file} cannot be read.") from error
        words |= dict.fromkeys(word for word in text.lower().split() if re.fullmatch("[a-z]{2,16}", word))
    if len(words) < 1000:
        raise OditsError(f"Only {len(words)} usable words in the word lists: at least 1000 are needed.")
    return list(words)
