"""Words rendered as street signs: the crops that the embedded model learns to read. No photograph is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageFont

from odits.models.clip.embedded import CROP_HEIGHT, CROP_WIDTH
from odits.training.drawing import background, cased, colour, degrade, draw_word, paste_max

CANVAS_HEIGHT, CANVAS_WIDTH = 88, 320


@dataclass
class SignRenderer:
    """Draws words as signs. Deterministic: everything random comes from the generator that is passed in.

    Attributes:
        fonts: font files to draw with (see `usable_fonts`).
        words: where neighbouring words on a sign come from.
    """

    fonts: Sequence[Path]
    words: Sequence[str]
    _loaded: dict[tuple[Path, int], ImageFont.FreeTypeFont] = field(default_factory=dict, repr=False)

    def plain(self, word: str, rng: np.random.Generator) -> np.ndarray:
        """The word in clear capitals on a flat ground, uint8 RGB (32, 128, 3): what reading starts with."""
        mask, box = draw_word(word.upper(), self.font(rng), rng)
        x0, y0, x1, y1 = box.astype(int)
        letters = np.pad(mask[y0:y1, x0:x1], rng.integers(1, 7, (2, 2))).astype(np.float32)[..., None] / 255
        ground, ink = rng.uniform(0, 90, 3), rng.uniform(165, 255, 3)
        if rng.random() < 0.5:
            ground, ink = ink, ground
        image = (ground + letters * (ink - ground)).astype(np.uint8)
        return cv2.resize(image, (CROP_WIDTH, CROP_HEIGHT), interpolation=cv2.INTER_AREA)

    def crop(self, word: str, rng: np.random.Generator) -> np.ndarray:
        """A tight crop of the word on a sign, uint8 RGB (32, 128, 3), stretched to that size."""
        canvas, quad = self._sign(word, rng)
        return degrade(_cut(canvas, _frame(quad, rng, tight=True)), rng)

    def misframed(self, word: str, rng: np.random.Generator) -> np.ndarray:
        """A window that does not frame a word well (cut off, beside it, far too wide, or empty), uint8 (32, 128, 3)."""
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
        """A font of the collection in one of two sizes."""
        key = (self.fonts[int(rng.integers(len(self.fonts)))], int(rng.choice((30, 44))))
        if key not in self._loaded:
            self._loaded[key] = ImageFont.truetype(str(key[0]), key[1])
        return self._loaded[key]

    def _sign(self, word: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The sign with some surroundings (uint8 RGB) and the word's four corners (4, 2) in it."""
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
        """Other words of the same sign around the box, drawn into the mask."""
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
    """Colours, sign panel, shadow, outline and light for a coverage mask, uint8 RGB."""
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
    """Seen from an angle: the image and the corners under one random homography."""
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
    """A box (x0, y0, x1, y1) around the corners: well framed, or wrong in one of several ways."""
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
