"""The inputs of ODITS Street: a segmenter's objects, and the places where words are written, which are objects too.

Its object-text matrix is read and not embedded: the row of a place says which words it may show, and leaves to "none of
them" what is missing to 1. The segmenter's objects have rows of zeros: they say nothing about words by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from odits.core.store import make_key
from odits.data import Vocabulary, open_image
from odits.data.images import image_digest
from odits.data.predictions import Segmenter
from odits.models.fusion.inputs import ObjectEmbeddings, OditsInput
from odits.models.reading.ctc import Lexicon
from odits.models.reading.places import Place, PlaceCalibration, find_candidates, find_places
from odits.models.reading.reader import TextLine
from odits.models.reading.spotter import WordSpotter
from odits.models.segmentation.regions import RegionSegmenter
from odits.objects.codec import stored_or_found
from odits.objects.detections import areas_of, kinds_of, make_detections

if TYPE_CHECKING:
    import supervision as sv

_NOTHING = 0.01  # a place where all words together are less probable is left out
_VERSION = "1"


class PlaceEncoder:
    """Finds objects and reads places; satisfies what `odits.models.fusion.model.OditsModel` needs of its encoder.

    Args:
        segmenter: finds objects; the embedded one is told which lines of text were read, and looks for none itself.
        spotter: reads the lines.
        calibration: what the readings of a place say about words.

    Attributes:
        clip: None: nothing is embedded.
    """

    clip = None

    def __init__(self, segmenter: Segmenter, spotter: WordSpotter, calibration: PlaceCalibration) -> None:
        self.segmenter, self.spotter, self.calibration = segmenter, spotter, calibration
        self._lexicons: dict[str, Lexicon] = {}

    @property
    def key(self) -> str:
        """Identifies reader, segmenter and calibration."""
        return f"places {self.spotter.reader.key} {self.segmenter.key} {self.calibration} v{_VERSION}"

    def describe(self) -> dict[str, str]:
        """Return what a checkpoint's header says of how the inputs are made."""
        return {"places": self.calibration.to_json(), "reads": "True"}

    def encode(self, source: Image.Image | Path | bytes, vocabulary: Vocabulary, segmented: bool = True) -> OditsInput:
        """Find the objects of an image and read its places.

        Args:
            source: an RGB image, or an image file (a path or its bytes).
            vocabulary: the n words that may be written there.
            segmented: whether the segmenter's objects are found too; the places alone come sooner.

        Raises:
            OditsError: the image can't be opened.
        """
        image = source if isinstance(source, Image.Image) else open_image(source)
        lines = self.spotter.read(image)
        places, read = self.read_places(lines, vocabulary)
        found = self.objects(image, lines) if segmented else make_detections([], [], [], image.size)
        return OditsInput(_as_embeddings(found, places), read)

    def read_places(self, lines: Sequence[TextLine], vocabulary: Vocabulary) -> tuple[list[Place], np.ndarray]:
        """Return the places of lines that may show a word, and their rows of the object-text matrix, float32 (P, n)."""
        places = find_places(lines)
        listed = len(vocabulary) - len(vocabulary.extra)
        candidates = find_candidates(places, self._lexicon_of(vocabulary), listed)
        rows = self.calibration.rows(candidates, len(places), len(vocabulary))
        kept = np.flatnonzero(rows.sum(1) >= _NOTHING)
        return [places[index] for index in kept], rows[kept]

    def objects(self, image: Image.Image, lines: Sequence[TextLine] | None = None) -> sv.Detections:
        """Return the segmenter's objects of an RGB image, from the store or found now and stored.

        Args:
            image: the image.
            lines: that were read in it, where they are known.
        """
        read = self.spotter.read(image) if lines is None else lines

        def find() -> sv.Detections:
            if isinstance(self.segmenter, RegionSegmenter):
                return self.segmenter.segment(image, lines=[(one.corners, one.confidence) for one in read])
            return self.segmenter.segment(image)

        key = make_key(image=image_digest(image), segmenter=f"{self.segmenter.key} beside {self.spotter.reader.key}")
        return stored_or_found(key, find)

    def _lexicon_of(self, vocabulary: Vocabulary) -> Lexicon:
        """Spell the vocabulary; its list stays, and only the words that were read in a picture are spelled anew."""
        base = vocabulary.base or vocabulary
        if base.digest not in self._lexicons:
            self._lexicons = {base.digest: Lexicon(base.words)}
        lexicon = self._lexicons[base.digest]
        return lexicon.extended(vocabulary.extra) if vocabulary.extra else lexicon


def _as_embeddings(objects: sv.Detections, places: Sequence[Place]) -> ObjectEmbeddings:
    """Put the segmenter's objects, without its lines of text, before the places; their embeddings have no width."""
    kinds = np.array(kinds_of(objects), np.str_)
    kept = np.flatnonzero(kinds != "text")
    x0, y0, x1, y1 = objects.xyxy[kept].astype(np.float32).T
    corners = np.stack([np.stack(point, 1) for point in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], 1)
    confidence = np.ones(len(objects)) if objects.confidence is None else objects.confidence
    lines = [place.best for place in places]
    count = len(kept) + len(lines)
    return ObjectEmbeddings(
        np.empty(0, np.float32),
        np.empty((count, 0), np.float32),
        np.concatenate([confidence[kept], [line.confidence for line in lines]]).astype(np.float32),
        np.concatenate([corners, np.array([line.corners for line in lines], np.float32).reshape(-1, 4, 2)]),
        np.concatenate([kept, np.full(len(lines), -1)]).astype(np.int64),
        np.concatenate([kinds[kept], np.full(len(lines), "word")]).astype(np.str_),
        np.concatenate([np.asarray(areas_of(objects))[kept], [_area(line.corners) for line in lines]]).astype(
            np.float32
        ),
    )


def _area(corners: np.ndarray) -> float:
    """Return the area in pixels inside four corners (4, 2)."""
    x, y = corners.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)
