"""Tables scored block by block, against the same metrics of the whole table at once."""

from __future__ import annotations

import numpy as np
import pytest

from odits.data.records import ImageRecord
from odits.data.vocabulary import Vocabulary
from odits.metrics import probabilities as metrics
from odits.metrics import scoring
from odits.metrics.scoring import Lexicons, average_metrics, mean_of, score_images, score_table

WORDS = Vocabulary(tuple("ABCDEFGHIJKLM"), "letters")


def lexicons(*words: str) -> Lexicons:
    """Of images, the letters of each."""
    return Lexicons([ImageRecord(str(number), b"", lexicon=tuple(some)) for number, some in enumerate(words)], WORDS)


def random_table(images: int) -> np.ndarray:
    table = np.random.default_rng(0).random((images, len(WORDS)), np.float32)
    return table / table.sum(1, keepdims=True)


def test_which_words_are_true_of_which_image() -> None:
    found = lexicons("BA", "", "MMZ", "C")
    assert found.sizes.tolist() == [2, 0, 1, 1], "repeats count once, words that are not asked about not at all"
    assert [members.tolist() for members in found.members] == [[0, 1], [], [12], [2]]
    whole = np.zeros((4, 13), bool)
    whole[0, [0, 1]] = whole[2, 12] = whole[3, 2] = True
    assert np.array_equal(found.relevant(slice(None)), whole)
    for images in (slice(0, 2), slice(1, 4), slice(2, 2)):
        for words in (slice(0, 1), slice(1, 3), slice(2, 13), slice(12, 13), slice(5, 5), slice(12, 99)):
            assert np.array_equal(found.relevant(images, words), whole[images, words])
    assert found.document_frequency().tolist() == [1, 1, 1, *[0] * 9, 1]
    assert lexicons().document_frequency().tolist() == [0] * 13


@pytest.mark.parametrize(("images", "block"), [(2, 4096), (1, 1), (3, 5), (4, 13), (99, 6)])
def test_blocks_make_no_difference(images: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "IMAGES", images)
    monkeypatch.setattr(scoring, "BLOCK", block)
    found = lexicons("AB", "BCD", "", "E", "ABCDEFGHIJKL")
    table, relevant = random_table(5), found.relevant(slice(None))
    values, without = score_images(table, found)
    epsilon = metrics.youden_thresholds(table, relevant)
    assert without == np.isnan(epsilon).sum() == 1, "M is in no lexicon"
    confusion = metrics.threshold_confusion(table, relevant, epsilon, found.sizes)
    expected = {
        "uniformity": metrics.uniformity(table, relevant),
        **{f"confidence {name}": value for name, value in metrics.confidence_metrics(table, relevant).items()},
        **{f"rank {name}": value for name, value in metrics.rank_metrics(table, relevant).items()},
        **{f"threshold {name}": value for name, value in metrics.from_confusion(*confusion).items()},
    }
    assert set(values) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, err_msg=name)


def test_averages_are_over_the_images_that_have_a_value() -> None:
    found = lexicons("AB", "", "CD")
    table = random_table(3)
    values, without = score_images(table, found)
    scores = score_table(table, found)
    assert scores == average_metrics(values, without)
    assert list(scores) == ["confidence", "threshold", "uniformity", "rank"]
    assert scores["threshold"]["words_without_roc"] == without == 9
    for group, names in (("confidence", metrics.CONFIDENCE), ("threshold", metrics.CONFIDENCE), ("rank", metrics.RANK)):
        assert tuple(name for name in scores[group] if name != "words_without_roc") == names
        for name in names:
            value = values[f"{group} {name}"]
            assert np.isnan(value[1]) and scores[group][name] == pytest.approx(value[[0, 2]].mean())
    assert scores["uniformity"] == pytest.approx(values["uniformity"][[0, 2]].mean())


def test_a_mean_of_nothing_is_none() -> None:
    assert mean_of(np.array([np.nan, np.nan])) is None and mean_of(np.array([])) is None
    assert mean_of(np.array([1.0, np.nan, 2.0])) == 1.5
    assert mean_of(np.array([0.0])) == 0.0


def test_few_images_and_words_are_in_memory_at_a_time() -> None:
    assert (scoring.IMAGES, scoring.BLOCK) == (2, 4096)
