"""Result files of other spotters, read so that what they found can be shown and compared.

DeepSolo and ESTextSpotter write a JSON list with an entry a word: `image_id`, `polys` (points of the outline), `rec`
(the text) and `score`. An entry's image is its `image_name`, or its `image_id` where that is a name; numbers need the
COCO list that gave them: `{"images": [{"id": 1, "file_name": "00_03.jpg"}, …], "results": [entries]}`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.models.reading.alphabet import BLANK, SYMBOLS, symbol_of
from odits.models.reading.reader import TextLine

MAX_BYTES = 256 * 2**20
_SURE, _WRONG = 0.98, 1e-4
"""Probabilities of a letter that a spotter wrote down, and of each of the others: result files hold texts alone."""


def read_results(source: Path | bytes, name: str = "The file") -> dict[str, list[TextLine]]:
    """Read the lines of each image, by the stem of its file name ("00_03"), from a result file or its bytes.

    Args:
        source: the file, or what it holds.
        name: what it is called in messages, where `source` is not a path.

    Raises:
        OditsError: it can't be read, or is no such file; the sentence says what is wrong.
    """
    entries, names = _entries(source, source.name if isinstance(source, Path) else name)
    found: dict[str, list[TextLine]] = {}
    for number, entry in enumerate(entries, 1):
        try:
            image = names.get(entry.get("image_id"), entry.get("image_name", entry.get("image_id")))
            if not isinstance(image, str):
                raise OditsError(
                    f"Entry {number} names no image: it needs image_name, or the file a list of images with their ids."
                )
            found.setdefault(Path(image).stem, []).append(_line(entry))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise OditsError(f"Entry {number} is not a found word with polys, rec and score.") from error
    return found


def _entries(source: Path | bytes, name: str) -> tuple[list[Any], dict[Any, str]]:
    """Read the entries, and the names of images by their ids."""
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
        if len(content) > MAX_BYTES:
            raise OditsError(f"{name} is larger than {MAX_BYTES >> 20} MB.")
        document = parse_json(content)
    except OSError as error:
        raise OditsError(f"{name} can't be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise OditsError(f"{name} is not a JSON file.") from error
    if isinstance(document, Mapping):
        images, document = document.get("images", []), document.get("results", document.get("annotations"))
        try:
            names = {image["id"]: str(image["file_name"]) for image in images}
        except (KeyError, TypeError) as error:
            raise OditsError(f"{name} has a list of images without ids and file names.") from error
    else:
        names = {}
    if not isinstance(document, list):
        raise OditsError(f"{name} holds no list of found words.")
    return document, names


def _line(entry: Mapping[str, Any]) -> TextLine:
    text, score = str(entry["rec"]), float(entry["score"])
    if not math.isfinite(score):
        raise ValueError("score")
    return TextLine(upright_corners(entry["polys"]), min(1.0, max(0.0, score)), text, frames_of(text))


def upright_corners(outline: Sequence[Any]) -> np.ndarray:
    """Return the corners float32 (4, 2), clockwise from top left, of the least rectangle around an outline.

    Args:
        outline: points x, y in pixels.

    Raises:
        ValueError: fewer than three points, or what is none.
    """
    points = np.asarray(outline, np.float32).reshape(-1, 2)
    if len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("an outline needs three points")
    corners = cv2.boxPoints(cv2.minAreaRect(points))
    middle = corners.mean(0)
    clockwise = corners[np.argsort(np.arctan2(corners[:, 1] - middle[1], corners[:, 0] - middle[0]))]
    return np.roll(clockwise, -int(clockwise.sum(1).argmin()), axis=0).astype(np.float32)


def frames_of(text: str) -> np.ndarray:
    """Return the log-probabilities float16 (2 |text| + 1, SYMBOLS) of a recogniser that is sure of this text."""
    path = [BLANK]
    for character in text:
        path += [symbol_of(character), BLANK]
    frames = np.full((len(path), SYMBOLS), _WRONG)
    frames[np.arange(len(path)), path] = _SURE
    return np.log(frames / frames.sum(1, keepdims=True)).astype(np.float16)
