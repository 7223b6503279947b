"""`odits differences`: evaluated checkpoints against the first of them, with intervals and p-values over images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    Data,
    Device,
    Json,
    Ray,
    Split,
    Words,
    Workers,
    chosen_workers,
    exit_after,
    load_data,
    print_json,
    print_table,
    report_problems,
    say,
    vocabulary_for,
)
from odits.cli.evaluations import evaluated
from odits.cli.figures import FigureFile, FigureTheme, check_figure, write_figure
from odits.core.errors import OditsError
from odits.models.reference import MODEL_FORMS

if TYPE_CHECKING:
    from pathlib import Path

    from odits.data import ImageRecord
    from odits.evaluation.differences import Difference
    from odits.evaluation.results import StoredEvaluation
    from odits.evaluation.slices import Slice

SHOWN_METRICS = ("rank average_precision", "rank precision_at_10", "confidence precision", "confidence f1")
"""The metrics printed for people where none is named; --json has all."""


def differences(
    checkpoints: Annotated[
        list[str], typer.Argument(help=f"The first and those compared with it: {MODEL_FORMS}.", show_default=False)
    ],
    data: Data = None,
    split: Split = "eval",
    vocabulary: Words = "svt",
    metric: Annotated[
        str, typer.Option(help="The metric of --slices and --images.", show_default="rank average_precision")
    ] = "",
    slices: Annotated[
        bool, typer.Option("--slices", help="Show the difference in parts of the images too, and where it turns.")
    ] = False,
    images: Annotated[
        int, typer.Option(min=0, help="Show so many images that make most of the difference.", show_default="none")
    ] = 0,
    figure: FigureFile = None,
    figure_theme: FigureTheme = "light",
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Compare checkpoints with the first by paired bootstrap over images, with p-values corrected over them (Holm).

    Evaluations are stored: what was evaluated before is compared at once.
    """
    if len(dict.fromkeys(checkpoints)) < 2:
        raise OditsError("Name two checkpoints or more: the others are compared with the first.")
    check_figure(figure, figure_theme)
    dataset = load_data(data)
    words = vocabulary_for(dataset, vocabulary)
    from odits.evaluation import differences as comparing

    metric = metric or comparing.DEFAULT_METRIC
    if metric not in comparing.METRICS:
        raise OditsError(f"There is no metric “{metric}”; there is {', '.join(comparing.METRICS)}.")
    stored = evaluated(checkpoints, dataset, split, words, chosen_workers(workers, ray, 0), device)
    base, others = stored[0], stored[1:]
    problems = report_problems(base.problems)
    found = comparing.differences(base, others)
    document: dict[str, Any] = {
        "data": dataset.name,
        "split": split,
        "words": len(words),
        "first": {"model": base.model, "checkpoint": base.checkpoint},
        "rows": [
            {
                "model": others[one.row].model,
                "checkpoint": others[one.row].checkpoint,
                "metric": one.metric,
                **(one.change._asdict() if one.change else {}),
                "p_holm": _number(one.corrected),
            }
            for one in found
        ],
        "problems": problems,
    }
    if slices:
        records = [dataset.find(name) for name in base.images]
        document["slices"] = [_sliced(base, other, metric, records) for other in others]
    if images:
        document["images"] = [
            {"model": other.model, "metric": metric, "images": [one._asdict() for one in shares[:images]]}
            for other in others
            for shares in [comparing.shares_of(base, other, metric)]
        ]
    if figure is not None:
        _draw(figure, figure_theme, base, others, found)
    if as_json:
        print_json(document)
    else:
        _print(document, metric)
    exit_after(problems)


def _draw(
    figure: Path, theme: str, base: StoredEvaluation, others: list[StoredEvaluation], found: list[Difference]
) -> None:
    """Draw the forest plot of all metrics."""
    from odits.figures.differences import ForestRow
    from odits.figures.static_models import forest_figure

    names = [f"{one.model} · {one.checkpoint[:8]}" for one in others]
    rows = [ForestRow(one.metric.replace("_", " "), names[one.row], one.change, one.corrected) for one in found]
    write_figure(figure, lambda at: forest_figure(rows, at, f"difference to {base.model}"), theme, [base.model, *names])


def _sliced(base: StoredEvaluation, other: StoredEvaluation, metric: str, records: list[ImageRecord]) -> dict[str, Any]:
    """Return the parts of the images by every way to cut them, and the sentences of where a difference turns."""
    from odits.evaluation.differences import differences as compare
    from odits.evaluation.slices import SLICINGS, reversals, slice_difference

    total = compare(base, [other], [metric])[0].change
    cut = {}
    for by in SLICINGS:
        parts = slice_difference(base, other, metric, by, records)
        cut[by] = {"parts": [_part(part) for part in parts], "warnings": reversals(total, parts)}
    return {"model": other.model, "metric": metric, **cut}


def _part(part: Slice) -> dict[str, Any]:
    plain = {"part": part.title, "images_in_part": part.images, "before": _number(part.before)}
    change = part.change._asdict() if part.change else {}
    return {**plain, "after": _number(part.after), **change, "p_holm": _number(part.corrected)}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _print(document: dict[str, Any], metric: str) -> None:
    """Print the table for people, then the parts and the images that were asked for."""
    rows = [row for row in document["rows"] if row["metric"] in (*SHOWN_METRICS, metric)]
    title = f"Against {document['first']['model']} on {document['split']} images of {document['data']}"
    print_table(("model", "metric", *_HEADS), [(row["model"], row["metric"], *_cells(row)) for row in rows], title)
    say("95 % intervals and two-sided p: paired bootstrap over images; corrected over the models (Holm).")
    for sliced in document.get("slices", []):
        for by, cut in sliced.items():
            if by in ("model", "metric"):
                continue
            lines = [(part["part"], part["images_in_part"], *_cells(part)) for part in cut["parts"]]
            print_table((by, "images", *_HEADS), lines, f"{sliced['model']}: {metric} by {by}")
            for sentence in cut["warnings"]:
                say(f"The other way: {sentence}")
    for listed in document.get("images", []):
        lines = [(one["image"], f"{one['change']:+.4f}", f"{100 * one['share']:.1f} %") for one in listed["images"]]
        print_table(("image", "change", "of all change"), lines, f"{listed['model']}: which images make the difference")


_HEADS = ("difference", "from", "to", "p", "p (Holm)")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "difference" not in row:
        return ("",) * len(_HEADS)
    corrected = row["p_holm"]
    return (
        *(f"{row[name]:+.4f}" for name in ("difference", "low", "high")),
        f"{row['p']:.4f}",
        "" if corrected is None else f"{corrected:.4f}",
    )
