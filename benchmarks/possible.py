"""What is possible on a data set, from its annotations alone: how well words are ranked where signs are read perfectly.

No picture is opened. Each row knows something: how often words occur in training lexicons (the prior), the words that
are boxed in the image, the training lexicons that share such words, or, as a bound for all that knows training
lexicons, the one of them that shares most of the image's own lexicon. Sharpness is chosen on training images, each left
out in turn. Of scenes by `odits render --neighbourhoods` the law is known, and with it the best that anyone can do.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import add_data, needed_data, parser, report
from odits.data import Dataset, ImageRecord, Vocabulary
from odits.metrics.paired import RESAMPLES, mean_interval
from odits.metrics.probabilities import rank_metrics
from odits.metrics.scoring import Lexicons
from odits.training.neighbourhoods import LAW_FILE, Law

METRICS = ("precision_at_10", "average_precision")
SHARPNESS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
FIRST = 1e3
"""What a word that is known to be shown has more than others."""
QUICK_RESAMPLES = 1_000


def main() -> None:
    """Report each row's metrics over the evaluation images, with 95 % intervals over images."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="fewer draws for the intervals")
    add_data(arguments)
    options = arguments.parse_args()
    dataset = needed_data(options)
    vocabulary = dataset.vocabulary()
    relevant = lexicons(dataset.split("eval"), vocabulary)
    resamples = QUICK_RESAMPLES if options.quick else RESAMPLES
    sharpness = choose_sharpness(dataset, vocabulary)
    figures: dict[str, object] = {
        "images": len(relevant),
        "words": len(vocabulary),
        "boxed_words_per_image": float(boxed(dataset.split("eval"), vocabulary).sum(1).mean()),
        "sharpness": sharpness,
    }
    known = rows(dataset, vocabulary, sharpness)
    if (dataset.root / LAW_FILE).is_file():
        known |= rows_of_law(Law.load(dataset.root), dataset, vocabulary)
    for name, scores in known.items():
        found = rank_metrics(scores, relevant)
        for metric in METRICS:
            figures[f"{name}: {metric}"] = float(np.nanmean(found[metric]))
            figures[f"{name}: {metric}, interval"] = mean_interval(found[metric], resamples)
    report(figures, options.json)


def lexicons(records: Sequence[ImageRecord], vocabulary: Vocabulary) -> np.ndarray:
    """Return which words each image's lexicon has, bool (m, n)."""
    found: np.ndarray = Lexicons(records, vocabulary).relevant(slice(None))
    return found


def boxed(records: Sequence[ImageRecord], vocabulary: Vocabulary) -> np.ndarray:
    """Return which words are boxed in each image, bool (m, n)."""
    found = np.zeros((len(records), len(vocabulary)), bool)
    for row, record in zip(found, records, strict=True):
        row[[place for one in record.boxed if (place := vocabulary.find(one.word)) is not None]] = True
    return found


def rows(dataset: Dataset, vocabulary: Vocabulary, sharpness: float) -> dict[str, np.ndarray]:
    """Return scores float64 (m, n) of the evaluation images, by what each row knows."""
    train, records = dataset.split("train"), dataset.split("eval")
    known, shown = lexicons(train, vocabulary), boxed(records, vocabulary)
    prior = known.mean(0)
    shared = shown.astype(np.float64) @ known.T
    closest = known[(lexicons(records, vocabulary).astype(np.float64) @ known.T).argmax(1)]
    return {
        "prior": np.tile(prior, (len(records), 1)),
        "boxed words, then the prior": FIRST * shown + prior,
        "boxed words, then training lexicons by words shared": FIRST * shown + mixed(shared, known) + 0.01 * prior,
        "boxed words, then training lexicons by the rarity of words shared": FIRST * shown
        + by_rarity(shown, known, sharpness),
        "boxed words, then the training lexicon closest to the image's own": FIRST * shown + closest + 0.01 * prior,
    }


def rows_of_law(law: Law, dataset: Dataset, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """Return the probabilities float64 (m, n) by the law that drew the lexicons, for those who know more or less."""
    records = dataset.split("eval")
    places = [vocabulary.find(word) for word in law.words]
    there = np.array([place is not None for place in places])
    columns = np.array([place for place in places if place is not None])

    def by_law(table: np.ndarray) -> np.ndarray:
        found = np.zeros((len(table), len(law.words)), bool)
        found[:, there] = table[:, columns]
        return found

    def by_vocabulary(probabilities: np.ndarray) -> np.ndarray:
        found = np.zeros((len(records), len(vocabulary)))
        found[:, columns] = probabilities[..., there]
        return found

    shown, held = boxed(records, vocabulary), lexicons(records, vocabulary)
    return {
        "the law, nothing known": by_vocabulary(law.marginal()),
        "the law and the boxed words": by_vocabulary(law.given_shown(by_law(shown))),
        "the law and the neighbourhood": by_vocabulary(law.in_neighbourhood(by_law(held))),
        "the law, the neighbourhood and the boxed words": FIRST * shown
        + by_vocabulary(law.in_neighbourhood(by_law(held))),
    }


def mixed(weights: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mix training lexicons bool (t, n) by weights (m, t): float64 (m, n)."""
    total = weights.sum(1, keepdims=True)
    mixture: np.ndarray = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0) @ known
    return mixture


def by_rarity(shown: np.ndarray, known: np.ndarray, sharpness: float) -> np.ndarray:
    """Mix training lexicons by exp(sharpness * sum over shared words of ln(t / how many lexicons have the word))."""
    rarity = np.log(len(known) / np.maximum(known.sum(0), 1))
    kernel = np.exp(sharpness * ((shown * rarity) @ known.T))
    return mixed(kernel, known)


def choose_sharpness(dataset: Dataset, vocabulary: Vocabulary) -> float:
    """Return the sharpness with the highest average precision on the training images, each left out in turn."""
    train = dataset.split("train")
    known, shown = lexicons(train, vocabulary), boxed(train, vocabulary)

    def quality(sharpness: float) -> float:
        found = []
        for place in range(len(train)):
            others = np.delete(known, place, axis=0)
            scores = FIRST * shown[place : place + 1] + by_rarity(shown[place : place + 1], others, sharpness)
            found.append(rank_metrics(scores, known[place : place + 1])["average_precision"][0])
        return float(np.nanmean(found))

    return max(SHARPNESS, key=quality)


if __name__ == "__main__":
    main()
