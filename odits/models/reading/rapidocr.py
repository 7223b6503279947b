"""rapidocr with the models that packages carry (`odits.models.reading.packaged`), and no other: nothing is downloaded.

What lies between its two networks, rapidocr does for the reading of documents: one scale, confident regions, the most
probable text. Spotting needs the probabilities, several scales, and the doubtful regions too
(`odits.models.reading.reader`), so `Engine` gives the networks themselves; `TextDetector` is rapidocr's own detection.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from odits.core.errors import OditsError
from odits.core.stopping import step
from odits.models.reading.alphabet import Folding
from odits.models.reading.packaged import NOT_INSTALLED, Detector, network_file

HEIGHT = 48
"""Pixels of a line's height, as the recogniser was trained."""
STRIDE = 8
"""Pixels of a line's width to a frame of its output."""
_NARROWEST = 320  # narrower batches are filled up to this, as in training
_BATCH = 6
_OLDER = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of blue, green and red, in this order
_RANGES: dict[Detector, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "v4": _OLDER,
    "v5": _OLDER,
    "v6": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""Mean and deviation of a detector's input, of 0..1."""


def load_rapidocr(recognises: bool, threads: int | None = None, detector: Detector = "v6", **settings: Any) -> Any:
    """Create a rapidocr engine that detects lines of text, and recognises them if wanted.

    Args:
        recognises: whether the recogniser is needed too.
        threads: how many each network uses, all cores by default; several processes would stand in each other's way.
        detector: whose network finds the lines.
        settings: of rapidocr's detector, such as `box_thresh`.

    Raises:
        OditsError: rapidocr is not installed, or without these models.
    """
    try:
        import rapidocr
    except ImportError as error:
        raise OditsError(NOT_INSTALLED) from error
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    # naming the files keeps rapidocr from looking for, and downloading, any other
    files = {"Det.model_path": str(network_file(detector, "det"))}
    if recognises:
        files["Rec.model_path"] = str(network_file(detector, "rec"))
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.use_rec": recognises,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads or -1,
            **files,
            **{f"Det.{name}": value for name, value in settings.items()},
        }
    )


class Engine:
    """rapidocr's networks: pixels to a map of text, crops of lines to probabilities.

    Args:
        threads: of each network; all cores by default.
        detector: whose network finds the lines.

    Raises:
        OditsError: rapidocr is not installed with its models, or the detector's package is missing.
    """

    def __init__(self, threads: int | None = None, detector: Detector = "v6") -> None:
        whole = load_rapidocr(recognises=True, threads=threads, detector=detector)
        mean, deviation = (np.array(values, np.float32)[:, None, None] for values in _RANGES[detector])
        self._mean, self._deviation = 255 * mean, 255 * deviation
        self._detector: Any = whole._load_det_model()
        recogniser: Any = whole._load_rec_model()
        self._recogniser = recogniser.session
        self.characters: list[str] = list(recogniser.postprocess_op.character)
        self._fold = Folding(self.characters)

    def text_map(self, image: np.ndarray, scale: float) -> np.ndarray:
        """Detect text: how much each place looks like it.

        Args:
            image: BGR uint8 (H, W, 3).
            scale: of the network's input to the image; its sides are rounded to multiples of 32.

        Returns:
            float32 (h, w) in 0..1, h about scale * H.
        """
        height, width = (max(32, round(side * scale / 32) * 32) for side in image.shape[:2])
        how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
        small = cv2.resize(image, (width, height), interpolation=how).astype(np.float32).transpose(2, 0, 1)
        pixels = (small - self._mean) / self._deviation
        found: np.ndarray = self._detector.session(pixels[None])[0, 0]
        return found

    def lines(self, text_map: np.ndarray, size: tuple[int, int], confident: float) -> tuple[np.ndarray, np.ndarray]:
        """Turn a map of text into lines: differentiable binarisation's boxes (Liao et al., 2020), by rapidocr.

        Args:
            text_map: float32 (h, w) in 0..1.
            size: width and height of the image, whose pixels the corners are given in.
            confident: lines of a lower score are left out.

        Returns:
            Corners float32 (K, 4, 2), clockwise from top left, and scores float32 (K,) in 0..1.
        """
        find = self._detector.postprocess_op
        find.box_thresh = confident
        boxes, scores = find(text_map[None, None], (size[1], size[0]))
        return np.asarray(boxes, np.float32).reshape(-1, 4, 2), np.asarray(scores, np.float32)

    def frames(self, crops: Sequence[np.ndarray]) -> list[tuple[np.ndarray, str]]:
        """Recognise crops, BGR uint8 (48, W, 3): log-probabilities float32 (T, SYMBOLS) of the frames, and the text."""
        found: list[tuple[np.ndarray, str]] = [(np.empty((0, 0), np.float32), "")] * len(crops)
        by_width = sorted(range(len(crops)), key=lambda place: crops[place].shape[1])
        for start in range(0, len(by_width), _BATCH):
            step()
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
        """Spell a path: repeats count once, blanks not at all."""
        changed = np.flatnonzero((best != np.roll(best, 1)) | (np.arange(len(best)) == 0))
        return "".join(self.characters[place] for place in best[changed] if place != 0).strip()


def _normalised(pixels: np.ndarray) -> np.ndarray:
    """Put channels first, in -1..1."""
    scaled: np.ndarray = pixels.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
    return scaled


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
        """Find lines: corners float32 (4, 2), x and y in pixels, clockwise from top left, and score in 0..1 of each."""
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
