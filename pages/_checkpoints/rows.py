"""The rows of a comparison: what was measured here, what sees no image, and what the thesis published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from odits.evaluation.published import TABLE_2_6
from odits.evaluation.results import StoredEvaluation
from odits.evaluation.selection import Candidate, Selection, select_best
from odits.figures.evaluations import BEST, MEASURED, PUBLISHED, WITHOUT_IMAGE, Row

BASELINES = {"prior": "frequent words (prior)", "uniform": "chance (uniform)"}
ORIGINS = {"best by the rule": "measured here"}


class Family(NamedTuple):
    """Metrics that belong together: their titles with where they stand in an evaluation, and what they say."""

    title: str
    metrics: dict[str, tuple[str, ...]]
    says: str


FAMILIES = {
    "confidence": Family(
        "Confidence",
        {
            "Precision": ("confidence", "precision"),
            "F1": ("confidence", "f1"),
            "Recall": ("confidence", "recall"),
            "Accuracy": ("confidence", "accuracy"),
            "Uniformity": ("uniformity",),
        },
        "The thesis's metrics (Table 2.6); the best checkpoint is chosen by precision and F1. They do not ask how "
        "much of the probability goes to true words: look at the ranking too.",
    ),
    "rank": Family(
        "Ranking",
        {
            "Precision at 10": ("rank", "precision_at_10"),
            "Average precision": ("rank", "average_precision"),
            "Recall at 10": ("rank", "recall_at_10"),
            "Recall at 50": ("rank", "recall_at_50"),
            "Mass on true words": ("rank", "lexicon_mass"),
        },
        "A list of words as one sees it: how many of the ten most probable are true, how early true words come, how "
        "many of them are among the first 10 and 50, and how much of the probability they get.",
    ),
    "threshold": Family(
        "Threshold",
        {
            "Precision": ("threshold", "precision"),
            "F1": ("threshold", "f1"),
            "Recall": ("threshold", "recall"),
            "Accuracy": ("threshold", "accuracy"),
        },
        "The thesis's first approach: a word counts as predicted above a threshold of its own, found on its ROC curve.",
    ),
}


def candidate(evaluation: StoredEvaluation, name: str) -> Candidate:
    """Return the evaluation as the rule for the best checkpoint takes it."""
    confidence = evaluation.groups["confidence"]
    return Candidate(
        evaluation.key,
        name,
        evaluation.checkpoint,
        evaluation.metadata.get("parent_digest", ""),
        confidence["precision"],
        confidence["f1"],
    )


def choose(found: Sequence[StoredEvaluation], names: Mapping[str, str]) -> Selection:
    """Choose the best of the evaluated checkpoints by confidence precision and F1, and say why."""
    return select_best([candidate(evaluation, names[evaluation.key]) for evaluation in found])


def rows_of(
    found: Sequence[StoredEvaluation], names: Mapping[str, str], best: str | None, family: Family, published: bool
) -> list[Row]:
    """Return the rows of one family of metrics, each with where it comes from.

    Args:
        found: evaluations of one question.
        names: of the models, by the evaluations' keys.
        best: the key of the best one, if there is one.
        family: which metrics.
        published: whether Table 2.6 stands beside them.
    """
    rows = [
        Row(names[evaluation.key], BEST if evaluation.key == best else MEASURED, _values(evaluation.groups, family))
        for evaluation in found
    ]
    baselines = found[0].groups["baselines"]
    rows += [Row(title, WITHOUT_IMAGE, _values(baselines[name], family)) for name, title in BASELINES.items()]
    if published and family is FAMILIES["confidence"]:
        rows += [
            Row(
                row.name,
                PUBLISHED,
                {
                    "Precision": row.precision,
                    "F1": row.f1,
                    "Recall": row.recall,
                    "Accuracy": row.accuracy,
                    "Uniformity": row.uniformity,
                },
            )
            for row in TABLE_2_6
        ]
    return rows


def _values(groups: Mapping[str, Any], family: Family) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for title, path in family.metrics.items():
        value: Any = groups
        for part in path:
            value = value[part]
        found[title] = value
    return found


def table_of(rows: Sequence[Row], family: Family) -> pd.DataFrame:
    """Tabulate the rows: model, where it comes from, and the metrics."""
    return pd.DataFrame(
        [
            {
                "Model": ("★ " if row.origin is BEST else "") + row.name,
                "From": ORIGINS.get(row.origin.title, row.origin.title),
                **{title: row.values.get(title) for title in family.metrics},
            }
            for row in rows
        ]
    )


def everything(
    found: Sequence[StoredEvaluation], names: Mapping[str, str], best: str | None, published: bool
) -> pd.DataFrame:
    """Tabulate all metrics of all families side by side, for the download."""
    parts = []
    for family in FAMILIES.values():
        table = table_of(rows_of(found, names, best, family, published), family).set_index(["Model", "From"])
        parts.append(table.add_prefix(f"{family.title}: "))
    return pd.concat(parts, axis=1).reset_index()
