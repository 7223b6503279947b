"""Shapley values of objects beside the model's own contributions: do they rank alike, and which is more faithful?

For the top word of each image: Spearman's correlation of each order with that of the Shapley values, and the areas
under the word's probability while objects are taken away (deletion, small is faithful) and put back (insertion, large).
Intervals are a paired bootstrap over images.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.data import ImageRecord, Vocabulary
from odits.metrics.paired import paired_bootstrap
from odits.models.fusion.explanation import Explainer, curves
from odits.models.fusion.model import OditsModel
from odits.models.fusion.shapley import EXACT_PLAYERS, PERMUTATIONS
from odits.models.reference import STREET
from odits.models.registry import load

ORDERS = ("shapley", "contribution", "attention", "random")
QUICK_IMAGES = 20


def main() -> None:
    """Run the benchmark and print its report."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("checkpoint", nargs="?", default=STREET, help="an ODITS checkpoint; default: ODITS Street")
    add_data(arguments)
    arguments.add_argument("--images", type=int, default=0, help="only so many images")
    arguments.add_argument("--quick", action="store_true", help=f"only {QUICK_IMAGES} images")
    arguments.add_argument("--permutations", type=int, default=PERMUTATIONS, help="pairs of orders an image")
    options = arguments.parse_args()
    dataset = needed_data(options)
    records = dataset.split("eval")[: QUICK_IMAGES if options.quick else options.images or None]
    model = load(options.checkpoint, kind="odits")
    rows = list(look(model, records, dataset.vocabulary(), options.permutations))
    report({"model": model.name, "checkpoint": model.checkpoint, **summary(rows, len(records))}, options.json)


def look(
    model: OditsModel, records: Sequence[ImageRecord], vocabulary: Vocabulary, permutations: int
) -> Iterator[dict[str, float]]:
    """Yield what is measured on each image with two objects or more."""
    rng = np.random.default_rng(0)
    for number, record in enumerate(records, start=1):
        sys.stderr.write(f"\rimage {number} of {len(records)}")
        one = model.input_encoder.encode(record.path, vocabulary)
        explainer = Explainer(model, one, vocabulary)
        if len(explainer.groups) < 2:
            continue
        prediction = model.predict_input(one, vocabulary)
        word = int(prediction.probabilities.argmax())
        shapley = explainer.shapley(word, permutations)
        scores = {
            "shapley": shapley.values,
            "contribution": explainer.contributions([word])[:, 0].astype(np.float64),
            "attention": explainer.attention(prediction.attention).astype(np.float64),
            "random": rng.random(len(explainer.groups)),
        }
        row = {
            "objects": float(len(explainer.groups)),
            "exact": float(shapley.exact),
            "brought": shapley.everything - shapley.nothing,
            "error": float(np.sqrt(np.mean(shapley.errors**2))),
            "spread": float(np.std(shapley.values)),
            "first": float(scores["contribution"].argmax() == shapley.values.argmax()),
        }
        for name, values in scores.items():
            areas = curves(explainer, word, np.argsort(-values, kind="stable"))
            row |= {f"{name} deletion": areas.deletion, f"{name} insertion": areas.insertion}
            varies = np.ptp(values) > 0 and np.ptp(shapley.values) > 0
            row[f"{name} correlation"] = float(spearmanr(values, shapley.values)[0]) if varies else float("nan")
        yield row
    sys.stderr.write("\n")


def summary(rows: list[dict[str, float]], images: int) -> dict[str, Any]:
    """Return means over images, and differences to the contributions with their intervals."""
    table = {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    if not rows:
        return {"images": 0, "images_with_fewer_than_two_objects": images}
    found: dict[str, Any] = {
        "images": len(rows),
        "images_with_fewer_than_two_objects": images - len(rows),
        "objects_median": float(np.median(table["objects"])),
        f"exact_up_to_{EXACT_PLAYERS}_objects": int(table["exact"].sum()),
        "standard_error": float(table["error"].mean()),
        "spread_of_values": float(table["spread"].mean()),
        "logit_brought_by_all_objects": float(table["brought"].mean()),
        "same_first_object_as_by_contribution": float(table["first"].mean()),
    }
    for name in ORDERS:
        found[name] = {kind: float(table[f"{name} {kind}"].mean()) for kind in ("deletion", "insertion")}
        if name != "shapley":
            known = table[f"{name} correlation"]
            known = known[~np.isnan(known)]  # an order of equal values correlates with nothing
            found[name] |= {
                "rank_correlation_with_shapley": float(known.mean()) if len(known) else None,
                "images_with_a_rank_correlation": len(known),
            }
    for name in (one for one in ORDERS if one != "contribution"):
        changes = [table[f"{name} {kind}"] - table[f"contribution {kind}"] for kind in ("deletion", "insertion")]
        found[f"{name}_minus_contribution"] = {
            kind: None if change is None else {"difference": change.difference, "low": change.low, "high": change.high}
            for kind, change in zip(("deletion", "insertion"), paired_bootstrap(np.array(changes)), strict=True)
        }
    return found


if __name__ == "__main__":
    main()
