"""Word spotters by their references."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, get_args

from odits.models.reading.joint import JointSpotter
from odits.models.reading.packaged import Detector
from odits.models.reading.reader import QUICK_SCALES, ReadingSettings, TextReader
from odits.models.reading.spotter import WordSpotter
from odits.models.reference import SPOTTING, ModelRef, parse


def load_spotter(
    reference: ModelRef | str = SPOTTING, settings: ReadingSettings | None = None, threads: int | None = None
) -> WordSpotter:
    """Load the word spotter that a reference stands for; its networks are loaded at the first picture.

    Args:
        reference: "spotting"; "spotting:v6" where PP-OCRv6's detector is to find the lines, "spotting:v4" for v4's
            networks; "spotting:joint" for all that are installed; "spotting:quick" for fewer scales; "spotting:vitstr"
            for docTR's ViTSTR as recogniser, with a colon and a weights file where docTR's own weights are not wanted.
        settings: of the reader.
        threads: of each network; all cores by default.

    Raises:
        OditsError: there is no such spotter, docTR is not installed, or its weights can't be had.
    """
    ref = parse(reference, "spotting")
    if ref.architecture == "joint":
        return JointSpotter(settings, threads)
    if ref.architecture in get_args(Detector):
        settings = replace(settings or ReadingSettings(), detector=cast("Detector", ref.architecture))
    if ref.architecture == "quick":
        settings = replace(settings or ReadingSettings(), scales=QUICK_SCALES)
    if ref.architecture != "vitstr":
        return WordSpotter(TextReader(settings, threads))
    from odits.models.reading.vitstr import Vitstr

    return WordSpotter(TextReader(settings, threads, Vitstr(ref.path)))
