"""Strokes of the rendered signs: words, surfaces, colours, and what a distant camera leaves of them."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from odits.models.clip.embedded import CROP_HEIGHT, CROP_WIDTH


def colour(rng: np.random.Generator) -> np.ndarray:
    """A colour (3,) in 0..255: mostly muted, as paint outdoors is."""
    saturation = rng.choice((0.1, 0.35, 1.0), p=(0.35, 0.4, 0.25))
    return np.clip(rng.uniform(0, 255) + saturation * rng.uniform(-160, 160, 3), 0, 255).astype(np.float32)


def cased(word: str, rng: np.random.Generator) -> str:
    """The word in capitals, mostly, or with one, or in small letters."""
    draw = rng.random()
    return word.upper() if draw < 0.65 else word.title() if draw < 0.9 else word.lower()


def paste_max(mask: np.ndarray, patch: np.ndarray, left: int, top: int) -> None:
    """Puts a patch of coverage into a mask, in place; what lies outside is cut off."""
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + patch.shape[1], mask.shape[1]), min(top + patch.shape[0], mask.shape[0])
    if x1 > x0 and y1 > y0:
        part = patch[y0 - top : y1 - top, x0 - left : x1 - left]
        np.maximum(mask[y0:y1, x0:x1], part, out=mask[y0:y1, x0:x1])


def draw_word(text: str, font: ImageFont.FreeTypeFont, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The word's coverage (uint8, H x W) and the box of its ink (x0, y0, x1, y1)."""
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
    """The word on a bow, as on round signs."""
    height, width = mask.shape
    bow = rng.uniform(-0.35, 0.35) * height
    padded = np.pad(mask, ((abs(int(bow)) + 1,) * 2, (0, 0)))
    ys, xs = np.mgrid[0 : padded.shape[0], 0:width].astype(np.float32)
    ys += (bow * (1 - (2 * xs / max(width, 1) - 1) ** 2) - bow / 2).astype(np.float32)
    return cv2.remap(padded, xs, ys, cv2.INTER_LINEAR)


def background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A plain, shaded, mottled or cluttered surface, uint8 RGB."""
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
    """Poles, window frames, bricks, blobs: drawn in place."""
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
    """What a distant camera leaves of it: low resolution, blur, noise, JPEG; then the window's size."""
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
