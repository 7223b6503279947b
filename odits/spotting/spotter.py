"""The word model that reads: which words of a vocabulary stand in a picture, and where."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from odits.data import ImageRecord, open_image
from odits.data.vocabulary import Vocabulary
from odits.predictions import View, WordPrediction
from odits.spotting.calibration import SVT_TRAIN, Calibration
from odits.spotting.ctc import DEFAULT, Lexicon, Lines, Scoring, score
from odits.spotting.reader import TextLine, TextReader
from odits.spotting.reading_store import stored_lines


@dataclass(frozen=True, eq=False)
class Reading:
    """What a picture's lines say about a vocabulary: ODITS's object-text matrix, read instead of seen.

    Attributes:
        lines: the R lines.
        scores: float32 (R, N), of each word in each line (`odits.spotting.ctc`).
        log_odds: float32 (R, N), that the word stands there (`odits.spotting.calibration`).
    """

    lines: list[TextLine]
    scores: np.ndarray
    log_odds: np.ndarray

    def best(self) -> np.ndarray:
        """Log-odds float32 (N,) of each word in its best line; minus infinity where there is no line."""
        return self.log_odds.max(0, initial=-np.inf)


class WordSpotter:
    """Spots words in pictures; satisfies `WordModel`.

    Attributes:
        name: as shown to users.
        checkpoint: hexadecimal digest of the reader, its settings and the scoring; caches key on it.
    """

    def __init__(
        self, reader: TextReader | None = None, scoring: Scoring = DEFAULT, calibration: Calibration = SVT_TRAIN
    ) -> None:
        self.reader = reader or TextReader()
        self.scoring = scoring
        self.calibration = calibration
        self.name = f"Word spotting with {self.reader.name}"
        self.checkpoint = hashlib.sha256(f"{self.reader.key} {scoring} {calibration}".encode()).hexdigest()
        self._spelled: tuple[str, Lexicon] = ("", Lexicon(()))

    def read(self, image: Image.Image) -> list[TextLine]:
        """The lines of an RGB image, from the store of readings or read now."""
        return stored_lines(image, self.reader)

    def lines_of(self, record: ImageRecord) -> list[TextLine]:
        """The lines of a data set's image."""
        return self.read(open_image(record.path))

    def judge(self, lines: list[TextLine], lexicon: Lexicon) -> Reading:
        """What lines say about the words of a lexicon."""
        scores = score(Lines([line.frames for line in lines]), lexicon, self.scoring)
        return Reading(lines, scores, self.calibration.log_odds(scores, lexicon, lines))

    def _lexicon(self, vocabulary: Vocabulary) -> Lexicon:
        """The vocabulary's words, spelled: the last ones stay, since an evaluation asks a few images at a time."""
        digest, lexicon = self._spelled
        if digest != vocabulary.digest:
            lexicon = Lexicon(vocabulary.words)
            self._spelled = (vocabulary.digest, lexicon)
        return lexicon

    def predict(self, image: Image.Image, vocabulary: Vocabulary) -> WordPrediction:
        """How likely each word is the one that stands in an RGB image; what is missing to 1 is "none of these"."""
        return WordPrediction(vocabulary, self.probabilities([image], vocabulary)[0], self.name, self.checkpoint)

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> np.ndarray:
        """float32 (m, n): row i says, of image i, how the odds of the words and of none of them share out.

        A word's odds against "none" are those of its best line, so a row sums to less than 1. Crops are read as scenes
        are, whatever the `view`.
        """
        lexicon = self._lexicon(vocabulary)
        rows = [shares(self.judge(self.read(image), lexicon).best()) for image in images]
        return np.stack(rows) if rows else np.empty((0, len(vocabulary)), np.float32)


class ResultSpotter(WordSpotter):
    """A spotter that knows what another one wrote into a result file (`odits.spotting.results`).

    Args:
        name: as shown to users.
        found: lines by the stem of the image's file name.
    """

    def __init__(self, name: str, found: Mapping[str, list[TextLine]]) -> None:
        super().__init__()
        self.name = name
        self._found = found

    def lines_of(self, record: ImageRecord) -> list[TextLine]:
        """The lines that the file has of a data set's image."""
        return list(self._found.get(Path(record.name).stem, ()))


def shares(log_odds: np.ndarray) -> np.ndarray:
    """The softmax float32 (N,) of log-odds (N,) and of "none of them", whose log-odds are 0, without the latter."""
    highest = max(0.0, float(log_odds.max(initial=-np.inf)))
    odds = np.exp(log_odds.astype(np.float64) - highest)
    return (odds / (odds.sum() + np.exp(-highest))).astype(np.float32)
