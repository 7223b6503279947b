"""How good word probabilities are: metrics that are computed per image and then averaged over images.

Every function takes probabilities float (m, n), a row an image, and `relevant` bool (m, n), the words of the image's
lexicon. Rows are independent of each other, except for `youden_thresholds`, which considers a word over all images.

References:
    The thesis, section 2.3 (equations 2.3.1 to 2.3.15).
    W. J. Youden (1950), "Index for rating diagnostic tests", Cancer 3.
    J. Lin (1991), "Divergence measures based on the Shannon entropy", IEEE Transactions on Information Theory 37.
"""

from __future__ import annotations

import numpy as np

CONFIDENCE = ("accuracy", "precision", "recall", "f1")
RANK = ("precision_at_10", "average_precision", "recall_at_10", "recall_at_50", "lexicon_mass")

_PRIOR_COUNT = 0.01  # so that a word which no training lexicon holds keeps a probability


def confidence_metrics(probabilities: np.ndarray, relevant: np.ndarray) -> dict[str, np.ndarray]:
    """Compute accuracy, precision, recall and F1 by the thesis's second approach (2.3.10-2.3.13).

    TP = sum of p+/max p+, TN = sum of 1 - p-/max p-, FP = sum of p-/max p-, FN = sum of 1 - p+/max p+, where p+ are the
    probabilities of the lexicon's words and p- the others'. (The thesis calls TN and FN sums "where the probability is
    zero"; these formulas are what its numbers follow.)

    Args:
        probabilities: float (m, n).
        relevant: bool (m, n).

    Returns:
        Four arrays (m,) in 0..1 by the names in `CONFIDENCE`; NaN for an image with an empty lexicon.

    Example:
        >>> found = confidence_metrics(np.array([[0.6, 0.3, 0.1]]), np.array([[True, False, False]]))
        >>> {name: float(value[0].round(3)) for name, value in found.items()}
        {'accuracy': 0.556, 'precision': 0.429, 'recall': 1.0, 'f1': 0.6}
    """
    tp = _scaled(probabilities, relevant).sum(1)
    fp = _scaled(probabilities, ~relevant).sum(1)
    positives = relevant.sum(1)
    negatives = relevant.shape[1] - positives
    return from_confusion(tp, negatives - fp, fp, positives - tp)


