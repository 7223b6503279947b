"""Text lines of an image as quadrilaterals: rapidocr's detector alone, from the model that its wheel carries."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from PIL import Image

from odits.models.rapidocr_models import load_rapidocr


class TextDetector:
    """Finds lines of text; the model is loaded at the first use and never downloaded.

    Args:
        side: the image is reduced to this many pixels on its longer side before detection.
        threshold: detections with a lower score, in 0..1, are dropped.
        threads: of the network; all cores by default.
    """

    def __init__(self, side: int = 1024, threshold: float = 0.5, threads: int | None = None) -> None:
        self._side = side
        self._threshold = threshold
        self._threads = threads
        self._engine: Any = None
        self._lock = threading.Lock()  # rapidocr keeps state of the current image in its engine

    def detect(self, image: Image.Image) -> list[tuple[np.ndarray, float]]:
        """Each line as (float32 (4, 2) corners in pixels x, y, clockwise from top left; score in 0..1)."""
        scale = min(1.0, self._side / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        if min(size) < 8:
            return []
        small = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))
        with self._lock:
            if self._engine is None:
                self._engine = load_rapidocr(
                    recognises=False,
                    threads=self._threads,
                    limit_type="max",
                    limit_side_len=self._side,
                    box_thresh=self._threshold,
                )
            found = self._engine(np.ascontiguousarray(small[..., ::-1]))
        if found.boxes is None or found.scores is None:
            return []
        factor = np.array([image.width / size[0], image.height / size[1]], np.float32)
        return [
            (np.asarray(box, np.float32) * factor, float(score))
            for box, score in zip(found.boxes, found.scores, strict=True)
        ]
