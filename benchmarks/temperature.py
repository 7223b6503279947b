"""What sharper or flatter probabilities alone do to the metrics: a stored table of probabilities, raised to powers.

The power 1 / T stands for a change of the temperature by T. No order changes, so precision@10 and average precision
stay; what moves is owed to sharpness and not to knowledge. The table comes from `odits evaluate --save-probabilities`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.data import Vocabulary
from odits.metrics import probabilities as metrics
from odits.metrics.scoring import Lexicons

POWERS = (0.5, 1.0, 1.5, 2.0, 3.0)


def main() -> None:
    """Report the confidence metrics for each power."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("probabilities", type=Path, help="the .npz that odits evaluate wrote")
    add_data(arguments)
    options = arguments.parse_args()
    dataset = needed_data(options)
    with np.load(options.probabilities) as archive:
        table, words, images = (
            archive["probabilities"].astype(np.float64),
            archive["words"].tolist(),
            archive["images"].tolist(),
        )
    records = [dataset.find(name) for name in images]
    relevant = Lexicons(records, Vocabulary.from_words(words, "stored")).relevant(slice(None))
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
