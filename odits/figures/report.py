"""What a report holds: evaluated checkpoints, their differences, chosen pictures, settings, digests and the command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from odits.core.errors import OditsError
from odits.data import Dataset
from odits.data.predictions import WordPrediction
from odits.evaluation.alignment import align
from odits.evaluation.differences import DEFAULT_METRIC, differences, shares_of
from odits.evaluation.results import StoredEvaluation
from odits.evaluation.slices import SLICINGS, reversals, slice_difference
from odits.figures.differences import ForestRow, p_text
from odits.figures.evaluations import MEASURED, WITHOUT_IMAGE, Row
from odits.figures.stage import Head, Slide
from odits.figures.static import Draw
from odits.figures.static_models import comparison_figure, forest_figure

METRICS = {
    "rank average_precision": "average precision",
    "rank precision_at_10": "precision at 10",
    "rank recall_at_50": "recall at 50",
    "confidence precision": "confidence precision",
    "confidence f1": "confidence F1",
    "uniformity": "uniformity",
}
"""The metrics of a report, with their titles."""
PICTURES, WORDS = 3, 10
"""Pictures where none are chosen, those that make most of the difference; and words of each."""


class Table(NamedTuple):
    """A table: its title, its columns, its rows as text, and a sentence below it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Drawing(NamedTuple):
    """A figure: its title, what draws it, and what it shows in words."""

    title: str
    draw: Draw
    alt: str


