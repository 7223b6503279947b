"""Seconds an image for finding lines, reading them, and scoring a vocabulary, beside rapidocr's own end-to-end call.

The images (SVT's training images, or the demo ones) are read in turn by both, in one run.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, parser, report
from benchmarks.vocabulary import vocabulary_words
from odits.data import find_data_folder, open_image, read_dataset
from odits.models.reading.ctc import Lexicon
from odits.models.reading.loading import load_spotter
from odits.models.reading.rapidocr import Engine

DEMO = Path(__file__).parents[1] / "assets" / "demo"


def main() -> None:
    """Run the steps one after the other on each image and report the means."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--images", type=int, default=20)
    arguments.add_argument("--spotter", default="spotting", help="spotting, spotting:quick, spotting:v6 or spotting:v4")
    options = arguments.parse_args()
    folder = find_data_folder(options.data)
    paths = [record.path for record in read_dataset(folder).split("train")] if folder else sorted(DEMO.glob("*.jpg"))
    lexicon = Lexicon(vocabulary_words(options.data))
    import rapidocr

    whole = rapidocr.RapidOCR(params={"Global.log_level": "critical"})
    spotter = load_spotter(options.spotter)
    reader = spotter.reader
    engine = Engine(detector=reader.detector)
    steps: dict[str, list[float]] = {name: [] for name in ("detection", "recognition", "scoring", "rapidocr")}
    lines = 0
    for place, path in enumerate([paths[0], *paths[: options.images]]):  # the first one warms up
        image = open_image(path)
        pixels = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        times = [time.perf_counter()]
        found = list(reader.detect(engine, pixels))
        times.append(time.perf_counter())
        recognised = reader.recognise(engine, pixels, found)
        times.append(time.perf_counter())
        spotter.score_lines(recognised, lexicon).best()
        times.append(time.perf_counter())
        whole(pixels)
        times.append(time.perf_counter())
        if place:
            lines += len(recognised)
            for name, seconds in zip(steps, np.diff(times).tolist(), strict=True):
                steps[name].append(seconds)
    sums = {name: float(np.sum(values)) for name, values in steps.items()}
    reading = sums["detection"] + sums["recognition"]
    count = len(steps["scoring"])
    figures = {
        "images": count,
        "lines_an_image": lines / count,
        "words": len(lexicon),
        **{f"{name}_seconds": seconds / count for name, seconds in sums.items()},
        "scoring_share_of_reading": sums["scoring"] / reading,
        "reading_against_rapidocr": reading / sums["rapidocr"],
    }
    report(figures, options.json)


if __name__ == "__main__":
    main()
