"""Are ODITS's explanations faithful? Deletion and insertion areas for the top word of each evaluation image.

Each object's contribution is what the word's logit loses without it. The order by contributions, and that by attention,
are compared with the mean of random orders; intervals are a paired bootstrap over images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.metrics.paired import paired_bootstrap
from odits.models.fusion.explanation import Explainer, curves
from odits.models.registry import load

RANDOM = 5


def main() -> None:
    """Run the benchmark and print its report."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("checkpoint", type=Path, help="an ODITS checkpoint")
    add_data(arguments)
    arguments.add_argument("--images", type=int, default=0, help="only so many images")
    options = arguments.parse_args()
    dataset = needed_data(options)
    model, vocabulary = load(options.checkpoint, kind="odits"), dataset.vocabulary()
    rng = np.random.default_rng(0)
    rows = []
    without = 0
    for record in dataset.split("eval")[: options.images or None]:
        one = model.input_encoder.encode(record.path, vocabulary)
        explainer = Explainer(model, one, vocabulary)
        if len(explainer.groups) < 2:
            without += 1
            continue
        prediction = model.predict_input(one, vocabulary)
        word = int(prediction.probabilities.argmax())
        by_contribution = np.argsort(-explainer.contributions([word])[:, 0], kind="stable")
        by_attention = np.argsort(-explainer.attention(prediction.attention), kind="stable")
        chance = [curves(explainer, word, rng.permutation(len(by_contribution))) for _ in range(RANDOM)]
        random = [np.mean([c.deletion for c in chance]), np.mean([c.insertion for c in chance])]
        found = [curves(explainer, word, order) for order in (by_contribution, by_attention)]
        rows.append([*random, *(value for c in found for value in (c.deletion, c.insertion))])
    table = np.array(rows)
    names = ("random", "contribution", "attention")
    result = {
        "images": len(table),
        "images_with_fewer_than_two_objects": without,
        **{
            name: {"deletion": float(table[:, 2 * i].mean()), "insertion": float(table[:, 2 * i + 1].mean())}
            for i, name in enumerate(names)
        },
    }
    for i, name in enumerate(names[1:], 1):
        result[f"{name}_better_than_random"] = {
            "deletion": interval(table[:, 0] - table[:, 2 * i]),
            "insertion": interval(table[:, 2 * i + 1] - table[:, 1]),
        }
    report(result, options.json)


def interval(values: np.ndarray) -> dict[str, float]:
    """Compute the mean of (m,) differences with its 95 % bootstrap interval."""
    (found,) = paired_bootstrap(values[None])
    assert found is not None
    return {"difference": found.difference, "low": found.low, "high": found.high}


if __name__ == "__main__":
    main()
