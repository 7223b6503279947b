"""From a word's score in a line to the probability that it stands there.

A logistic regression over what a spotter knows of a line and a word, fitted on SVT's training images: for each image
and each word of its lexicon, whether the word is boxed. (Words outside the lexicon are no evidence: SVT boxes none of
them, even where they can be read.) `benchmarks/calibrate_spotting.py` fits it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odits.spotting.ctc import Lexicon
from odits.spotting.reader import TextLine

_UNSURE = -2.0  # lines that the recogniser is less sure of are equally bad


@dataclass(frozen=True)
class Calibration:
    """Log-odds = intercept + score s + length |w| + certainty c + height ln h.

    s: the word's score per letter in the line; |w|: its letters, at most 12; c: the line's certainty; h: its height in
    pixels.
    """

    intercept: float
    score: float
    length: float
    certainty: float
    height: float

    def log_odds(self, scores: np.ndarray, lexicon: Lexicon, lines: Sequence[TextLine]) -> np.ndarray:
        """Log-odds float32 (R, N) that each word stands in each line, from its scores (R, N)."""
        weights = np.array([self.score, self.length, self.certainty, self.height], np.float32)
        return self.intercept + features(scores, lexicon, lines) @ weights


def features(scores: np.ndarray, lexicon: Lexicon, lines: Sequence[TextLine]) -> np.ndarray:
    """What the log-odds are a linear function of, float32 (R, N, 4), in the order of `Calibration`."""
    length = np.minimum(lexicon.lengths, 12).astype(np.float32)
    certainty = np.array([max(line.certainty, _UNSURE) for line in lines], np.float32)
    height = np.log([max(line.height, 1.0) for line in lines]).astype(np.float32)
    columns = np.broadcast_arrays(scores, length, certainty[:, None], height[:, None])
    return np.stack(columns, axis=-1)


SVT_TRAIN = Calibration(-6.162, 3.129, 0.357, 7.995, 2.011)
"""Fitted on SVT's 100 training images, with the reader's and the scoring's defaults."""
