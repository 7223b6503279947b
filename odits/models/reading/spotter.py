"""Word spotting: which words of a vocabulary stand in a picture, where, and with what probability.

A word's score in a line (`odits.models.reading.ctc`) becomes the probability that it stands there by a logistic
regression over what a spotter knows of a line and a word, fitted on SVT's training images: for each image and each word
of its lexicon, whether the word is boxed. (Words outside the lexicon are no evidence: SVT boxes none of them, even
where they can be read.) `benchmarks/calibrate_spotting.py` fits it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from odits.core.files import sha256_of
from odits.data import ImageRecord
from odits.data.predictions import View, WordPrediction
from odits.data.vocabulary import Vocabulary
from odits.models.reading.ctc import DEFAULT, Lexicon, Lines, Scoring, Span, locate, score
from odits.models.reading.packaged import Detector
from odits.models.reading.reader import V4_KEY, V5_KEY, TextLine, TextReader, stored_lines
from odits.models.reading.text_match import raise_scores, text_span

_UNSURE = -2.0  # lines that the recogniser is less sure of are equally bad


@dataclass(frozen=True)
class Calibration:
    """Log-odds = intercept + score s + length |w| + certainty c + height ln h; checkpoints key on its representation.

    s: the word's score per letter in the line; |w|: its letters, at most 12; c: the line's certainty; h: its height in
    pixels.
    """

    intercept: float
    score: float
    length: float
    certainty: float
    height: float

    def log_odds(self, scores: np.ndarray, lexicon: Lexicon, lines: Sequence[TextLine]) -> np.ndarray:
        """Return the log-odds float32 (R, N) that each word stands in each line, from its scores (R, N)."""
        score, length, certainty, height = _columns(scores, lexicon, lines)
        of_lines = self.certainty * certainty + self.height * height + self.intercept
        return np.float32(self.score) * score + (np.float32(self.length) * length + of_lines.astype(np.float32))


def features(scores: np.ndarray, lexicon: Lexicon, lines: Sequence[TextLine]) -> np.ndarray:
    """Return what the log-odds are a linear function of, float32 (R, N, 4), in the order of `Calibration`."""
    return np.stack(np.broadcast_arrays(*_columns(scores, lexicon, lines)), axis=-1)


def _columns(scores: np.ndarray, lexicon: Lexicon, lines: Sequence[TextLine]) -> tuple[np.ndarray, ...]:
    """Return scores float32 (R, N), lengths (N,), and certainties and logarithms of heights (R, 1)."""
    length = np.minimum(lexicon.sizes, 12).astype(np.float32)
    certainty = np.array([max(line.certainty, _UNSURE) for line in lines], np.float32)
    height = np.log([max(line.height, 1.0) for line in lines]).astype(np.float32)
    return scores, length, certainty[:, None], height[:, None]


SVT_TRAIN: dict[Detector, Calibration] = {
    "v4": Calibration(-4.811, 3.152, 0.265, 6.874, 1.898),
    "v5": Calibration(-6.776, 3.394, 0.305, 7.406, 2.278),
    "v6": Calibration(-6.162, 3.129, 0.357, 7.995, 2.011),
}
"""Fitted on SVT's 100 training images, with the scoring's defaults and the reader's, for the lines of each detector."""


def calibration_for(reader: str) -> Calibration:
    """Return the calibration for the lines that the reader of this key finds (`TextReader.key`)."""
    return SVT_TRAIN["v5" if V5_KEY in reader else "v4" if V4_KEY in reader else "v6"]


@dataclass(frozen=True, eq=False)
class Reading:
    """Scores of a vocabulary in a picture's lines: ODITS's object-text matrix, read instead of embedded.

    Attributes:
        lines: the R lines.
        scores: float32 (R, N), of each word in each line (`odits.models.reading.ctc`).
        log_odds: float32 (R, N), that the word stands there (`odits.models.reading.spotter`).
    """

    lines: list[TextLine]
    scores: np.ndarray
    log_odds: np.ndarray

    def best(self) -> np.ndarray:
        """Return the log-odds float32 (N,) of each word in its best line; minus infinity where there is no line."""
        return self.log_odds.max(0, initial=-np.inf)


