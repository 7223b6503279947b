"""Text lines of an image as quadrilaterals: rapidocr's detector alone, from the model that its wheel carries."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from odits.errors import OditsError


class TextDetector:
    """Finds lines of text; the model is loaded at the first use and never downloaded.

    Args:
        side: the image is reduced to this many pixels on its longer side before detection.
        threshold: detections with a lower score, in 0..1, are dropped.
    """

    def __init__(self, side: int = 1024, threshold: float = 0.5) -> None:
        self._side = side
        self._threshold = threshold
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
                self._engine = _load_detector(self._side, self._threshold)
            found = self._engine(np.ascontiguousarray(small[..., ::-1]))
        if found.boxes is None or found.scores is None:
            return []
        factor = np.array([image.width / size[0], image.height / size[1]], np.float32)
        return [
            (np.asarray(box, np.float32) * factor, float(score))
            for box, score in zip(found.boxes, found.scores, strict=True)
        ]


def _load_detector(side: int, threshold: float) -> Any:
    """A rapidocr engine that only detects."""
    import rapidocr

    models = sorted((Path(rapidocr.__file__).parent / "models").glob("*_det_*.onnx"))
    if not models:
        raise OditsError("rapidocr is installed without its text detector: install it again (pip install rapidocr).")
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    return rapidocr.RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.use_rec": False,
            "Global.log_level": "critical",
            # Naming the file keeps rapidocr from looking for, and downloading, any other.
            "Det.model_path": str(models[-1]),
            "Det.limit_type": "max",
            "Det.limit_side_len": side,
            "Det.box_thresh": threshold,
        }
    )
