"""How good word probabilities are: SPEC's metrics, each computed per image and then averaged over images.

Every function takes probabilities float (m, n), a row an image, and `relevant` bool (m, n), the words of the image's
lexicon. Rows are independent of each other, except for `youden_thresholds`, which looks at a word over all images.
"""

from __future__ import annotations

import numpy as np

CONFIDENCE = ("accuracy", "precision", "recall", "f1")
RANK = ("precision_at_10", "average_precision", "recall_at_10", "recall_at_50", "lexicon_mass")


def confidence_metrics(probabilities: np.ndarray, relevant: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, precision, recall and F1 of each image by the thesis's second approach (2.3.10-2.3.13), each (m,).

    TP = sum of p+/max p+, TN = sum of 1 - p-/max p-, FP = sum of p-/max p-, FN = sum of 1 - p+/max p+, where p+ are the
    probabilities of the lexicon's words and p- the others'. (The thesis calls TN and FN sums "where the probability is
    zero"; these formulas are what its numbers follow.) An image with an empty lexicon gives NaN.
    """
    positives = _scaled(probabilities, relevant)
    negatives = _scaled(probabilities, ~relevant)
    count_positive = relevant.sum(1)
    count_negative = relevant.shape[1] - count_positive
    tp, fp = positives.sum(1), negatives.sum(1)
    return from_confusion(tp, count_negative - fp, fp, count_positive - tp)


def _scaled(probabilities: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Probabilities of the members divided by the largest of them in each row, 0 elsewhere."""
    kept = np.where(members, probabilities.astype(np.float64), 0.0)
    largest = kept.max(1, keepdims=True)
    return np.divide(kept, largest, out=np.zeros_like(kept), where=largest > 0)


def from_confusion(tp: np.ndarray, tn: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, precision, recall and F1 (2.3.1-2.3.4); a ratio of nothing to nothing is 0, without positives NaN."""
    tp, tn, fp, fn = (np.asarray(value, np.float64) for value in (tp, tn, fp, fn))
    empty = tp + fn == 0
    found = {
        "accuracy": _ratio(tp + tn, tp + tn + fp + fn),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
    }
    return {name: np.where(empty, np.nan, value) for name, value in found.items()}


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def uniformity(probabilities: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Entropy (m,) of each image's lexicon probabilities, renormalised, to the base of their number (2.3.15).

    1 is perfectly uniform. NaN for an image with fewer than two words or without any probability on them.
    """
    kept = np.where(relevant, probabilities.astype(np.float64), 0.0)
    total = kept.sum(1, keepdims=True)
    share = np.divide(kept, total, out=np.zeros_like(kept), where=total > 0)
    entropy = -(share * np.log(share, out=np.zeros_like(share), where=share > 0)).sum(1)
    count = relevant.sum(1)
    usable = (count > 1) & (total[:, 0] > 0)
    return np.where(usable, np.divide(entropy, np.log(np.maximum(count, 2))), np.nan)


def rank_metrics(probabilities: np.ndarray, relevant: np.ndarray) -> dict[str, np.ndarray]:
    """Precision@10, average precision, recall@10, recall@50 and the lexicon's probability mass, each (m,).

    Words are ranked by probability, ties in the vocabulary's order. An image with an empty lexicon gives NaN.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    hits = np.take_along_axis(relevant, order, axis=1)
    count = relevant.sum(1)
    found = np.cumsum(hits, axis=1)
    precision = found / np.arange(1, hits.shape[1] + 1)
    results = {
        "precision_at_10": hits[:, :10].mean(1),
        "average_precision": _ratio((precision * hits).sum(1), count.astype(np.float64)),
        "recall_at_10": _ratio(hits[:, :10].sum(1).astype(np.float64), count.astype(np.float64)),
        "recall_at_50": _ratio(hits[:, :50].sum(1).astype(np.float64), count.astype(np.float64)),
        "lexicon_mass": np.where(relevant, probabilities, 0.0).sum(1, dtype=np.float64),
    }
    return {name: np.where(count == 0, np.nan, value) for name, value in results.items()}


def youden_thresholds(probabilities: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """The threshold (n,) of each word that maximises Youden's J = TPR - FPR over the images (2.3.5-2.3.9).

    Thresholds are observed probabilities; a word is predicted at or above its threshold; of equal J the highest
    threshold counts. NaN for a word with no positive or no negative image: it has no ROC curve.
    """
    order = np.argsort(-probabilities, axis=0, kind="stable")
    scores = np.take_along_axis(probabilities, order, axis=0)
    hits = np.take_along_axis(relevant, order, axis=0)
    positives = hits.sum(0)
    negatives = len(hits) - positives
    usable = (positives > 0) & (negatives > 0)
    tpr = np.cumsum(hits, axis=0) / np.maximum(positives, 1)
    fpr = np.cumsum(~hits, axis=0) / np.maximum(negatives, 1)
    j = tpr - fpr
    j[:-1][scores[:-1] == scores[1:]] = -np.inf  # a threshold takes all images of equal probability or none
    best = np.take_along_axis(scores, j.argmax(0)[None], axis=0)[0]
    return np.where(usable, best, np.nan)


def threshold_confusion(
    probabilities: np.ndarray, relevant: np.ndarray, epsilon: np.ndarray, lexicon_sizes: np.ndarray
) -> np.ndarray:
    """TP, TN, FP and FN of each image as int64 (4, m), by the thesis's first approach (2.3.5-2.3.9).

    Word j of image i is predicted when p_ij >= 1/|W_i+| - epsilon_j. Words whose epsilon is NaN are left out. The words
    may be a part of the vocabulary: the counts of several parts add up. `lexicon_sizes` (m,) are the |W_i+|.
    """
    kept = ~np.isnan(epsilon)
    predicted = probabilities[:, kept] >= 1 / np.maximum(lexicon_sizes, 1)[:, None] - epsilon[kept]
    true = relevant[:, kept]
    parts = (predicted & true, ~predicted & ~true, predicted & ~true, ~predicted & true)
    return np.stack([part.sum(1, dtype=np.int64) for part in parts])


def uniform_row(count: int) -> np.ndarray:
    """The same probability (n,) for every word: a model that knows nothing."""
    return np.full(count, 1 / count, np.float32)


def prior_row(document_frequency: np.ndarray) -> np.ndarray:
    """Probabilities (n,) from how many training lexicons hold each word, plus 0.01: a model that sees no image."""
    weights = np.asarray(document_frequency, np.float64) + 0.01
    return (weights / weights.sum()).astype(np.float32)


def disagreement(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """How differently two models describe each image (m,): Jensen-Shannon divergence in bits of their rows (m, n).

    0 where both say the same, 1 where no word has a probability in both. Rows are taken one by one, so that tables on
    the disk stay there.
    """
    found = np.empty(len(p))
    for row, (one, other) in enumerate(zip(p, q, strict=True)):
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        one, other = one / one.sum(), other / other.sum()
        middle = (one + other) / 2
        found[row] = (_bits(one, middle) + _bits(other, middle)) / 2
    return np.clip(found, 0.0, 1.0)


def _bits(p: np.ndarray, q: np.ndarray) -> float:
    """Kullback-Leibler divergence of p from q in bits; q is positive wherever p is."""
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())