class WordSpotter:
    """Spots words in pictures; satisfies `WordModel`.

    Args:
        reader: finds and reads the lines.
        scoring: how words are scored in them.
        calibration: from scores to log-odds; the one for the reader's lines by default.

    Attributes:
        name: as shown to users.
        checkpoint: hexadecimal digest of the reader, its settings and the scoring; caches key on it.

    Examples:
        >>> from odits.core.files import asset
        >>> from odits.data import open_image
        >>> words = Vocabulary.from_words(["BAKERY", "CAFE", "HOTEL"], "signs")
        >>> WordSpotter().predict(open_image(asset("demo/cafe.jpg")), words).top(1)[0].word
        'CAFE'
    """

    def __init__(
        self, reader: TextReader | None = None, scoring: Scoring = DEFAULT, calibration: Calibration | None = None
    ) -> None:
        self.reader = reader or TextReader()
        self.scoring = scoring
        self.calibration = calibration or calibration_for(self.reader.key)
        self.name = f"Word spotting with {self.reader.name}"
        self.checkpoint = sha256_of(f"{self.reader.key} {scoring} {self.calibration}")
        self._last_lexicon: tuple[str, Lexicon] = ("", Lexicon(()))

    @property
    def readers(self) -> tuple[TextReader, ...]:
        """What reads for it, where other processes can do so too; nothing where only this one can."""
        return () if self.reader.recogniser else (self.reader,)

    def read(self, image: Image.Image) -> list[TextLine]:
        """Return the lines of an RGB image, from the store of readings or read now."""
        return stored_lines(image, self.reader)

    def lines_of(self, record: ImageRecord) -> list[TextLine]:
        """Return the lines of a data set's image."""
        return self.read(record.open())

    def score_lines(self, lines: list[TextLine], lexicon: Lexicon) -> Reading:
        """Score the words of a lexicon in lines."""
        scores = score(Lines([line.frames for line in lines]), lexicon, self.scoring)
        raise_scores(scores, lexicon, lines)
        return Reading(lines, scores, self.log_odds(scores, lexicon, lines))

    def log_odds(self, scores: np.ndarray, lexicon: Lexicon, lines: Sequence[TextLine]) -> np.ndarray:
        """Return the log-odds float32 (R, N) that each word stands in each line, from its scores (R, N)."""
        return self.calibration.log_odds(scores, lexicon, lines)

    def _lexicon(self, vocabulary: Vocabulary) -> Lexicon:
        """Spell the vocabulary's words: the last ones stay, since an evaluation takes a few images at a time."""
        digest, lexicon = self._last_lexicon
        if digest != vocabulary.digest:
            lexicon = Lexicon(vocabulary.words)
            self._last_lexicon = (vocabulary.digest, lexicon)
        return lexicon

    def predict(self, image: Image.Image, vocabulary: Vocabulary) -> WordPrediction:
        """Predict which word stands in an RGB image; what is missing to 1 is "none of these"."""
        return WordPrediction(vocabulary, self.probabilities([image], vocabulary)[0], self.name, self.checkpoint)

    def probabilities(self, images: Sequence[Image.Image], vocabulary: Vocabulary, view: View = "scene") -> np.ndarray:
        """Compute word probabilities: the softmax of the words' log-odds and of "none of these", whose log-odds are 0.

        A word's log-odds are those of its best line. Crops are read as scenes are.

        Args:
            images: m RGB images.
            vocabulary: n words.
            view: makes no difference.

        Returns:
            float32 (m, n) in 0..1; a row sums to less than 1.
        """
        lexicon = self._lexicon(vocabulary)
        rows = [odds_shares(self.score_lines(self.read(image), lexicon).best()) for image in images]
        return np.stack(rows) if rows else np.empty((0, len(vocabulary)), np.float32)


