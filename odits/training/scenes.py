"""Whole scenes with several signs, and where their words stand: what the locator of the embedded model learns from."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from odits.training.rendering import SignRenderer, background, cased, clutter, colour, draw_word

SCENE_HEIGHT, SCENE_WIDTH = 256, 384


class Scene(NamedTuple):
    """A scene, uint8 RGB (256, 384, 3), and its words' boxes, float32 (k, 4): x0, y0, x1, y1 in pixels."""

    image: np.ndarray
    boxes: np.ndarray


def draw_scene(renderer: SignRenderer, rng: np.random.Generator) -> Scene:
    """Draw a scene of walls, windows and clutter with up to seven signs of one to six words each.

    Args:
        renderer: its fonts and words.
        rng: draws all that is random.
    """
    image = background(SCENE_HEIGHT, SCENE_WIDTH, rng)
    for _ in range(rng.integers(0, 4)):
        _facade(image, rng)
    if rng.random() < 0.5:
        clutter(image, rng)
    canvas = image.astype(np.float32)
    taken = np.zeros((SCENE_HEIGHT, SCENE_WIDTH), bool)
    boxes: list[np.ndarray] = []
    for _ in range(rng.integers(0, 8)):
        boxes += _add_sign(canvas, taken, renderer, rng)
    if rng.random() < 0.4:
        light = rng.uniform(0.5, 1.35, (2, 3)).astype(np.float32)
        canvas *= cv2.resize(light, (SCENE_WIDTH, SCENE_HEIGHT), interpolation=cv2.INTER_LINEAR)[..., None]
    return Scene(_photographed(canvas, rng), np.array(boxes, np.float32).reshape(-1, 4))


