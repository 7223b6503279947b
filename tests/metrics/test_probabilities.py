"""Fast metrics against slow, obvious ones, against scikit-learn, and against the figures of the specification."""

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_curve

from odits.data import read_dataset
from odits.metrics import probabilities as metrics
from odits.metrics.scoring import Lexicons, score_table

M, N = 12, 30


@pytest.fixture
def table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (M, N))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return probabilities, rng.random((M, N)) < 0.25


def test_confidence_is_the_formula(table: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, relevant = table
    found = metrics.confidence_metrics(probabilities, relevant)
    for i in range(M):
        plus = [p for p, r in zip(probabilities[i], relevant[i], strict=True) if r]
        minus = [p for p, r in zip(probabilities[i], relevant[i], strict=True) if not r]
        tp = sum(p / max(plus) for p in plus)
        tn = sum(1 - p / max(minus) for p in minus)
        fp = sum(p / max(minus) for p in minus)
        fn = sum(1 - p / max(plus) for p in plus)
        precision, recall = tp / (tp + fp), tp / (tp + fn)
        assert found["accuracy"][i] == pytest.approx((tp + tn) / (tp + tn + fp + fn))
        assert found["precision"][i] == pytest.approx(precision)
        assert found["recall"][i] == pytest.approx(recall)
        assert found["f1"][i] == pytest.approx(2 * precision * recall / (precision + recall))


def test_confidence_does_not_see_mass() -> None:
    """All mass on true words and a flat trace elsewhere: a precision near zero, as the specification warns."""
    relevant = np.zeros((1, 5363), bool)
    relevant[0, 0] = True
    probabilities = np.full((1, 5363), 1e-9)
    probabilities[0, 0] = 1 - 1e-9 * 5362
    assert metrics.confidence_metrics(probabilities, relevant)["precision"][0] < 0.001
    assert metrics.rank_metrics(probabilities, relevant)["lexicon_mass"][0] > 0.99


def test_uniformity(table: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, relevant = table
    for i, value in enumerate(metrics.uniformity(probabilities, relevant)):
        plus = probabilities[i][relevant[i]]
        share = plus / plus.sum()
        assert value == pytest.approx(-sum(p * math.log(p, len(share)) for p in share))
    flat = np.full((1, N), 1 / N)
    assert metrics.uniformity(flat, relevant[:1])[0] == pytest.approx(1)
    assert np.isnan(metrics.uniformity(flat, np.eye(1, N, dtype=bool))[0])


def test_ranks(table: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, relevant = table
    found = metrics.rank_metrics(probabilities, relevant)
    for i in range(M):
        best = np.argsort(-probabilities[i])
        assert found["precision_at_10"][i] == pytest.approx(relevant[i][best[:10]].sum() / 10)
        assert found["recall_at_10"][i] == pytest.approx(relevant[i][best[:10]].sum() / relevant[i].sum())
        assert found["average_precision"][i] == pytest.approx(average_precision_score(relevant[i], probabilities[i]))
        assert found["lexicon_mass"][i] == pytest.approx(probabilities[i][relevant[i]].sum())
        assert found["recall_at_50"][i] == 1


def test_youden_is_scikit_learns(table: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, relevant = table
    probabilities = probabilities.round(2)  # ties
    relevant[:, 0], relevant[:, 1] = False, True
    thresholds = metrics.youden_thresholds(probabilities, relevant)
    mixed = relevant.any(0) & ~relevant.all(0)
    assert np.array_equal(np.isnan(thresholds), ~mixed)
    assert not mixed[:2].any()
    for j in np.flatnonzero(mixed):
        fpr, tpr, steps = roc_curve(relevant[:, j], probabilities[:, j], drop_intermediate=False)
        best = (tpr - fpr)[1:].argmax() + 1  # the first step predicts nothing at all
        assert thresholds[j] == pytest.approx(steps[best])


def test_threshold_counts(table: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, relevant = table
    epsilon = np.linspace(0, 0.1, N)
    epsilon[3] = np.nan
    sizes = relevant.sum(1)
    counted = metrics.threshold_confusion(probabilities, relevant, epsilon, sizes)
    expected = np.zeros((4, M), int)
    for i in range(M):
        for j in range(N):
            if j != 3:
                predicted = probabilities[i, j] >= 1 / sizes[i] - epsilon[j]
                kind = {(True, True): 0, (False, False): 1, (True, False): 2, (False, True): 3}
                expected[kind[bool(predicted), bool(relevant[i, j])], i] += 1
    assert np.array_equal(counted, expected)
    halves = [slice(0, 11), slice(11, N)]
    parts = [metrics.threshold_confusion(probabilities[:, h], relevant[:, h], epsilon[h], sizes) for h in halves]
    assert np.array_equal(sum(parts), counted)


def test_an_empty_lexicon_has_no_value() -> None:
    relevant = np.zeros((1, N), bool)
    flat = np.full((1, N), 1 / N)
    assert np.isnan(metrics.confidence_metrics(flat, relevant)["f1"][0])
    assert np.isnan(metrics.rank_metrics(flat, relevant)["precision_at_10"][0])


def test_the_prior_row_of_svt(svt: Path) -> None:
    """The figures that the specification states for a row that sees no image."""
    dataset = read_dataset(svt)
    vocabulary = dataset.vocabulary()
    training, lexicons = (Lexicons(dataset.split(split), vocabulary) for split in ("train", "eval"))
    row = metrics.prior_row(training.document_frequency())
    found = score_table(np.broadcast_to(row, (249, 5363)), lexicons)
    assert found["rank"]["precision_at_10"] == pytest.approx(0.380, abs=5e-4)
    assert found["rank"]["average_precision"] == pytest.approx(0.120, abs=5e-4)
    expected = {"accuracy": 0.9746, "precision": 0.0607, "recall": 0.1245, "f1": 0.0812}
    assert found["confidence"] == pytest.approx(expected, abs=5e-5)


def test_disagreement_is_scipys_jensen_shannon_divergence(table: tuple[np.ndarray, np.ndarray]) -> None:
    from scipy.spatial.distance import jensenshannon

    p = table[0]
    q = np.roll(p, 3, axis=1)
    expected = jensenshannon(p, q, base=2, axis=1) ** 2
    assert np.allclose(metrics.disagreement(p, q), expected)
    assert np.allclose(metrics.disagreement(q.astype(np.float32), p.astype(np.float32)), expected, atol=1e-6)


def test_disagreement_goes_from_0_to_1() -> None:
    ends = np.array([[0.25, 0.75, 0, 0], [0, 0, 1, 0]])
    assert metrics.disagreement(ends, ends).tolist() == [0, 0]
    assert metrics.disagreement(ends, ends[::-1]) == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="shorter"):
        metrics.disagreement(ends, ends[:1])


def test_confusion_by_hand() -> None:
    """Parts of a whole, nothing predicted, nothing right, and nothing to be found."""
    found = metrics.from_confusion(
        np.array([0.3, 0, 0, 0]), np.array([0.4, 5, 0, 2]), np.array([0.1, 0, 3, 1]), np.array([0.2, 3, 1, 0])
    )
    assert found["accuracy"][:3] == pytest.approx([0.7, 5 / 8, 0])
    assert found["precision"][:3] == pytest.approx([0.75, 0, 0])
    assert found["recall"][:3] == pytest.approx([0.6, 0, 0])
    assert found["f1"][:3] == pytest.approx([2 / 3, 0, 0])
    assert all(np.isnan(values[3]) for values in found.values())
    whole = metrics.from_confusion(*np.array([[1], [0], [0], [0]]))
    assert [float(values[0]) for values in whole.values()] == [1, 1, 1, 1]
    assert tuple(found) == metrics.CONFIDENCE
    half = metrics.from_confusion(*np.array([[2], [2], [2], [2]]))
    assert [float(values[0]) for values in half.values()] == [0.5, 0.5, 0.5, 0.5]


def test_confidence_by_hand() -> None:
    found = metrics.confidence_metrics(np.array([[0.4, 0.2, 0.3, 0.1]]), np.array([[True, True, False, False]]))
    # TP = 1 + 1/2, FN = 0 + 1/2, FP = 1 + 1/3, TN = 0 + 2/3
    assert found["accuracy"][0] == pytest.approx((3 / 2 + 2 / 3) / 4)
    assert found["precision"][0] == pytest.approx((3 / 2) / (3 / 2 + 4 / 3))
    assert found["recall"][0] == pytest.approx(3 / 4)
    assert found["f1"][0] == pytest.approx(3 / (3 + 4 / 3 + 1 / 2))


def test_confidence_where_one_side_has_no_probability() -> None:
    relevant = np.array([[True, False, False]])
    certain = metrics.confidence_metrics(np.array([[1.0, 0.0, 0.0]]), relevant)
    assert [float(values[0]) for values in certain.values()] == [1, 1, 1, 1]
    wrong = metrics.confidence_metrics(np.array([[0.0, 1.0, 0.0]]), relevant)
    assert [float(values[0]) for values in wrong.values()] == pytest.approx([1 / 3, 0, 0, 0])
    all_true = metrics.confidence_metrics(np.array([[0.5, 0.5]]), np.array([[True, True]]))
    assert [float(values[0]) for values in all_true.values()] == [1, 1, 1, 1]


def test_uniformity_of_two_words_and_of_none() -> None:
    probabilities = np.array(
        [[0.5, 0.5, 0], [0.1, 0.3, 0.6], [0, 0, 1], [0.2, 0.4, 0.4], [0.2, 0.4, 0.4], [0, 0.5, 0.5]]
    )
    relevant = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0]], bool)
    found = metrics.uniformity(probabilities, relevant)
    assert found[:2] == pytest.approx([1, 0.8112781245])
    assert np.isnan(found[2:5]).all(), "no probability on its words, one word, none"
    assert found[5] == 0, "all on one of two words"
    assert metrics.uniformity(np.full((1, 3), 1 / 3), np.ones((1, 3), bool))[0] == pytest.approx(1)


def test_ranks_at_their_ends() -> None:
    """The tenth and the fiftieth word count, the next ones do not; ties stand in the vocabulary's order."""
    flat = np.full((4, 60), 1 / 60, np.float32)
    relevant = np.zeros((4, 60), bool)
    relevant[0, [9, 10]] = relevant[1, [49, 50]] = relevant[2, 0] = True
    found = metrics.rank_metrics(flat, relevant)
    assert tuple(found) == metrics.RANK
    assert found["precision_at_10"][:3] == pytest.approx([0.1, 0, 0.1])
    assert found["recall_at_10"][:3] == pytest.approx([0.5, 0, 1])
    assert found["recall_at_50"][:3] == pytest.approx([1, 0.5, 1])
    assert found["average_precision"][:3] == pytest.approx([(1 / 10 + 2 / 11) / 2, (1 / 50 + 2 / 51) / 2, 1])
    assert found["lexicon_mass"][:3] == pytest.approx([2 / 60, 2 / 60, 1 / 60])
    assert all(np.isnan(values[3]) for values in found.values())
    few = metrics.rank_metrics(np.array([[0.1, 0.9]]), np.array([[True, False]]))
    assert (few["precision_at_10"][0], few["average_precision"][0]) == (0.5, 0.5)


def column(scores: list[float], hits: list[int]) -> float:
    """Youden's threshold of one word."""
    return float(metrics.youden_thresholds(np.array(scores)[:, None], np.array(hits, bool)[:, None])[0])


def test_youden_by_hand() -> None:
    assert column([0.9, 0.5, 0.4, 0.1], [1, 0, 0, 0]) == 0.9
    assert column([0.9, 0.5, 0.4, 0.1], [0, 0, 0, 1]) == 0.1, "one positive, ranked last: J is 0 there, below elsewhere"
    assert column([0.9, 0.5, 0.4, 0.1], [1, 0, 1, 1]) == 0.9, "one negative counts in full"
    assert column([0.9, 0.5, 0.4, 0.1], [1, 0, 1, 0]) == 0.9, "of equal J the highest threshold"
    assert column([0.4, 0.9, 0.4, 0.1], [1, 1, 0, 0]) == 0.9, "both at 0.4 or none: J is 1/2 at either"
    assert column([0.5, 0.5], [1, 0]) == 0.5
    assert np.isnan(column([0.5, 0.1], [0, 0])) and np.isnan(column([0.5, 0.1], [1, 1]))
    assert not np.isnan(column([0.5, 0.1], [1, 0])), "one of each is enough"


def test_a_word_is_predicted_at_its_threshold_exactly() -> None:
    probabilities = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.75, 0.25, 0.0]])
    relevant = np.array([[True, True, False], [True, False, False], [False, False, False]])
    counted = metrics.threshold_confusion(probabilities, relevant, np.zeros(3), np.array([2, 1, 0]))
    assert counted.tolist() == [[1, 1, 0], [1, 2, 3], [0, 0, 0], [1, 0, 0]], (
        "1/2, 1/1, and 1/1 where the lexicon is empty"
    )
    counted = metrics.threshold_confusion(probabilities, relevant, np.full(3, 0.25), np.array([2, 1, 0]))
    assert counted.tolist() == [[2, 1, 0], [0, 2, 2], [1, 0, 1], [0, 0, 0]]
    assert counted.dtype == np.int64


def test_rows_of_models_that_see_nothing() -> None:
    assert metrics.uniform_row(4).tolist() == [0.25] * 4 and metrics.uniform_row(4).dtype == np.float32
    prior = metrics.prior_row(np.array([0, 1, 3]))
    assert prior == pytest.approx(np.array([0.01, 1.01, 3.01]) / 4.03) and prior.dtype == np.float32


def test_disagreement_does_not_see_the_scale_of_a_row_and_stays_within_0_and_1() -> None:
    assert metrics.disagreement(np.array([[2.0, 6.0]]), np.array([[0.5, 0.5]])) == pytest.approx(
        metrics.disagreement(np.array([[0.25, 0.75]]), np.array([[1.0, 1.0]]))
    )
    rng = np.random.default_rng(0)
    for words in range(2, 40):  # rounding would leave the range here and there
        p, q = np.zeros((2, 50, 2 * words))
        p[:, :words], q[:, words:] = rng.random((2, 50, words))
        assert metrics.disagreement(p, q).max() <= 1
        same = p[:, :words]
        assert metrics.disagreement(same, np.nextafter(same, 1)).min() >= 0
