"""`odits evaluate`: the metrics of a checkpoint on a split, stored and tracked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    AnyModel,
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
from odits.cli.evaluations import evaluate_reference
from odits.cli.exporting import Export, Format, Pictures, check_export, write_export
from odits.cli.figures import FigureFile, FigureTheme, check_figure, write_figure
from odits.cli.options import Track
from odits.core.errors import OditsError
from odits.core.files import require_folder
from odits.core.progress import open_reporter
from odits.models.reference import DEFAULT_MODEL
from odits.tracking.sources import make_tracker

if TYPE_CHECKING:
    from odits.data import Dataset
    from odits.evaluation.results import StoredEvaluation


def evaluate(
    data: Data = None,
    checkpoint: AnyModel = DEFAULT_MODEL,
    split: Split = "eval",
    vocabulary: Words = "svt",
    save_probabilities_to: Annotated[
        Path | None, typer.Option("--save-probabilities", help="Write all probabilities to this .npz.")
    ] = None,
    export: Export = None,
    export_format: Format = None,
    pictures: Pictures = None,
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many words of an image --export has.")] = 10,
    figure: FigureFile = None,
    figure_theme: FigureTheme = "light",
    track: Track = "mlflow",
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Evaluate a word model by all metrics (thesis, 2.3), beside two rows that see no image.

    Results are stored: the same question is answered at once, and an interrupted evaluation resumes.
    """
    make_tracker(track)  # a misspelt one ends before the work
    form = check_export(export, export_format)
    check_figure(figure, figure_theme)
    dataset = load_data(data)
    words = vocabulary_for(dataset, vocabulary)
    from odits.evaluation.evaluate import save_probabilities

    if save_probabilities_to is not None:
        require_folder(save_probabilities_to)
    with open_reporter() as report:
        where = chosen_workers(workers, ray, 0)
        model, stored = evaluate_reference(checkpoint, dataset, split, words, where, device, report)
    problems = report_problems(stored.problems)
    if save_probabilities_to is not None:
        save_probabilities(save_probabilities_to, stored.probabilities(), stored.vocabulary.words, stored.images)
    if export and form:
        from odits.evaluation.exports import exported_evaluation

        records = [dataset.find(name) for name in stored.images]
        write_export(export, exported_evaluation(stored, records, top, form, pictures))
    if figure is not None:
        _draw(figure, figure_theme, stored)
    run = _tracked(stored, dataset, track)
    found = {
        "model": model.name,
        "checkpoint": model.checkpoint,
        "data": dataset.name,
        "split": split,
        **stored.groups,
        "kept": stored.key,
        "run": run,
        "problems": problems,
    }
    if as_json:
        print_json(found)
    else:
        print_comparison({model.name: found, **found["baselines"]})
    exit_after(problems)


def _draw(figure: Path, theme: str, stored: StoredEvaluation) -> None:
    """Draw the metrics beside those of the two rows that see no image."""
    from odits.figures.evaluations import MEASURED, WITHOUT_IMAGE, Row
    from odits.figures.static_models import comparison_figure

    rows = [Row(stored.model, MEASURED, _flat(stored.groups))]
    rows += [Row(name, WITHOUT_IMAGE, _flat(groups)) for name, groups in stored.groups["baselines"].items()]
    metrics = [name for name in rows[0].values if not name.endswith("without roc")]
    write_figure(figure, lambda at: comparison_figure(rows, metrics, at), theme, [stored.model])


def _flat(groups: dict[str, Any]) -> dict[str, Any]:
    """Return metrics by their titles, such as "rank: precision at 10"."""
    flat = {
        f"{group}: {name.replace('_', ' ')}": value
        for group in ("confidence", "rank", "threshold")
        for name, value in groups[group].items()
    }
    return {**flat, "uniformity": groups["uniformity"]}


def _tracked(stored: StoredEvaluation, dataset: Dataset, track: str) -> str | None:
    """Track the results and return the run's id; a tracker that fails costs one sentence, not the results."""
    from odits.evaluation.results import track_evaluation

    try:
        return track_evaluation(stored, dataset, track)
    except OditsError as error:
        say(f"The results are not tracked: {error}")
        return None


def print_comparison(rows: dict[str, dict[str, Any]]) -> None:
    """Print the metric groups of several models as one table for people, a model a column."""
    names = list(rows)
    flat: dict[str, list[Any]] = {}
    for groups in rows.values():
        for group in ("confidence", "threshold", "rank"):
            for name, value in groups[group].items():
                flat.setdefault(f"{group}: {name.replace('_', ' ')}", []).append(value)
        flat.setdefault("uniformity", []).append(groups["uniformity"])
    print_table(("metric", *names), [(name, *values) for name, values in flat.items()])