def _scaled(probabilities: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Divide the members' probabilities by the largest of them in each row; 0 elsewhere."""
    masked = np.where(members, probabilities.astype(np.float64), 0.0)
    largest = masked.max(1, keepdims=True)
    return np.divide(masked, largest, out=np.zeros_like(masked), where=largest > 0)


def from_confusion(tp: np.ndarray, tn: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> dict[str, np.ndarray]:
    """Compute accuracy, precision, recall and F1 from a confusion (2.3.1-2.3.4).

    Args:
        tp: true positives (m,), whole numbers or sums of confidences; likewise the others.
        tn: true negatives.
        fp: false positives.
        fn: false negatives.

    Returns:
        Four arrays (m,) in 0..1 by the names in `CONFIDENCE`; a ratio of nothing to nothing is 0, and all four are NaN
        for an image without positives.
    """
    tp, tn, fp, fn = (np.asarray(value, np.float64) for value in (tp, tn, fp, fn))
    ratios = {
        "accuracy": _ratio(tp + tn, tp + tn + fp + fn),
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
    }
    empty = tp + fn == 0
    return {name: np.where(empty, np.nan, value) for name, value in ratios.items()}


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def uniformity(probabilities: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Compute the entropy of each image's lexicon probabilities, renormalised, to the base of their number (2.3.15).

    Args:
        probabilities: float (m, n).
        relevant: bool (m, n).

    Returns:
        float64 (m,) in 0..1, 1 where they are perfectly uniform; NaN for an image with fewer than two words or without
        any probability on them.
    """
    masked = np.where(relevant, probabilities.astype(np.float64), 0.0)
    total = masked.sum(1, keepdims=True)
    share = np.divide(masked, total, out=np.zeros_like(masked), where=total > 0)
    entropy = -(share * np.log(share, out=np.zeros_like(share), where=share > 0)).sum(1)
    count = relevant.sum(1)
    defined = (count > 1) & (total[:, 0] > 0)
    return np.where(defined, np.divide(entropy, np.log(np.maximum(count, 2))), np.nan)


def rank_metrics(probabilities: np.ndarray, relevant: np.ndarray) -> dict[str, np.ndarray]:
    """Compute precision@10, average precision, recall@10, recall@50 and the lexicon's probability mass.

    Words are ranked by probability, ties in the vocabulary's order.

    Args:
        probabilities: float (m, n).
        relevant: bool (m, n).

    Returns:
        Five arrays float64 (m,) in 0..1 by the names in `RANK`; NaN for an image with an empty lexicon.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    hits = np.take_along_axis(relevant, order, axis=1)
    count = relevant.sum(1).astype(np.float64)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    results = {
        "precision_at_10": hits[:, :10].mean(1),
        "average_precision": _ratio((precision * hits).sum(1), count),
        "recall_at_10": _ratio(hits[:, :10].sum(1, dtype=np.float64), count),
        "recall_at_50": _ratio(hits[:, :50].sum(1, dtype=np.float64), count),
        "lexicon_mass": np.where(relevant, probabilities, 0.0).sum(1, dtype=np.float64),
    }
    return {name: np.where(count == 0, np.nan, value) for name, value in results.items()}


def youden_thresholds(probabilities: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Find the threshold of each word that maximises Youden's J = TPR - FPR over the images (2.3.5-2.3.9).

    Thresholds are observed probabilities; a word is predicted at or above its threshold; of equal J the highest
    threshold counts.

    Args:
        probabilities: float (m, n).
        relevant: bool (m, n).

    Returns:
        float (n,); NaN for a word with no positive or no negative image: it has no ROC curve.
    """
    order = np.argsort(-probabilities, axis=0, kind="stable")
    scores = np.take_along_axis(probabilities, order, axis=0)
    hits = np.take_along_axis(relevant, order, axis=0)
    positives = hits.sum(0)
    negatives = len(hits) - positives
    defined = (positives > 0) & (negatives > 0)
    tpr = np.cumsum(hits, axis=0) / np.maximum(positives, 1)
    fpr = np.cumsum(~hits, axis=0) / np.maximum(negatives, 1)
    j = tpr - fpr
    j[:-1][scores[:-1] == scores[1:]] = -np.inf  # a threshold takes all images of equal probability or none
    best = np.take_along_axis(scores, j.argmax(0)[None], axis=0)[0]
    return np.where(defined, best, np.nan)


def threshold_confusion(
    probabilities: np.ndarray, relevant: np.ndarray, epsilon: np.ndarray, lexicon_sizes: np.ndarray
) -> np.ndarray:
    """Count TP, TN, FP and FN of each image by the thesis's first approach (2.3.5-2.3.9).

    Word j of image i is predicted when p_ij >= 1/|W_i+| - epsilon_j. The words may be a part of the vocabulary: the
    counts of several parts add up.

    Args:
        probabilities: float (m, n).
        relevant: bool (m, n).
        epsilon: float (n,); words whose epsilon is NaN are left out.
        lexicon_sizes: int (m,), the |W_i+|.

    Returns:
        int64 (4, m).
    """
    defined = ~np.isnan(epsilon)
    predicted = probabilities[:, defined] >= 1 / np.maximum(lexicon_sizes, 1)[:, None] - epsilon[defined]
    true = relevant[:, defined]
    confusion = (predicted & true, ~predicted & ~true, predicted & ~true, ~predicted & true)
    return np.stack([cells.sum(1, dtype=np.int64) for cells in confusion])


def uniform_row(count: int) -> np.ndarray:
    """Make the row float32 (n,) of a model that knows nothing: the same probability for every word."""
    return np.full(count, 1 / count, np.float32)


def prior_row(document_frequency: np.ndarray) -> np.ndarray:
    """Make the row float32 (n,) of a model that sees no image: how many training lexicons hold each word, plus 0.01.

    Args:
        document_frequency: int (n,).
    """
    weights = np.asarray(document_frequency, np.float64) + _PRIOR_COUNT
    return (weights / weights.sum()).astype(np.float32)


def disagreement(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Compute how differently two models describe each image: the Jensen-Shannon divergence of their rows, in bits.

    Rows are taken one by one, so that tables on the disk stay there.

    Args:
        p: float (m, n), rows with a positive sum.
        q: float (m, n), likewise.

    Returns:
        float64 (m,): 0 where both predict the same, 1 where no word has a probability in both.
    """
    divergences = np.empty(len(p))
    for row, (one, other) in enumerate(zip(p, q, strict=True)):
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        one, other = one / one.sum(), other / other.sum()
        middle = (one + other) / 2
        divergences[row] = (_bits(one, middle) + _bits(other, middle)) / 2
    return np.clip(divergences, 0.0, 1.0)


def _bits(p: np.ndarray, q: np.ndarray) -> float:
    """Compute the Kullback-Leibler divergence of p from q in bits; q is positive wherever p is."""
    support = p > 0
    return float((p[support] * np.log2(p[support] / q[support])).sum())
