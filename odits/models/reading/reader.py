"""Lines of text in a picture with the probabilities of what stands there, the doubtful ones too.

Signs in street views are small, slanted, spaced wide, and often half hidden: text is looked for at several scales,
lines of low confidence stay for the vocabulary to decide about, tall ones are read after a turn to either side. Which
of these steps help was measured on SVT's training images (benchmarks/spotting_steps.py).

Each picture is read once per reader and settings: readings are stored (`READINGS`).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from odits.core.stopping import step
from odits.core.store import FunctionCodec, Store, former_path, make_key, pack_arrays, unpack_arrays
from odits.data.images import image_digest
from odits.models.reading.alphabet import SYMBOLS
from odits.models.reading.ctc import Span
from odits.models.reading.packaged import Detector, DetectorChoice, choose_detector, other_models
from odits.models.reading.rapidocr import HEIGHT, STRIDE, Engine

V5_KEY = "ppocrv5-mobile-det"
"""What the keys of readers say whose lines PP-OCRv5's detector finds."""
V4_KEY = "ppocrv4-mobile"
"""What the keys of readers say whose lines PP-OCRv4's detector finds."""
_NAMES: dict[Detector, str] = {"v4": "PP-OCRv4-mobile", "v5": "PP-OCRv5-mobile", "v6": "PP-OCRv6-small"}

QUICK_SCALES = (0.5, 0.75)
"""Scales of the quick reader, chosen on SVT's training images among those that take no longer than 1.3 times
rapidocr's own call: word-retrieval MAP there (docs/results.md)."""

_TALL = 1.5  # a line that is so many times as high as wide is read after a turn, as rapidocr does
_LONGEST = 3200  # pixels of a line's width; nobody writes 400 letters on a sign
_BEFORE, _AFTER = 1, 2  # frames
_MARGIN = 0.09  # of the line's height
_LARGEST = 2400  # pixels of a picture's longer side that a scale of 1 stands for: larger pictures are reduced


@dataclass(frozen=True)
class ReadingSettings:
    """How a picture is read.

    Attributes:
        scales: sizes, relative to the picture's own, at which text is looked for.
        confident: lines that the detector gives a lower score, in 0..1, are not read.
        detector: "v5" for PP-OCRv5-mobile's, "v6" for PP-OCRv6-small's, "v4" for PP-OCRv4-mobile's with its own
            recogniser; "auto" is v5's where it is installed.
    """

    scales: tuple[float, ...] = (0.5, 1.0, 1.5)
    confident: float = 0.3
    detector: DetectorChoice = "auto"


@dataclass(frozen=True, eq=False)
class TextLine:
    """A line of text.

    Attributes:
        corners: float32 (4, 2), x and y in pixels, clockwise from where the line begins at its top.
        confidence: the detector's score in 0..1.
        text: what the recogniser reads, as it is.
        frames: log-probabilities float16 (T, SYMBOLS), from the line's beginning to its end.
        reader: which one of several read it (`odits.models.reading.joint`); not stored.
    """

    corners: np.ndarray
    confidence: float
    text: str
    frames: np.ndarray
    reader: int = 0

    @cached_property
    def certainty(self) -> float:
        """Mean log-probability of the recogniser's best symbols, at most 0: how sure it is of its reading."""
        return float(self.frames.astype(np.float32).max(1).mean()) if len(self.frames) else -math.inf

    @property
    def height(self) -> float:
        """Pixels from the top of the letters to their bottom."""
        top_left, _, _, bottom_left = self.corners
        return float(np.linalg.norm(bottom_left - top_left))

    def part(self, span: Span) -> np.ndarray:
        """Return the corners float32 (4, 2) of the letters that some of the line's frames show.

        A recogniser names a letter in one frame, somewhere inside the letter, and the detector's lines have a margin:
        `_BEFORE`, `_AFTER` and `_MARGIN` make the most of the boxes that people drew around SVT's training words.
        """
        top_left, top_right, bottom_right, bottom_left = self.corners
        ends = np.array([[span.start - _BEFORE], [span.stop + _AFTER]], np.float32) / max(1, len(self.frames))
        ends = ends.clip(0, 1)
        top = top_left + ends * (top_right - top_left)
        bottom = bottom_left + ends * (bottom_right - bottom_left)
        top, bottom = top + _MARGIN * (bottom - top), bottom - _MARGIN * (bottom - top)
        return np.stack([top[0], top[1], bottom[1], bottom[0]])


