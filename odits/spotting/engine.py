"""rapidocr's two networks, PP-OCRv6-small from its wheel: pixels to a map of text, crops of lines to probabilities.

What lies between them, rapidocr does for the reading of documents: one scale, confident regions, the most probable
text. Spotting needs the probabilities, several scales, and the doubtful regions too (`odits.spotting.reader`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from odits.models.rapidocr_models import load_rapidocr
from odits.spotting.alphabet import Folding

HEIGHT = 48
"""Pixels of a line's height, as the recogniser was trained."""
STRIDE = 8
"""Pixels of a line's width to a frame of its output."""
_NARROWEST = 320  # narrower batches are filled up to this, as in training
_BATCH = 6


class Engine:
    """The networks, loaded from the wheel and never downloaded.

    Args:
        threads: of each network; all cores by default.

    Raises:
        OditsError: rapidocr is not installed with its models.
    """

    def __init__(self, threads: int | None = None) -> None:
        whole = load_rapidocr(recognises=True, threads=threads)
        self._detector: Any = whole._load_det_model()
        recogniser: Any = whole._load_rec_model()
        self._recogniser = recogniser.session
        self.characters: list[str] = list(recogniser.postprocess_op.character)
        self._fold = Folding(self.characters)

    def text_map(self, image: np.ndarray, scale: float) -> np.ndarray:
        """How much each place looks like text, float32 (h, w) in 0..1; h = scale * H of a BGR image uint8 (H, W, 3)."""
        height, width = (max(32, round(side * scale / 32) * 32) for side in image.shape[:2])
        how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        pixels = _normalised(cv2.resize(image, (width, height), interpolation=how))
        found: np.ndarray = self._detector.session(pixels[None])[0, 0]
        return found

    def lines(self, text_map: np.ndarray, size: tuple[int, int], confident: float) -> tuple[np.ndarray, np.ndarray]:
        """Corners float32 (K, 4, 2) of lines of text, clockwise from top left, and their scores float32 (K,) in 0..1.

        Differentiable binarisation's boxes (Liao et al., 2020), by rapidocr.

        Args:
            size: width and height of the image, whose pixels the corners are given in.
            confident: lines of a lower score are left out.
        """
        find = self._detector.postprocess_op
        find.box_thresh = confident
        boxes, scores = find(text_map[None, None], (size[1], size[0]))
        return np.asarray(boxes, np.float32).reshape(-1, 4, 2), np.asarray(scores, np.float32)

    def frames(self, crops: Sequence[np.ndarray]) -> list[tuple[np.ndarray, str]]:
        """Log-probabilities float32 (T, SYMBOLS) of the frames of each crop, BGR uint8 (48, W, 3), and its text."""
        found: list[tuple[np.ndarray, str]] = [(np.empty((0, 0), np.float32), "")] * len(crops)
        by_width = sorted(range(len(crops)), key=lambda place: crops[place].shape[1])
        for start in range(0, len(by_width), _BATCH):
            places = by_width[start : start + _BATCH]
            widest = max(_NARROWEST, *(crops[place].shape[1] for place in places))
            pixels = np.zeros((len(places), 3, HEIGHT, widest), np.float32)
            for row, place in zip(pixels, places, strict=True):
                row[:, :, : crops[place].shape[1]] = _normalised(crops[place])
            probabilities: np.ndarray = self._recogniser(pixels)
            best = probabilities.argmax(-1)
            folded = self._fold(probabilities)
            for row, place in enumerate(places):
                count = min(folded.shape[1], crops[place].shape[1] // STRIDE + 2)
                found[place] = folded[row, :count], self._text(best[row, :count])
        return found

    def _text(self, best: np.ndarray) -> str:
        """The text of a path: repeats count once, blanks not at all."""
        changed = np.flatnonzero((best != np.roll(best, 1)) | (np.arange(len(best)) == 0))
        return "".join(self.characters[place] for place in best[changed] if place != 0).strip()


def _normalised(pixels: np.ndarray) -> np.ndarray:
    """Channels first, in -1..1."""
    scaled: np.ndarray = pixels.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
    return scaled
