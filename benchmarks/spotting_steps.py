"""What each step of word spotting brings: word-retrieval MAP on the training images, one step added at a time.

Evaluation images are not used: the steps were chosen by this table.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.evaluation.retrieval import mean_average_precision, retrieval_task, spotting_scores
from odits.models.reading.reader import ReadingSettings, TextReader
from odits.models.reading.spotter import SVT_TRAIN, WordSpotter

STEPS = {
    "one scale, confident lines": ReadingSettings(scales=(1.0,), confident=0.5),
    "doubtful lines too": ReadingSettings(scales=(1.0,)),
    "and enlarged": ReadingSettings(scales=(1.0, 1.5)),
    "and reduced": ReadingSettings(scales=(0.5, 1.0, 1.5)),
}
SCORE_ONLY = replace(SVT_TRAIN["v5"], intercept=0.0, score=1.0, length=0.0, certainty=0.0, height=0.0)


def main() -> None:
    """Read the training images by each setting (stored for the next run) and report MAP."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    options = arguments.parse_args()
    task = retrieval_task(needed_data(options).split("train"))
    figures: dict[str, object] = {"images": len(task.records), "queries": len(task.queries)}
    for name, settings in STEPS.items():
        spotter = WordSpotter(TextReader(settings), calibration=SCORE_ONLY)
        figures[name] = mean_average_precision(spotting_scores(spotter, task).values, task.relevant)
    figures["and the line's certainty and height"] = mean_average_precision(
        spotting_scores(WordSpotter(TextReader(ReadingSettings())), task).values, task.relevant
    )
    report(figures, options.json)


if __name__ == "__main__":
    main()
