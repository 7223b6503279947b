"""SPEC's rule for the best checkpoint, on the thesis's own table and on the cases that it leaves open."""

from __future__ import annotations

from odits.evaluation.published import TABLE_2_6
from odits.evaluation.selection import Candidate, select_best

BASE = Candidate("base", "Base", "d0", "", 0.20, 0.060)


def tuned(key: str, precision: float | None, f1: float | None, parent: str = "d0") -> Candidate:
    return Candidate(key, f"Base ({key})", f"digest {key}", parent, precision, f1)


def test_the_thesis_table_by_its_own_rule() -> None:
    rows = [
        Candidate(row.name, row.name, str(row.epochs), "0" if row.epochs else "", row.precision, row.f1)
        for row in TABLE_2_6
    ]
    selection = select_best(rows)
    assert selection.best is not None and selection.best.name == "ViT-B/32 (+20)"
    assert selection.reason == (
        "Of 8 fine-tuned checkpoints, 2 are not worse than the unmodified ViT-B/32 in both precision and F1; among "
        "these it has the highest precision. Precision 0.2931 against 0.1925 (+10.06 points), F1 0.0656 against 0.0648."
    )


def test_a_higher_precision_with_a_lower_f1_does_not_qualify() -> None:
    selection = select_best([tuned("+1", 0.5, 0.059), tuned("+2", 0.3, 0.060), BASE])
    assert selection.best is not None and selection.best.key == "+2"
    assert "the only one of 2 fine-tuned checkpoints" in selection.reason


def test_f1_breaks_ties_and_the_order_does_not_matter() -> None:
    candidates = [BASE, tuned("+1", 0.3, 0.07), tuned("+2", 0.3, 0.08), tuned("+3", 0.25, 0.09)]
    for order in (candidates, candidates[::-1]):
        selection = select_best(order)
        assert selection.best is not None and selection.best.key == "+2"
        assert "F1 broke the tie" in selection.reason


def test_nothing_qualifies() -> None:
    selection = select_best([BASE, tuned("+1", 0.3, 0.05), tuned("+2", 0.1, 0.09)])
    assert selection.best is None
    assert selection.reason.startswith("None of the 2 fine-tuned checkpoints is as good as the unmodified Base in both")
    assert select_best([BASE, tuned("+1", 0.1, 0.09)]).reason.startswith("The one fine-tuned checkpoint is not as good")


def test_the_unmodified_model_has_to_be_there() -> None:
    selection = select_best([tuned("+1", 0.9, 0.9)])
    assert selection.best is None and "has not been evaluated" in selection.reason
    unknown = select_best([BASE, tuned("+1", 0.3, 0.07), tuned("x", 0.9, 0.9, parent="elsewhere")])
    assert unknown.best is not None and unknown.best.key == "+1"
    assert unknown.reason.endswith("1 other checkpoint could not be compared: the unmodified model was not evaluated.")


def test_without_fine_tuned_checkpoints_there_is_no_choice() -> None:
    for candidates in ([], [BASE], [BASE, tuned("+1", None, None)]):
        selection = select_best(candidates)
        assert selection.best is None and "nothing to choose yet" in selection.reason


def test_the_unmodified_model_is_at_the_beginning_of_the_line() -> None:
    first = tuned("+1", 0.5, 0.07)
    second = tuned("+1+1", 0.4, 0.08, parent=first.checkpoint)
    selection = select_best([BASE, first, second])
    assert selection.best is first, "the second is not worse than the unmodified model, but not better than the first"
    assert "Of 2 fine-tuned checkpoints, 2 are not worse" in selection.reason
    circle = [tuned("a", 0.5, 0.5, parent="digest b"), tuned("b", 0.5, 0.5, parent="digest a")]
    assert select_best(circle).best is None
