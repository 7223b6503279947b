"""The thesis's Table 2.6 as it stands in the specification."""

from __future__ import annotations

from odits.evaluation.published import TABLE_2_6


def test_the_rows_are_in_order_and_named_by_their_epochs() -> None:
    assert [row.epochs for row in TABLE_2_6] == [0, 1, 2, 3, 4, 5, 7, 20, 40]
    assert [row.name for row in TABLE_2_6][:2] == ["ViT-B/32", "ViT-B/32 (+1)"]
    assert max(TABLE_2_6, key=lambda row: row.precision).epochs == 20


def test_accuracy_and_recall_fit_5363_words() -> None:
    """Row "+1" is only possible over the union of both splits' words (SPEC, 2.2.1)."""
    row = TABLE_2_6[1]
    wrong = 1 - row.accuracy  # FP + FN over n, and FN alone is |W+| (1 - recall), about 49 words
    assert wrong * 5363 > 49 * (1 - row.recall) > wrong * 4282
