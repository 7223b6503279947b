from __future__ import annotations

import pytest

from odits.data.annotations import Claim, Mark
from odits.metrics.agreement import agreement


def marks(verdicts: str) -> dict[Claim, Mark]:
    """Marks of words "0", "1", …: r right, w wrong, u unsure, - not marked."""
    names = {"r": "right", "w": "wrong", "u": "unsure"}
    found = {}
    for number, letter in enumerate(verdicts):
        if letter != "-":
            found[Claim("d", "i", "m", "c", "v", str(number))] = Mark(names[letter])
    return found


def kappa_by_hand(one: str, other: str) -> float:
    """Cohen's formula, written out: (p_o - p_e) / (1 - p_e)."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if "-" not in (a, b)]
    observed = sum(a == b for a, b in pairs) / len(pairs)
    chance = sum(
        sum(a == letter for a, _ in pairs) * sum(b == letter for _, b in pairs) / len(pairs) ** 2 for letter in "rwu"
    )
    return (observed - chance) / (1 - chance)


@pytest.mark.parametrize(
    ("one", "other"),
    [("rrwwu", "rwwwu"), ("rwrwrw", "wrwrwr"), ("rrr-w", "rr-ww"), ("rruu", "rruu"), ("rrrr", "rrrw"), ("rr", "ww")],
)
def test_kappa_is_cohens(one: str, other: str) -> None:
    found = agreement(("Anna", "Ben"), marks(one), marks(other))
    assert found.kappa == pytest.approx(kappa_by_hand(one, other))
    assert f"kappa is {found.kappa:.2f}" in found.sentence


def test_the_sentence_the_table_and_the_differences() -> None:
    found = agreement(("Anna", "Ben"), marks("rrwwu-"), marks("rwwwrr"))
    assert (found.both, found.same) == (5, 3)
    assert found.table.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert [(claim.word, a.verdict, b.verdict) for claim, a, b in found.differing] == [
        ("1", "right", "wrong"),
        ("4", "unsure", "right"),
    ]
    assert "both marked 5 words and agree on 3 (60%)" in found.sentence


def test_nothing_in_common_is_a_sentence() -> None:
    found = agreement(("Anna", "Ben"), marks("rw--"), marks("--rw"))
    assert found.kappa is None
    assert found.both == 0
    assert "not marked any of the same words" in found.sentence


@pytest.mark.parametrize("verdicts", ["r", "rrrr", "uu"])
def test_one_verdict_only_is_a_sentence_never_nan(verdicts: str) -> None:
    found = agreement(("Anna", "Ben"), marks(verdicts), marks(verdicts))
    assert found.kappa is None
    assert "can't be computed" in found.sentence
    assert "nan" not in found.sentence.lower()


def test_words_for_kappa() -> None:
    assert "almost perfect agreement" in agreement(("A", "B"), marks("rwu"), marks("rwu")).sentence
    assert ": no agreement beyond chance" in agreement(("A", "B"), marks("rw"), marks("wr")).sentence
