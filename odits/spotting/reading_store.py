"""Readings kept on disk: each picture is read once per (picture, reader with its settings)."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from odits.data.images import image_digest
from odits.files import cache_home, write_atomically
from odits.spotting.alphabet import SYMBOLS
from odits.spotting.reader import TextLine, TextReader


def stored_lines(image: Image.Image, reader: TextReader) -> list[TextLine]:
    """The lines of an RGB image, from the store or read now and kept.

    Raises:
        OditsError: the reader is not installed.
    """
    file = reading_file(image_digest(image), reader.key)
    kept = load_lines(file)
    if kept is not None:
        return kept
    lines = reader.read(image)
    with suppress(OSError):  # a full or read-only disk costs time later, not the answer now
        write_atomically(file, pack_lines(lines))
    return lines


def reading_file(digest: str, key: str) -> Path:
    """Where the reading of an image with this digest is kept."""
    return cache_home() / "readings" / hashlib.sha256(key.encode()).hexdigest()[:24] / f"{digest[:24]}.npz"


def pack_lines(lines: list[TextLine]) -> bytes:
    """The lines as a compressed .npz without pickles."""
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        corners=np.array([line.corners for line in lines], np.float32).reshape(-1, 4, 2),
        confidence=np.array([line.confidence for line in lines], np.float32),
        text=np.array([line.text for line in lines], np.str_),
        lengths=np.array([len(line.frames) for line in lines], np.int64),
        frames=np.concatenate([np.empty((0, SYMBOLS), np.float16), *(line.frames for line in lines)]),
    )
    return stream.getvalue()


def load_lines(file: Path) -> list[TextLine] | None:
    """The lines that a file keeps; None where there is none, or it is damaged: the picture is read again."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            corners, confidence, text, lengths, frames = (
                kept[name] for name in ("corners", "confidence", "text", "lengths", "frames")
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    count = len(lengths)
    if not len(corners) == len(confidence) == len(text) == count or lengths.sum() != len(frames):
        return None
    parts = np.split(frames, lengths.cumsum()[:-1]) if count else []
    return [TextLine(corners[row], float(confidence[row]), str(text[row]), parts[row]) for row in range(count)]
