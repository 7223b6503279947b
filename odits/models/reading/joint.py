"""Word spotting by several readers: each line is calibrated for the networks that read it, the best line of all counts.

What one detector overlooks another one finds. The networks' log-odds are fitted one by one
(`odits.models.reading.spotter.SVT_TRAIN`), so they compare: on SVT's training images no combination that was fitted on
top of them (means, weights of each) predicted the boxed words better than the largest (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
from PIL import Image

from odits.core.files import sha256_of
from odits.models.reading.ctc import Lexicon
from odits.models.reading.packaged import Detector, is_installed
from odits.models.reading.reader import ReadingSettings, TextLine, TextReader
from odits.models.reading.spotter import WordSpotter


class JointSpotter(WordSpotter):
    """Spots words by all readers that are installed.

    Args:
        settings: of each reader, but for its detector.
        threads: of each network; all cores by default.

    Attributes:
        members: a spotter for each reader.
    """

    def __init__(self, settings: ReadingSettings | None = None, threads: int | None = None) -> None:
        used = settings or ReadingSettings()
        detectors: list[Detector] = [detector for detector in get_args(Detector) if is_installed(detector)]
        self.members = [WordSpotter(TextReader(replace(used, detector=detector), threads)) for detector in detectors]
        super().__init__(self.members[-1].reader)
        self.name = f"Word spotting with PP-OCR {', '.join(detectors[:-1])} and {detectors[-1]} together"
        self.checkpoint = sha256_of(" ".join(member.checkpoint for member in self.members))

    @property
    def readers(self) -> tuple[TextReader, ...]:
        """What reads for it."""
        return tuple(member.reader for member in self.members)

    def read(self, image: Image.Image) -> list[TextLine]:
        """Return the lines of an RGB image that any reader finds, each with the number of its reader."""
        return [
            replace(line, reader=number) for number, member in enumerate(self.members) for line in member.read(image)
        ]

    def log_odds(self, scores: np.ndarray, lexicon: Lexicon, lines: Sequence[TextLine]) -> np.ndarray:
        """Return the log-odds float32 (R, N) that each word stands in each line, by the calibration of its reader."""
        found = np.empty_like(scores)
        for number, member in enumerate(self.members):
            rows = [row for row, line in enumerate(lines) if line.reader == number]
            found[rows] = member.calibration.log_odds(scores[rows], lexicon, [lines[row] for row in rows])
        return found
