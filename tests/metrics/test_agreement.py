from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from odits.metrics.agreement import Agreement, agreement, cohen_kappa, strength

NAMES = {"r": "right", "w": "wrong", "u": "unsure"}
VERDICTS = tuple(NAMES.values())


def marks(verdicts: str) -> dict[int, str]:
    """Verdicts on the items 0, 1, …: r right, w wrong, u unsure, - not marked."""
    return {number: NAMES[letter] for number, letter in enumerate(verdicts) if letter != "-"}


def compare(one: str, other: str) -> Agreement[int]:
    return agreement(("Anna", "Ben"), marks(one), marks(other), VERDICTS)


@pytest.mark.parametrize(
    ("one", "other"),
    [("rrwwu", "rwwwu"), ("rwrwrw", "wrwrwr"), ("rrr-w", "rr-ww"), ("rruu", "rruu"), ("rrrr", "rrrw"), ("rr", "ww")],
)
def test_kappa_is_cohens(one: str, other: str) -> None:
    found = compare(one, other)
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if "-" not in (a, b)]
    assert found.kappa == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))
    assert f"kappa is {found.kappa:.2f}" in found.sentence


def test_kappa_of_a_published_table() -> None:
    """Observed 0.70, by chance 0.50, so kappa is 0.40: the example that textbooks give for 50 grant applications."""
    assert cohen_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert cohen_kappa(np.array([[45, 15], [25, 15]])) == pytest.approx(0.1304, abs=5e-5)
    assert cohen_kappa(np.array([[0, 7], [7, 0]])) == -1
    assert cohen_kappa(np.eye(3, dtype=int)) == 1


def test_kappa_is_not_defined_where_chance_explains_all() -> None:
    assert cohen_kappa(np.zeros((3, 3), int)) is None
    assert cohen_kappa(np.array([[0, 0], [0, 9]])) is None
    assert cohen_kappa(np.array([[0, 9], [0, 0]])) == 0  # each says one thing only, and not the same


def test_the_sentence_the_table_and_the_differences() -> None:
    found = compare("rrwwu-", "rwwwrr")
    assert (found.names, found.verdicts) == (("Anna", "Ben"), VERDICTS)
    assert (found.both, found.same) == (5, 3)
    assert found.table.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found.differing == ((1, "right", "wrong"), (4, "unsure", "right"))
    assert found.sentence == (
        "Anna and Ben both marked 5 words and agree on 3 (60.0 %). Cohen's kappa is 0.33: fair agreement beyond chance "
        "(1 is full agreement, 0 is what chance alone would give)."
    )


def test_nothing_in_common_is_a_sentence() -> None:
    found = compare("rw--", "--rw")
    assert found.kappa is None
    assert (found.both, found.same, found.differing) == (0, 0, ())
    assert found.sentence.startswith("Anna and Ben have not marked any of the same words yet")


@pytest.mark.parametrize(
    ("verdicts", "count", "verdict"),
    [("r", "1 word ", "right"), ("rr", "2 words ", "right"), ("uu-", "2 words ", "unsure")],
)
def test_one_verdict_only_is_a_sentence_never_nan(verdicts: str, count: str, verdict: str) -> None:
    found = compare(verdicts, verdicts)
    assert found.kappa is None
    assert f"both marked {count}" in found.sentence and "(100 %)" in found.sentence
    assert "can't be computed" in found.sentence and f"every one of them {verdict}" in found.sentence
    assert "nan" not in found.sentence.lower()


def test_words_for_kappa() -> None:
    limits = {-0.5: "no", 0.0: "no", 0.2: "slight", 0.4: "fair", 0.6: "moderate", 0.8: "substantial"}
    assert {kappa: strength(kappa) for kappa in limits} == limits
    above = {
        0.01: "slight",
        0.21: "fair",
        0.41: "moderate",
        0.61: "substantial",
        0.81: "almost perfect",
        1.0: "almost perfect",
    }
    assert {kappa: strength(kappa) for kappa in above} == above
    assert "almost perfect agreement" in compare("rwu", "rwu").sentence
    assert ": no agreement beyond chance" in compare("rw", "wr").sentence


def test_the_counts_of_a_million_words_do_not_overflow() -> None:
    many = np.array([[3_000_000, 1_000_000], [1_000_000, 3_000_000]])
    assert cohen_kappa(many) == pytest.approx(0.5)
