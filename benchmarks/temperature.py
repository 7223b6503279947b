"""What sharper or flatter probabilities alone do to the metrics: a kept table of probabilities, raised to powers.

The power 1 / T stands for a change of the temperature by T. No order changes, so precision@10 and average precision
stay; what moves is owed to sharpness and not to knowledge. The table comes from `odits evaluate --save-probabilities`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.report import add_data, needed_data, parser, report
from odits.data import Vocabulary
from odits.evaluation.evaluate import Lexicons
from odits.metrics import probabilities as metrics

POWERS = (0.5, 1.0, 1.5, 2.0, 3.0)


def main() -> None:
    """Reports the confidence metrics for each power."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("probabilities", type=Path, help="the .npz that odits evaluate wrote")
    add_data(arguments)
    options = arguments.parse_args()
    dataset = needed_data(options)
    with np.load(options.probabilities) as kept:
        table, words, images = kept["probabilities"].astype(np.float64), kept["words"].tolist(), kept["images"].tolist()
    records = [dataset.find(name) for name in images]
    relevant = Lexicons(records, Vocabulary.from_words(words, "kept")).relevant(slice(None))
    figures: dict[str, object] = {"images": len(records), "words": len(words)}
    for power in POWERS:
        scaled = table**power
        scaled /= scaled.sum(1, keepdims=True)
        found = metrics.confidence_metrics(scaled, relevant)
        figures |= {
            f"{name} at power {power:g}": float(np.nanmean(found[name])) for name in ("precision", "recall", "f1")
        }
    report(figures, options.json)


if __name__ == "__main__":
    main()