class ResultSpotter(WordSpotter):
    """A spotter that knows what another one wrote into a result file (`odits.models.reading.result_files`).

    Args:
        name: as shown to users.
        found: lines by the stem of the image's file name.
    """

    def __init__(self, name: str, found: Mapping[str, list[TextLine]]) -> None:
        super().__init__()
        self.name = name
        self._found = found

    @property
    def readers(self) -> tuple[TextReader, ...]:
        """Nothing: it does not read."""
        return ()

    def lines_of(self, record: ImageRecord) -> list[TextLine]:
        """Return the lines that the file has of a data set's image."""
        return list(self._found.get(Path(record.name).stem, ()))


def odds_shares(log_odds: np.ndarray) -> np.ndarray:
    """Return the softmax float32 (N,) of log-odds (N,) and "none of them" (log-odds 0), without the latter."""
    highest = max(0.0, float(log_odds.max(initial=-np.inf)))
    odds = np.exp(log_odds.astype(np.float64) - highest)
    return (odds / (odds.sum() + np.exp(-highest))).astype(np.float32)


@dataclass(frozen=True, eq=False)
class FoundWord:
    """A word that stands in a picture.

    Attributes:
        word: as the vocabulary spells it.
        probability: that it stands there, in 0..1 (calibrated).
        line: where it was read.
        span: the line's frames that show it.
        corners: float32 (4, 2), x and y in pixels, of that part of the line.
    """

    word: str
    probability: float
    line: TextLine
    span: Span
    corners: np.ndarray

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The upright box around the corners: x0, y0, x1, y1 in pixels."""
        (x0, y0), (x1, y1) = self.corners.min(0), self.corners.max(0)
        return float(x0), float(y0), float(x1), float(y1)


def find_words(
    reading: Reading, words: Sequence[str], threshold: float = 0.5, scoring: Scoring = DEFAULT, overlap: float = 0.5
) -> list[FoundWord]:
    """Find the words that a picture's lines show, most probable first, one word to a place.

    The same place is read at several scales and may resemble several words; the most probable reading counts.

    Args:
        reading: the lines and the words' log-odds in them.
        words: the N words, as the reading has them.
        threshold: the least probability, in 0..1.
        scoring: the penalties of the word's span.
        overlap: words whose boxes share more than this part of the smaller one are at the same place.
    """
    limit = np.log(threshold / (1 - threshold))
    rows, columns = np.nonzero(reading.log_odds >= limit)
    order = np.argsort(-reading.log_odds[rows, columns], kind="stable")
    found: list[FoundWord] = []
    for row, column in zip(rows[order], columns[order], strict=True):
        one = _found_word(reading, row, column, words[column], scoring)
        if all(shared_area(one.box, other.box) <= overlap for other in found):
            found.append(one)
    return found


def place_words(reading: Reading, words: Sequence[str], scoring: Scoring = DEFAULT) -> list[FoundWord | None]:
    """Find where each word would stand: its most probable line, however improbable; None where no line was read.

    Args:
        reading: the lines and the words' log-odds in them.
        words: the N words, as the reading has them.
        scoring: the penalties of the word's span.
    """
    if not reading.lines:
        return [None] * len(words)
    rows = reading.log_odds.argmax(0)
    return [_found_word(reading, rows[column], column, word, scoring) for column, word in enumerate(words)]


def _found_word(reading: Reading, row: int, column: int, word: str, scoring: Scoring) -> FoundWord:
    line = reading.lines[row]
    span = (None if word.isascii() else text_span(line, word)) or locate(line.frames, word, scoring)
    probability = float(1 / (1 + np.exp(-reading.log_odds[row, column])))
    return FoundWord(word, probability, line, span, line.part(span))


def shared_area(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the share, in 0..1, of the smaller of two boxes (x0, y0, x1, y1) that lies in the other."""
    smaller = min(_area(first), _area(second))
    return _common_area(first, second) / smaller if smaller > 0 else 0.0


def overlap_of(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the intersection over union, in 0..1, of two boxes (x0, y0, x1, y1)."""
    common = _common_area(first, second)
    union = _area(first) + _area(second) - common
    return common / union if union > 0 else 0.0


def _common_area(first: Sequence[float], second: Sequence[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
