"""Fits the calibration of word spotting on the training images, prints it, and what it makes of those images.

For each image and each word of its lexicon: does the spotter's best line show the word? Which line is best depends on
the calibration, so fitting and choosing take turns until nothing changes. Evaluation images are not used.
"""

from __future__ import annotations

import sys
from dataclasses import astuple
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.data.images import open_image
from odits.evaluation.reading_tasks import lexicon_words, spotting_quality
from odits.evaluation.retrieval import mean_average_precision, retrieval_task, spotting_scores
from odits.models.reading.ctc import Lexicon
from odits.models.reading.reader import ReadingSettings, TextReader
from odits.models.reading.spotter import Calibration, WordSpotter, features


def main() -> None:
    """Fit, and report the coefficients with MAP, and F by threshold, on the training images."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--detector", choices=("v4", "v5", "v6"), default="v5", help="finds the lines; default: v5")
    options = arguments.parse_args()
    records = needed_data(options).split("train")
    spotter = WordSpotter(TextReader(ReadingSettings(detector=options.detector)))
    tables, truths = [], []
    for record in records:
        lines, words = spotter.read(open_image(record.path)), lexicon_words(record)
        lexicon = Lexicon(words)
        if lines:
            tables.append(features(spotter.score_lines(lines, lexicon).scores, lexicon, lines))
            truths.append(np.isin(words, [box.word.upper() for box in record.boxed]))
    fitted = fit(tables, truths)
    figures: dict[str, object] = {
        "images": len(records),
        "pairs": int(sum(map(len, truths))),
        "boxed": int(sum(map(np.sum, truths))),
        "fitted": [round(value, 3) for value in astuple(fitted)],
        "shipped": list(astuple(spotter.calibration)),
    }
    calibrated = WordSpotter(spotter.reader, calibration=fitted)
    task = retrieval_task(records)
    figures["train_map"] = mean_average_precision(spotting_scores(calibrated, task).values, task.relevant)
    for threshold in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        figures[f"train_f_at_{threshold}"] = spotting_quality(calibrated, records, threshold).values["f"]
    for threshold in (0.8, 0.9, 0.95, 0.98, 0.99, 0.995):
        quality = spotting_quality(calibrated, records, threshold, full=True)
        figures[f"train_full_lexicon_f_at_{threshold}"] = quality.values["f"]
    report(figures, options.json)


def fit(tables: list[np.ndarray], truths: list[np.ndarray], rounds: int = 20) -> Calibration:
    """Fit the logistic regression of truths (N,) on the features (R, N, 4) of each word's best line."""
    from sklearn.linear_model import LogisticRegression

    true = np.concatenate(truths)
    weights = np.array([1.0, 0, 0, 0])
    for _ in range(rounds):
        best = [table[(table @ weights).argmax(0), np.arange(table.shape[1])] for table in tables]
        model = LogisticRegression(C=10, max_iter=1000).fit(np.concatenate(best), true)
        if np.allclose(model.coef_[0], weights, atol=1e-6):
            break
        weights = model.coef_[0]
    return Calibration(float(model.intercept_[0]), *map(float, weights))


if __name__ == "__main__":
    main()
