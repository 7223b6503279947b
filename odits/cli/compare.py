"""`odits compare`: ODITS, its ablations and its controls against CLIP, with confidence intervals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from odits.cli.common import (
    Data,
    Json,
    exit_after,
    find_model,
    load_data,
    print_json,
    print_table,
    say,
)
from odits.cli.figures import FigureFile, FigureTheme, check_figure, write_figure
from odits.cli.options import resumable, with_settings
from odits.core.progress import open_reporter
from odits.evaluation.settings import ComparisonRequest

if TYPE_CHECKING:
    from odits.figures.differences import ForestRow

SHOWN = {
    "P@10": "rank precision_at_10",
    "average precision": "rank average_precision",
    "confidence precision": "confidence precision",
    "confidence F1": "confidence f1",
}
"""The metrics that decide: columns for people, and their names among a row's intervals."""


@with_settings(ComparisonRequest)
def compare(
    data: Data = None,
    *,
    settings: ComparisonRequest,
    figure: FigureFile = None,
    figure_theme: FigureTheme = "light",
    as_json: Json = False,
) -> None:
    """Compare ODITS, its ablations and its controls with CLIP, by every metric.

    Trainings are stored: repeated or interrupted comparisons go on where they were.
    """
    check_figure(figure, figure_theme)
    dataset = load_data(data)
    from odits.evaluation.comparison import compare as compare_models

    with resumable(), open_reporter() as report:
        clip = find_model(settings.checkpoint, report, "clip").reference
        finetuned = find_model(settings.finetuned, report, "clip").reference if settings.finetuned else None
        segmenter = find_model(settings.segmenter, report, "segmenter").reference  # a wrong one ends before the work
        request = replace(settings, checkpoint=clip, finetuned=finetuned, segmenter=segmenter)
        document = compare_models(dataset, request, report)
    for problem in document["problems"]:
        say(f"Left out: {problem['problem']}")
    if figure is not None:
        from odits.figures.static_models import forest_figure

        rows = forest_rows(document["rows"])
        write_figure(figure, lambda theme: forest_figure(rows, theme, "difference to CLIP"), figure_theme)
    if as_json:
        print_json(document)
    else:
        print_rows(document["rows"])
        say("± is half of the 95 % interval of the difference to CLIP: paired bootstrap over images.")
    exit_after(document["problems"])


def forest_rows(rows: list[dict[str, Any]]) -> list[ForestRow]:
    """Return the rows' differences to CLIP by the metrics that decide, as the forest plot takes them."""
    from odits.figures.differences import ForestRow
    from odits.metrics.paired import Change

    return [
        ForestRow(title, row["name"], Change(ci["difference"], ci["low"], ci["high"], ci["p"], 0), ci["p_holm"])
        for title, key in SHOWN.items()
        for row in rows
        if (ci := row["ci"].get(key))
    ]


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print the metrics that decide, with half the width of the interval of their difference to CLIP."""
    lines = []
    for row in rows:
        cells = [row["name"]]
        for key in SHOWN.values():
            group, _, name = key.partition(" ")
            ci = row["ci"].get(key)
            cells.append(f"{row[group][name]:.3f}" + (f" ± {(ci['high'] - ci['low']) / 2:.3f}" if ci else ""))
        lines.append(cells)
    print_table(("model", *SHOWN), lines)
