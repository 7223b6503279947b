"""`odits retrieval` and `odits spot`: how well words are found in a split's images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    Checkpoint,
    Data,
    Device,
    Json,
    Ray,
    Split,
    Workers,
    chosen_workers,
    download_progress,
    exit_after,
    find_model,
    load_data,
    print_json,
    print_table,
    report_problems,
    say,
)
from odits.core.errors import OditsError
from odits.core.progress import open_reporter
from odits.models.reference import EMBEDDED

if TYPE_CHECKING:
    from odits.models.reading.spotter import ResultSpotter

THRESHOLD = 0.8

Results = Annotated[
    Path | None,
    typer.Option(
        help="A result file of another spotter (DeepSolo, ESTextSpotter) to compare with.", show_default=False
    ),
]


def retrieval(
    data: Data = None,
    split: Split = "eval",
    checkpoint: Checkpoint = EMBEDDED,
    odits: Annotated[str | None, typer.Option(help="An ODITS checkpoint to compare with.", show_default=False)] = None,
    results: Results = None,
    save_scores: Annotated[Path | None, typer.Option(help="Write the spotter's scores to this .npz.")] = None,
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Rank images for each boxed word by reading, by CLIP, by ODITS, and by both: mean average precision."""
    dataset = load_data(data)
    from odits.core.pool import name_problems
    from odits.evaluation import retrieval as words
    from odits.models.registry import load

    others = other_spotters(results)
    records = dataset.split(split)
    by_lexicon = not any(record.boxed for record in records)
    if by_lexicon:
        say("No image has boxed words: the words of the lexicons are the queries.")
    whole = words.retrieval_task(records, by_lexicon)
    where = chosen_workers(workers, ray, 0)
    spotter = load("spotting", kind="spotting")
    embedded: dict[str, words.Scores] = {}
    with open_reporter() as report:
        refs = [find_model(checkpoint, report, "clip")]
        refs += [find_model(odits, report, "odits")] if odits is not None else []
        models = [(ref.reference, load(ref, device, download_progress(report))) for ref in refs]
        spotted = words.spotting_scores(spotter, whole, report.phase("reading", len(records)), where)
        for reference, model in models:
            name = f"{model.name}, whole image" if not embedded else model.name
            phase = report.phase(f"comparing: {name}", len(records))
            embedded[name] = words.embedding_scores(model, whole, phase, where, reference, device)
    read = {other.name: words.spotting_scores(other, whole) for other in others}
    unreadable = spotted.problems | {k: v for scores in embedded.values() for k, v in scores.problems.items()}
    problems = report_problems(name_problems(records, unreadable))
    task, rows, columns = words.readable_part(whole, list(unreadable))
    if not task.queries:
        raise OditsError("None of the images that can be read shows a word.")
    tables = {name: scores.values[rows][:, columns] for name, scores in ({spotter.name: spotted} | embedded).items()}
    if save_scores is not None:
        words.save_scores(save_scores, tables[spotter.name], task)
    tables |= {f"{spotter.name} + {name}": words.fused_scores(tables[spotter.name], tables[name]) for name in embedded}
    tables |= {name: scores.values[rows][:, columns] for name, scores in read.items()}
    maps = {name: words.mean_average_precision(table, task.relevant) for name, table in tables.items()}
    if as_json:
        print_json(
            {
                "data": dataset.name,
                "split": split,
                "images": len(task.records),
                "queries": len(task.queries),
                "map": maps[spotter.name],
                "models": [{"name": name, "map": value} for name, value in maps.items()],
                "problems": problems,
            }
        )
    else:
        title = f"{len(task.queries)} words as queries, {len(task.records)} images"
        print_table(("model", "MAP"), maps.items(), title)
    exit_after(problems)


def spot(
    data: Data = None,
    split: Split = "eval",
    threshold: Annotated[
        float,
        typer.Option(min=0.01, max=0.99, help="The least probability of a found word; chosen on training images."),
    ] = THRESHOLD,
    results: Results = None,
    workers: Workers = None,
    ray: Ray = None,
    as_json: Json = False,
) -> None:
    """Find the words of each image's own lexicon with their boxes (SVT's task): precision, recall, F."""
    dataset = load_data(data)
    from odits.core.pool import name_problems
    from odits.evaluation.reading_tasks import spotting_quality
    from odits.models.registry import load

    records = dataset.split(split)
    others = other_spotters(results)
    spotter = load("spotting", kind="spotting")
    with open_reporter() as report:
        phase = report.phase("reading", len(records))
        quality = spotting_quality(spotter, records, threshold, phase, chosen_workers(workers, ray, 0))
    problems = report_problems(name_problems(records, quality.problems))
    readable = [record for place, record in enumerate(records) if place not in quality.problems]
    found: dict[str, Any] = {
        "model": spotter.name,
        "data": dataset.name,
        "split": split,
        "images": len(readable),
        "threshold": threshold,
        **quality.values,
        "others": [{"model": other.name, **spotting_quality(other, readable, threshold).values} for other in others],
        "problems": problems,
    }
    if as_json:
        print_json(found)
    else:
        compared = [found, *found["others"]]
        rows = [(one["model"], *(one[name] for name in quality.values)) for one in compared]
        print_table(("model", *quality.values), rows, "Words of the images' own lexicons, with their boxes")
    exit_after(problems)


def other_spotters(results: Path | None) -> list[ResultSpotter]:
    """Return the spotter that wrote a result file, named after it; none where there is no file."""
    if results is None:
        return []
    from odits.models.reading.result_files import read_results
    from odits.models.reading.spotter import ResultSpotter

    return [ResultSpotter(f"{results.stem} (result file)", read_results(results))]
