"""Agreement of annotators against independent implementations, and a whole round of it with adjudication."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from odits.data.adjudication import CONSENSUS, DECISION, SINGLE, decide, disputes, read_everybody, resolve
from odits.data.annotations import change_marks
from odits.data.marks import JUDGEMENTS, Change, ImageWord, Mark, Shown
from odits.metrics.inter_annotator import (
    MISSING,
    alpha_of_parts,
    alpha_parts,
    bootstrap,
    cohen_of_parts,
    cohen_parts,
    fleiss_of_parts,
    fleiss_parts,
    inter_annotator,
)

K = len(JUDGEMENTS)


def krippendorff_alpha(table: np.ndarray, k: int) -> float:
    return float(alpha_of_parts(alpha_parts(table, k).sum(0, keepdims=True))[0])


def fleiss_kappa(table: np.ndarray, k: int) -> float:
    return float(fleiss_of_parts(fleiss_parts(table, k).sum(0, keepdims=True))[0])


def tables(raters: int, missing: float) -> list[np.ndarray]:
    """Verdicts of annotators who see a truth through noise, some of them missing."""
    rng = np.random.default_rng(7)
    found = []
    for noise in (0.0, 0.1, 0.4, 1.0):
        truth = rng.choice(K, (60, 1), p=[0.6, 0.3, 0.1])
        table = np.where(rng.random((60, raters)) < noise, rng.integers(0, K, (60, raters)), truth)
        found.append(np.where(rng.random(table.shape) < missing, MISSING, table))
    return found


@pytest.mark.parametrize("table", [*tables(2, 0), *tables(2, 0.3), *tables(4, 0.5)])
def test_alpha_equals_the_package_krippendorff(table: np.ndarray) -> None:
    data = np.where(table == MISSING, np.nan, table).T
    theirs = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal", value_domain=list(range(K)))
    assert krippendorff_alpha(table, K) == pytest.approx(theirs)


@pytest.mark.parametrize("table", [*tables(2, 0), *tables(5, 0)])
def test_fleiss_kappa_equals_statsmodels(table: np.ndarray) -> None:
    counts, _ = aggregate_raters(table)
    assert fleiss_kappa(table, K) == pytest.approx(statsmodels_fleiss(counts))


@pytest.mark.parametrize("table", tables(2, 0))
def test_cohen_kappa_equals_scikit_learn(table: np.ndarray) -> None:
    ours = cohen_of_parts(cohen_parts(table, K).sum(0, keepdims=True))[0]
    assert ours == pytest.approx(cohen_kappa_score(table[:, 0], table[:, 1]))


def test_words_that_one_alone_judged_change_neither() -> None:
    table = tables(3, 0)[1]
    alone = np.array([[0, MISSING, MISSING], [MISSING, MISSING, 2]])
    with_alone = np.concatenate([table, alone])
    assert krippendorff_alpha(with_alone, K) == krippendorff_alpha(table, K)
    assert fleiss_kappa(with_alone, K) == fleiss_kappa(table, K)


@pytest.mark.parametrize("table", [np.zeros((0, 2), int), np.zeros((5, 2), int), np.array([[0, MISSING]])])
def test_what_is_undefined_is_no_number(table: np.ndarray) -> None:
    assert np.isnan(krippendorff_alpha(table, K)) and np.isnan(fleiss_kappa(table, K))
    assert np.isnan(cohen_of_parts(cohen_parts(table, K).sum(0, keepdims=True))[0])


def test_the_bootstrap_resamples_whole_pictures() -> None:
    table = tables(2, 0)[2]
    parts = alpha_parts(table, K)
    pictures = np.arange(60) // 6
    found = bootstrap(parts, pictures, alpha_of_parts, 4000, 1, 0.95)
    assert found is not None
    rng = np.random.default_rng(2)
    slow = []
    for _ in range(4000):
        drawn = np.concatenate([np.flatnonzero(pictures == one) for one in rng.integers(0, 10, 10)])
        slow.append(krippendorff_alpha(table[drawn], K))
    assert found == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.02)
    assert bootstrap(parts, pictures, alpha_of_parts, 500, 1, 0.5) == bootstrap(
        parts, pictures, alpha_of_parts, 500, 1, 0.5
    )
    assert bootstrap(parts, np.zeros(60, int), alpha_of_parts, 100, 1, 0.95) is None, "one picture"
    assert bootstrap(parts[:0], pictures[:0], alpha_of_parts, 100, 1, 0.95) is None
    same = alpha_parts(np.zeros((60, 2), int), K)
    assert bootstrap(same, pictures, alpha_of_parts, 100, 1, 0.95) is None, "undefined in every resample"


def word(image: int, text: str) -> ImageWord:
    return ImageWord("demo", f"{image:02}.jpg", text)


def mark_blind(name: str, other_verdict_in: set[int]) -> None:
    """Mark two words of 30 pictures, BAR right in every third picture, INN wrong, some of them the other way."""
    changes = []
    for image in range(30):
        for text, verdict in (("BAR", "right" if image % 3 else "wrong"), ("INN", "wrong")):
            differs = image in other_verdict_in and text == "BAR"
            changes.append(Change(word(image, text), "unsure" if differs else verdict, shown=Shown(version="1")))
    change_marks(name, changes)


def test_two_annotators_blind_twelve_disagreements_adjudicated() -> None:
    """30 pictures, 12 planted disagreements; alpha and kappa equal independent implementations; a third decides."""
    planted = set(range(0, 24, 2))
    mark_blind("Anna", set())
    mark_blind("Ben", planted)
    change_marks("Ben", [Change(word(30, "BAR"), "right"), Change(word(0, "PUB"), "skipped")])
    change_marks("Anna", [Change(word(0, "PUB"), "right")])
    marks, decisions = read_everybody("demo")
    found = inter_annotator(
        {name: {about: mark.verdict for about, mark in given.items()} for name, given in marks.items()}
    )
    assert (found.both, found.same) == (60, 48)
    assert [one.about for one in found.disagreements] == [word(image, "BAR") for image in sorted(planted)]
    both = [about for about in marks["Anna"] if about in marks["Ben"] and about.word != "PUB"]
    table = np.array([[JUDGEMENTS.index(marks[name][about].verdict) for name in ("Anna", "Ben")] for about in both])
    alpha, kappa = found.coefficients
    assert (alpha.name, kappa.name, kappa.annotators) == ("Krippendorff's alpha", "Cohen's kappa", ("Anna", "Ben"))
    theirs = krippendorff.alpha(reliability_data=table.T, level_of_measurement="nominal", value_domain=list(range(K)))
    assert alpha.value == pytest.approx(theirs)
    assert kappa.value == pytest.approx(cohen_kappa_score(*table.T))
    for one in (alpha, kappa):
        assert one.value is not None
        for interval in (one.by_picture, one.by_word):
            assert interval is not None and interval[0] < one.value < interval[1]

    waiting = disputes(marks, decisions)
    assert [one.about for one in waiting] == [one.about for one in found.disagreements]
    before = resolve(marks, decisions)
    assert len(before.verdicts) == 50 and before.open == waiting
    verdicts = {one.about: ("right", "wrong")[number % 2] for number, one in enumerate(waiting)}
    change_marks("Cleo", [decide(one, verdicts[one.about], "looked closely") for one in waiting])
    assert read_everybody("demo")[0].keys() == {"Anna", "Ben"}, "a decision is no annotation"
    after = resolve(*read_everybody("demo"))
    assert after.open == [] and len(after.verdicts) == 62
    sources = {about: one.source for about, one in after.verdicts.items()}
    assert {about for about, source in sources.items() if source == DECISION} == set(verdicts)
    assert {about for about, source in sources.items() if source == SINGLE} == {word(30, "BAR"), word(0, "PUB")}
    assert sum(source == CONSENSUS for source in sources.values()) == 48
    for about, verdict in verdicts.items():
        one = after.verdicts[about]
        assert (one.mark.verdict, one.people, one.mark.parties) == (verdict, ("Cleo",), ("Anna", "Ben"))
    assert disputes(*read_everybody("demo"))[0].decision is not None


def test_a_decision_taken_back_or_overtaken_by_agreement_counts_no_more() -> None:
    bar = word(0, "BAR")
    change_marks("Anna", [Change(bar, "right")])
    change_marks("Ben", [Change(bar, "wrong", box=(1, 2, 3, 4))])
    (dispute,) = disputes(*read_everybody())
    change_marks("Cleo", [decide(dispute, "wrong")])
    one = resolve(*read_everybody()).verdicts[bar]
    assert (one.mark.verdict, one.mark.box) == ("wrong", (1, 2, 3, 4))
    change_marks("Ben", [Change(bar, "right")])
    one = resolve(*read_everybody()).verdicts[bar]
    assert (one.mark.verdict, one.source, one.people) == ("right", CONSENSUS, ("Anna", "Ben"))
    change_marks("Ben", [Change(bar, "wrong")])
    change_marks("Cleo", [decide(dispute, None)])
    assert [one.about for one in resolve(*read_everybody()).open] == [bar]


def test_the_newest_of_several_decisions_counts() -> None:
    bar = word(0, "BAR")
    marks = {"Anna": {bar: Mark("right")}, "Ben": {bar: Mark("wrong")}}
    decisions = {
        "Cleo": {bar: Mark("right", "", "2026-01-02", parties=("Anna", "Ben"))},
        "Dana": {bar: Mark("wrong", "", "2026-01-01", parties=("Anna", "Ben"))},
        "Emil": {bar: Mark("skipped", "", "2026-01-03", parties=("Anna", "Ben"))},
    }
    assert resolve(marks, decisions).verdicts[bar].people == ("Cleo",)


def test_three_annotators_have_a_fleiss_kappa_and_three_pairs() -> None:
    given = {
        name: {word(image, "BAR"): JUDGEMENTS[(image * place) % 2] for image in range(12 + place)}
        for place, name in enumerate(("Anna", "Ben", "Cleo"))
    }
    found = inter_annotator(given, resamples=50)
    assert [one.name for one in found.coefficients] == [
        "Krippendorff's alpha",
        "Fleiss' kappa",
        *["Cohen's kappa"] * 3,
    ]
    assert [one.items for one in found.coefficients] == [13, 12, 12, 12, 13]