class Recogniser(Protocol):
    """Reads lines that were cut from a picture.

    Attributes:
        name: as shown to users.
        key: identifies it; caches key on it.
    """

    name: str
    key: str

    def frames(self, crops: Sequence[np.ndarray]) -> list[tuple[np.ndarray, str]]:
        """Recognise crops, BGR uint8 (48, W, 3): log-probabilities float32 (T, SYMBOLS) of the frames, and the text."""
        ...


class TextReader:
    """Reads pictures; the networks are loaded at the first one.

    Args:
        settings: how a picture is read.
        threads: of each network; all cores by default.
        recogniser: reads the lines in place of the detector's own (PP-OCRv6's for v5's and v6's lines).

    Attributes:
        detector: which network finds the lines.
        recogniser: what reads the lines, where it is not the detector's own.
        name: as shown to users.
        key: identifies networks and settings; caches key on it.

    Raises:
        OditsError: the settings name a detector that is not installed.
    """

    def __init__(
        self,
        settings: ReadingSettings | None = None,
        threads: int | None = None,
        recogniser: Recogniser | None = None,
    ) -> None:
        self.settings = settings or ReadingSettings()
        self.detector: Detector = choose_detector(self.settings.detector)
        self.recogniser = recogniser
        self._threads = threads
        self._engine: Engine | None = None
        self._lock = threading.Lock()  # rapidocr keeps state of the current picture

    @property
    def name(self) -> str:
        """As shown to users."""
        lines = _NAMES[self.detector]
        if self.recogniser:
            found = f"{self.recogniser.name} on {lines}'s lines"
        else:
            found = f"{_NAMES['v6']} on {lines}'s lines" if self.detector == "v5" else f"{lines} (rapidocr)"
        scales = self.settings.scales
        return found if scales == ReadingSettings().scales else f"{found} at {' and '.join(map('{:g}'.format, scales))}"

    @property
    def key(self) -> str:
        """Networks and settings in one string."""
        scales = ",".join(f"{scale:g}" for scale in self.settings.scales)
        other = f"{self.recogniser.key} on " if self.recogniser else ""
        if self.detector == "v6":
            networks = f"ppocrv6-small{other_models('det', 'rec')}"
        else:
            networks = V4_KEY if self.detector == "v4" else f"{V5_KEY} ppocrv6-small-rec{other_models('rec')}"
        return f"{other}{networks} scales={scales} confident={self.settings.confident:g} v1"

    def read(self, image: Image.Image) -> list[TextLine]:
        """Read an RGB image: the same line once for each scale and turn at which it was found."""
        with self._lock:
            if self._engine is None:
                self._engine = Engine(self._threads, self.detector)
            engine = self._engine
            pixels = np.asarray(image.convert("RGB"))[..., ::-1]
            found = list(self.detect(engine, pixels))
            return self.recognise(engine, pixels, found) if found else []

    def detect(self, engine: Engine, pixels: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
        """Find every line to read: corners (4, 2), clockwise from where its letters begin, and score in 0..1."""
        height, width = pixels.shape[:2]
        largest = min(1.0, _LARGEST / max(height, width))
        for scale in self.settings.scales:
            step()
            text_map = engine.text_map(pixels, scale * largest)
            boxes, scores = engine.lines(text_map, (width, height), self.settings.confident)
            for corners, score in zip(boxes, scores, strict=True):
                across, down = _sides(corners)
                if down < _TALL * across:
                    yield corners, float(score)
                else:
                    yield np.roll(corners, -1, axis=0), float(score)  # read downwards
                    yield np.roll(corners, 1, axis=0), float(score)  # read upwards

    def recognise(
        self, engine: Engine, pixels: np.ndarray, found: Sequence[tuple[np.ndarray, float]]
    ) -> list[TextLine]:
        """Recognise the lines that were detected, corners (4, 2) and score each."""
        read = (self.recogniser or engine).frames([cut_line(pixels, corners) for corners, _ in found])
        return [
            TextLine(corners, score, text, frames.astype(np.float16))
            for (corners, score), (frames, text) in zip(found, read, strict=True)
        ]


def cut_line(pixels: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Cut the line with these corners (4, 2) out of an image uint8 (H, W, 3), straightened: uint8 (48, W', 3)."""
    across, down = _sides(corners)
    factor = HEIGHT / max(down, 1.0)
    width = min(_LONGEST, max(STRIDE, math.ceil(across * factor)))
    # much larger letters are cut as they are and then averaged: picking single pixels would leave moiré
    size = (width, HEIGHT) if factor > 0.6 else (max(1, int(across)), max(1, int(down)))
    target = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    change = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    cut = cv2.warpPerspective(pixels, change, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return cut if size == (width, HEIGHT) else cv2.resize(cut, (width, HEIGHT), interpolation=cv2.INTER_AREA)


def _sides(corners: np.ndarray) -> tuple[float, float]:
    """Return the lengths in pixels of the longer of the two sides across and down."""
    lengths = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    return float(max(lengths[0], lengths[2])), float(max(lengths[1], lengths[3]))


def _pack(lines: list[TextLine]) -> bytes:
    return pack_arrays(
        {
            "corners": np.array([line.corners for line in lines], np.float32).reshape(-1, 4, 2),
            "confidence": np.array([line.confidence for line in lines], np.float32),
            "text": np.array([line.text for line in lines], np.str_),
            "lengths": np.array([len(line.frames) for line in lines], np.int64),
            "frames": np.concatenate([np.empty((0, SYMBOLS), np.float16), *(line.frames for line in lines)]),
        }
    )


def _unpack(data: bytes) -> list[TextLine]:
    arrays = unpack_arrays(data)
    corners, confidence, text, lengths, frames = (
        arrays[name] for name in ("corners", "confidence", "text", "lengths", "frames")
    )
    count = len(lengths)
    if not len(corners) == len(confidence) == len(text) == count or lengths.sum() != len(frames):
        raise ValueError("its arrays do not fit each other")
    of_lines = np.split(frames, lengths.cumsum()[:-1]) if count else []
    return [TextLine(corners[row], float(confidence[row]), str(text[row]), of_lines[row]) for row in range(count)]


READINGS: Store[list[TextLine]] = Store("readings", FunctionCodec(".npz", _pack, _unpack))
"""Lines of images; keys by `reading_key`."""


def reading_key(digest: str, reader: str) -> str:
    """Return the key of what the reader of this key reads in an image with this digest."""
    return make_key(image=digest, reader=reader)


def stored_lines(image: Image.Image, reader: TextReader) -> list[TextLine]:
    """Return the lines of an RGB image, from the store or read now and stored.

    Raises:
        OditsError: the reader is not installed.
    """
    return stored_digest_lines(image_digest(image), image, reader)


def stored_digest_lines(digest: str, image: Image.Image, reader: TextReader) -> list[TextLine]:
    """Return what `stored_lines` does, for whoever knows the image's digest already."""
    key, former = reading_key(digest, reader.key), _former_reading(digest, reader.key)
    return READINGS.get_or_compute(key, lambda: reader.read(image), former)


def stored_reading(digest: str, reader: str) -> list[TextLine] | None:
    """Return the stored lines of an image with this digest by the reader of this key; None where there are none yet."""
    return READINGS.get(reading_key(digest, reader), _former_reading(digest, reader))


def is_read(digest: str, reader: str) -> bool:
    """Return whether the lines of an image are stored, by the name of the file alone: it is asked for thousands."""
    return READINGS.path(reading_key(digest, reader)).is_file() or _former_reading(digest, reader).is_file()


def _former_reading(digest: str, reader: str) -> Path:
    return former_path(READINGS.kind, reader, digest, READINGS.suffix)
