"""Facts about a data set's words and images (section 2.1.1 and Table 2.1 of the thesis)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from odits.core.errors import OditsError
from odits.data.records import Dataset, ImageRecord

RARE = 20
MOST_COMMON = 8


def word_frequencies(records: Iterable[ImageRecord]) -> Counter[str]:
    """Count how often each word occurs in the lexicons; every occurrence counts, repeats inside one lexicon too."""
    return Counter(word for record in records for word in record.lexicon)


def lexicon_lengths(records: Iterable[ImageRecord]) -> list[int]:
    """Count the different words of each image's lexicon, in the images' order."""
    return [len(set(record.lexicon)) for record in records]


def dataset_facts(dataset: Dataset) -> dict[str, Any]:
    """Compute Table 2.1 and the overlap counts, ready for JSON.

    Returns:
        `train_unique`, `eval_unique`, `common_unique`, `all_unique`: numbers of different words. `frequency`: count,
        mean, std (n − 1; None for a single word), min, 25%, 50%, 75%, max of the occurrences per word over both
        splits. `at_most_20`: words with at most 20 occurrences. `most_common`: the eight most frequent, as [word,
        occurrences].

    Raises:
        OditsError: no lexicon has a word.
    """
    train = word_frequencies(dataset.split("train"))
    evaluation = word_frequencies(dataset.split("eval"))
    both = train + evaluation
    if not both:
        raise OditsError(f"No lexicon of {dataset.name} has a word.")
    occurrences = np.array(list(both.values()))
    quartiles = np.percentile(occurrences, (25, 50, 75))
    return {
        "train_unique": len(train),
        "eval_unique": len(evaluation),
        "common_unique": len(train.keys() & evaluation.keys()),
        "all_unique": len(both),
        "frequency": {
            "count": len(occurrences),
            "mean": float(occurrences.mean()),
            "std": float(occurrences.std(ddof=1)) if len(occurrences) > 1 else None,
            "min": int(occurrences.min()),
            "25%": float(quartiles[0]),
            "50%": float(quartiles[1]),
            "75%": float(quartiles[2]),
            "max": int(occurrences.max()),
        },
        "at_most_20": int((occurrences <= RARE).sum()),
        "most_common": [[word, number] for word, number in both.most_common(MOST_COMMON)],
    }


def split_facts(dataset: Dataset) -> list[dict[str, Any]]:
    """Summarise each split that has images, and all of them where there are two.

    Returns:
        A row for each, with the keys `split`, `images`, `unique_words`, `shortest_lexicon` and `longest_lexicon` (in
        different words), `boxed_words`.
    """
    rows = []
    for split in (*dataset.splits, "all") if len(dataset.splits) > 1 else dataset.splits:
        records = dataset.split(split)
        lengths = lexicon_lengths(records)
        rows.append(
            {
                "split": split,
                "images": len(records),
                "unique_words": len(word_frequencies(records)),
                "shortest_lexicon": min(lengths),
                "longest_lexicon": max(lengths),
                "boxed_words": sum(len(record.boxed) for record in records),
            }
        )
    return rows