@dataclass(frozen=True, eq=False)
class Report:
    """A report that stands alone.

    Attributes:
        title: of it.
        facts: settings and digests: names with their values.
        command: makes it again.
        tables: in their order.
        drawings: likewise.
        slides: the chosen pictures.
        remarks: sentences about what was left out, or what a difference hides.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    command: str
    tables: tuple[Table, ...]
    drawings: tuple[Drawing, ...]
    slides: tuple[Slide, ...]
    remarks: tuple[str, ...] = ()

    def texts(self) -> list[str]:
        """Return all that is written and comes from outside."""
        rows = [text for table in self.tables for row in table.rows for text in row]
        words = [row.word for slide in self.slides for row in slide.rows]
        return [self.title, *(value for _, value in self.facts), *rows, *words]


def make_report(
    evaluations: Sequence[StoredEvaluation],
    dataset: Dataset,
    command: str,
    pictures: Sequence[str] = (),
    version: str = "",
) -> Report:
    """Collect a report on evaluated checkpoints; the others are compared with the first.

    Args:
        evaluations: of the same images and words, at least one.
        dataset: with the images.
        command: makes the report again.
        pictures: names of the chosen ones; by default those that make most of the difference.
        version: of this program.

    Raises:
        OditsError: the evaluations are not of the same, or a chosen picture is none of their images.
    """
    base, others = evaluations[0], list(evaluations[1:])
    names = [f"{one.model} · {one.checkpoint[:8]}" for one in evaluations]
    absent = [name for name in pictures if name not in base.images]
    if absent:
        raise OditsError(f"{absent[0]} is none of the {len(base.images):,} evaluated images.")
    rows = [Row(name, MEASURED, _values(one)) for name, one in zip(names, evaluations, strict=True)]
    rows += [Row(name, WITHOUT_IMAGE, _baseline(base, name)) for name in base.groups["baselines"]]
    titles = list(METRICS.values())
    tables = [_metrics_table(rows, titles)]
    drawings = [Drawing("Metrics", partial(comparison_figure, rows, titles), f"Metrics of {len(rows)} rows as dots")]
    remarks = [problem.problem for problem in base.problems]
    if others:
        found = differences(base, others, list(METRICS))
        forest = [ForestRow(METRICS[one.metric], names[1 + one.row], one.change, one.corrected) for one in found]
        tables.append(_differences_table(forest, names[0]))
        title = f"Differences to {names[0]}"
        drawings.append(Drawing(title, lambda at: forest_figure(forest, at), f"{title} with their 95 % intervals"))
        for name, other in zip(names[1:], others, strict=True):
            remarks += [f"{name}, {sentence}" for sentence in _turns(base, other, dataset)]
            tables.append(_shares_table(base, other, name))
    chosen = list(pictures) or _telling(base, others)
    return Report(
        f"{base.data}: {', '.join(dict.fromkeys(one.model for one in evaluations))}",
        _facts(evaluations, dataset, version),
        command,
        tuple(tables),
        tuple(drawings),
        tuple(_slide(evaluations, dataset, name) for name in chosen),
        tuple(remarks),
    )


def _values(evaluation: StoredEvaluation) -> dict[str, float | None]:
    return {title: _mean(evaluation.per_image[name]) for name, title in METRICS.items()}


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _baseline(base: StoredEvaluation, name: str) -> dict[str, float | None]:
    groups = base.groups["baselines"][name]
    found: dict[str, float | None] = {}
    for key, title in METRICS.items():
        group, _, metric = key.partition(" ")
        found[title] = groups[group][metric] if metric else groups[group]
    return found


def _facts(evaluations: Sequence[StoredEvaluation], dataset: Dataset, version: str) -> tuple[tuple[str, str], ...]:
    base = evaluations[0]
    models = [(f"checkpoint {number}", f"{one.model}, {one.checkpoint}") for number, one in enumerate(evaluations, 1)]
    return (
        ("data set", f"{base.data} ({dataset.reader})" if dataset.reader else base.data),
        ("images", f"{len(base.images):,}, split “{base.split}”"),
        ("words", f"{len(base.vocabulary):,}, {base.vocabulary.name}, digest {base.vocabulary.digest[:16]}"),
        ("question", f"images, words and lexicons together: digest {base.question[:16]}"),
        *models,
        ("intervals", "95 %, paired bootstrap over images, 10,000 draws, seed 0; p two-sided, corrected by Holm"),
        ("made by", f"ODITS Explorer {version}".strip()),
    )


def _metrics_table(rows: Sequence[Row], titles: Sequence[str]) -> Table:
    cells = tuple((row.name, *(_number(row.values.get(title)) for title in titles)) for row in rows)
    return Table("Metrics", ("model", *titles), cells, "Means over the images; “prior” and “uniform” see no image.")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _differences_table(rows: Sequence[ForestRow], first: str) -> Table:
    cells = tuple(
        (
            row.name,
            row.panel,
            f"{row.change.difference:+.4f}",
            f"{row.change.low:+.4f} to {row.change.high:+.4f}",
            p_text(row.change.p),
            p_text(row.corrected),
        )
        for row in rows
        if row.change is not None
    )
    columns = ("model", "metric", "difference", "95 % interval", "p", "p (Holm)")
    return Table(f"Differences to {first}", columns, cells)


def _turns(base: StoredEvaluation, other: StoredEvaluation, dataset: Dataset) -> list[str]:
    """Say in which parts of the images a difference goes the other way."""
    records = [dataset.find(name) for name in base.images]
    total = differences(base, [other], [DEFAULT_METRIC])[0].change
    return [
        f"{METRICS[DEFAULT_METRIC]} by {SLICINGS[by].title.lower()}: {sentence}"
        for by in SLICINGS
        for sentence in reversals(total, slice_difference(base, other, DEFAULT_METRIC, by, records))
    ]


def _shares_table(base: StoredEvaluation, other: StoredEvaluation, name: str) -> Table:
    shares = shares_of(base, other, DEFAULT_METRIC)[:10]
    cells = tuple(
        (one.image, f"{one.before:.4f}", f"{one.after:.4f}", f"{one.change:+.4f}", f"{100 * one.share:.1f} %")
        for one in shares
    )
    columns = ("picture", "first", "this one", "change", "of all change")
    return Table(f"Which pictures make the difference: {METRICS[DEFAULT_METRIC]}, {name}", columns, cells)


def _telling(base: StoredEvaluation, others: Sequence[StoredEvaluation]) -> list[str]:
    if not others:
        return list(base.images[:PICTURES])
    return [one.image for one in shares_of(base, others[0], DEFAULT_METRIC)[:PICTURES]]


def _slide(evaluations: Sequence[StoredEvaluation], dataset: Dataset, name: str) -> Slide:
    """Return a picture with the words of each checkpoint, from the stored probabilities."""
    record = dataset.find(name)
    place = evaluations[0].images.index(name)
    found = [
        WordPrediction(one.vocabulary, np.asarray(one.probabilities()[place]), one.model, one.checkpoint)
        for one in evaluations
    ]
    heads = tuple(Head(one.model, one.checkpoint) for one in evaluations)
    return Slide(name, record.open(), heads, tuple(align(found, WORDS)), record.lexicon, record.visible)


def report_format(path: Path) -> str:
    """Return "html" or "pdf", as a file's name ends. Raises OditsError."""
    form = path.suffix.lower().removeprefix(".")
    if form not in ("html", "pdf"):
        raise OditsError(f"{path.name} says no format of a report: its name ends in .html or .pdf.")
    return form