def _facade(image: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a block with rows of windows or bricks: regular, high-contrast, and not text."""
    height, width = image.shape[:2]
    x0, y0 = int(rng.integers(-40, width - 60)), int(rng.integers(-40, height - 60))
    x1, y1 = x0 + int(rng.integers(60, width)), y0 + int(rng.integers(60, height))
    cv2.rectangle(image, (x0, y0), (x1, y1), colour(rng).tolist(), -1)
    step_x, step_y = int(rng.integers(7, 60)), int(rng.integers(6, 60))
    share_x, share_y = rng.uniform(0.3, 0.9, 2)
    pane, frame = colour(rng).tolist(), colour(rng).tolist()
    for y in range(y0, y1 - step_y, step_y):
        for x in range(x0, x1 - step_x, step_x):
            corners = (x, y), (x + int(step_x * share_x), y + int(step_y * share_y))
            cv2.rectangle(image, *corners, pane, -1)
            if step_x > 20:
                cv2.rectangle(image, *corners, frame, 1)


def _add_sign(
    canvas: np.ndarray, taken: np.ndarray, renderer: SignRenderer, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw one sign where there is room and return the boxes (4,) of its words; none where there was no room."""
    mask, words = _lettering(renderer, rng)
    tall = np.exp(rng.uniform(np.log(9), np.log(42))) if rng.random() < 0.85 else rng.uniform(42, 110)
    scale = tall / np.mean([word[3] - word[1] for word in words])
    angle, shear = np.deg2rad(rng.normal(0, 4)), rng.normal(0, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ [[1, shear], [0, 1]] * scale
    pad = rng.uniform(0.15, 0.7) * tall / scale
    panel = np.array([-pad, -pad, mask.shape[1] + pad, mask.shape[0] + pad])
    low, high = _bounds(panel, turn)
    room = np.array([SCENE_WIDTH, SCENE_HEIGHT]) - (high - low)
    if (room < 2).any():
        return []
    shift = rng.uniform(0, room) - low
    x0, y0, x1, y1 = np.concatenate([low + shift, high + shift]).astype(int)
    if taken[y0 : y1 + 1, x0 : x1 + 1].any():
        return []
    taken[y0 : y1 + 1, x0 : x1 + 1] = True
    matrix = np.column_stack([turn, shift])
    size = (SCENE_WIDTH, SCENE_HEIGHT)
    if scale < 0.6:  # shrink with averaging first: warping alone would skip pixels
        less = cv2.resize(mask, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        fine = matrix @ np.diag([mask.shape[1] / less.shape[1], mask.shape[0] / less.shape[0], 1])
        letters = cv2.warpAffine(less, fine, size, flags=cv2.INTER_LINEAR)
    else:
        letters = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)
    if rng.random() < 0.65:
        corners = np.array([panel[[0, 1]], panel[[2, 1]], panel[[2, 3]], panel[[0, 3]]]) @ turn.T + shift
        ground = np.zeros((SCENE_HEIGHT, SCENE_WIDTH), np.uint8)
        cv2.fillConvexPoly(ground, corners.round().astype(np.int32), 255, cv2.LINE_AA)
        canvas += ground[..., None].astype(np.float32) / 255 * (colour(rng) - canvas)
    around = canvas[y0 : y1 + 1, x0 : x1 + 1].reshape(-1, 3).mean(0)
    ink = colour(rng)
    luma = np.array([0.299, 0.587, 0.114])
    if abs((ink - around) @ luma) < rng.uniform(40, 110):
        ink = rng.uniform(190, 255, 3) if around @ luma < 128 else rng.uniform(0, 60, 3)
    canvas += letters[..., None].astype(np.float32) / 255 * (ink.astype(np.float32) - canvas)
    return [np.concatenate([a + shift, b + shift]) for a, b in (_bounds(word, turn) for word in words)]


def _lettering(renderer: SignRenderer, rng: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draw one to three lines of words: their coverage, uint8 (h, w), and the words' boxes (4,) in it."""
    font = renderer.font(rng)
    lines: list[tuple[np.ndarray, list[np.ndarray]]] = []
    for _ in range(rng.choice((1, 2, 3), p=(0.55, 0.3, 0.15))):
        parts = []
        for _ in range(rng.choice((1, 2, 3), p=(0.5, 0.35, 0.15))):
            word = renderer.words[int(len(renderer.words) * rng.random() ** 1.5)]
            parts.append(draw_word(cased(word, rng), font, rng)[0])
        gap = int(rng.uniform(0.3, 0.6) * max(part.shape[0] for part in parts))
        high = max(part.shape[0] for part in parts)
        line = np.zeros((high, sum(part.shape[1] + gap for part in parts) - gap), np.uint8)
        found, x = [], 0
        for part in parts:
            y = high - part.shape[0]
            line[y:, x : x + part.shape[1]] = part
            found.append(np.array([x, y, x + part.shape[1], high], float))
            x += part.shape[1] + gap
        lines.append((line, found))
    wide, space = max(line.shape[1] for line, _ in lines), int(rng.integers(3, 16))
    mask = np.zeros((sum(line.shape[0] + space for line, _ in lines) - space, wide), np.uint8)
    boxes, y = [], 0
    for line, found in lines:
        x = (wide - line.shape[1]) // 2
        mask[y : y + line.shape[0], x : x + line.shape[1]] = line
        boxes += [box + np.array([x, y, x, y]) for box in found]
        y += line.shape[0] + space
    return mask, boxes


def _bounds(box: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper corner (2,) of a box after a linear map."""
    corners = np.array([box[[0, 1]], box[[2, 1]], box[[2, 3]], box[[0, 3]]]) @ turn.T
    return corners.min(0), corners.max(0)


def _photographed(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take a whole scene through blur, noise, exposure and JPEG."""
    if rng.random() < 0.6:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 1.1))
    gain, offset = rng.uniform(0.5, 1.2), rng.uniform(-25, 35)
    noise = rng.normal(0, rng.uniform(0, 9), canvas.shape) if rng.random() < 0.5 else 0.0
    image = np.clip((canvas - 128) * gain + 128 + offset + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR))
    return image
