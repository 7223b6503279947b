"""`odits retrieval` and `odits spot`: how well words are found in a split's images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
from odits.evaluation.settings import SPOTTING_LIMITS
from odits.models.reference import EMBEDDED, SPOTTING

if TYPE_CHECKING:
    import numpy as np

    from odits.evaluation.retrieval import RetrievalTask
    from odits.evaluation.retrieval_errors import QueryLoss
    from odits.models.reading.reader import TextLine
    from odits.models.reading.spotter import ResultSpotter, WordSpotter

LexiconChoice = Literal["own", "full"]
WHOSE: dict[LexiconChoice, str] = {"own": "the images' own lexicons", "full": "all images' lexicons as one"}

Results = Annotated[
    Path | None,
    typer.Option(
        help="A result file of another spotter (DeepSolo, ESTextSpotter) to compare with.", show_default=False
    ),
]
Spotter = Annotated[
    str,
    typer.Option(
        help="What reads: spotting, spotting:v6, spotting:v4, spotting:quick, which takes a fraction of the time, or "
        "spotting:joint for all that are installed, which takes a multiple."
    ),
]


def retrieval(
    data: Data = None,
    split: Split = "eval",
    spotter: Spotter = SPOTTING,
    checkpoint: Checkpoint = EMBEDDED,
    odits: Annotated[str | None, typer.Option(help="An ODITS checkpoint to compare with.", show_default=False)] = None,
    results: Results = None,
    save_scores: Annotated[Path | None, typer.Option(help="Write the spotter's scores to this .npz.")] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Name what each query loses: pictures at the wrong place, with a cause.")
    ] = False,
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
    reading = load(spotter, kind="spotting")
    embedded: dict[str, words.Scores] = {}
    with open_reporter() as report:
        refs = [find_model(checkpoint, report, "clip")]
        refs += [find_model(odits, report, "odits")] if odits is not None else []
        models = [(ref.reference, load(ref, device, download_progress(report))) for ref in refs]
        spotted = words.spotting_scores(reading, whole, report.phase("reading", len(records)), where)
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
    tables = {name: scores.values[rows][:, columns] for name, scores in ({reading.name: spotted} | embedded).items()}
    if save_scores is not None:
        words.save_scores(save_scores, tables[reading.name], task)
    tables |= {f"{reading.name} + {name}": words.fused_scores(tables[reading.name], tables[name]) for name in embedded}
    tables |= {name: scores.values[rows][:, columns] for name, scores in read.items()}
    precisions = {name: words.average_precisions(table, task.relevant) for name, table in tables.items()}
    maps = {name: float(values.mean()) for name, values in precisions.items()}
    intervals = {name: words.map_interval(values) for name, values in precisions.items()}
    losses = named_losses(reading, task, tables[reading.name]) if errors else []
    if as_json:
        print_json(
            {
                "data": dataset.name,
                "split": split,
                "images": len(task.records),
                "queries": len(task.queries),
                "map": maps[reading.name],
                "interval": intervals[reading.name],
                "models": [{"name": name, "map": value, "interval": intervals[name]} for name, value in maps.items()],
                **({"errors": [asdict(loss) for loss in losses]} if errors else {}),
                "problems": problems,
            }
        )
    else:
        title = f"{len(task.queries)} words as queries, {len(task.records)} images"
        cells = [(name, value, "{:.4f} to {:.4f}".format(*intervals[name])) for name, value in maps.items()]
        print_table(("model", "MAP", "95 % interval over queries"), cells, title)
        if errors:
            print_losses(losses)
    exit_after(problems)


def named_losses(spotter: WordSpotter, task: RetrievalTask, scores: np.ndarray) -> list[QueryLoss]:
    """Return what each query loses with a spotter whose scores (Q, I) are known; its readings are stored."""
    from odits.evaluation.retrieval_errors import query_losses
    from odits.models.reading.ctc import Lexicon

    def best_line(lines: Sequence[TextLine], word: str) -> TextLine | None:
        if not lines:
            return None
        return lines[int(spotter.score_lines(list(lines), Lexicon([word])).log_odds[:, 0].argmax())]

    return query_losses(task, scores, spotter.lines_of, best_line)


def print_losses(losses: Sequence[QueryLoss]) -> None:
    """Print each query's faults, and how much average precision goes with each cause."""
    rows = [
        (
            loss.query,
            loss.average_precision,
            fault.rank,
            fault.image,
            "yes" if fault.shows else "no",
            fault.cause,
            fault.read,
        )
        for loss in losses
        for fault in loss.faults
    ]
    print_table(
        ("word", "average precision", "rank", "image", "shows it", "cause", "read"), rows, "What each word loses"
    )
    causes = Counter(fault.cause for loss in losses for fault in loss.faults)
    print_table(("cause", "pictures"), causes.most_common(), "Causes")


def spot(
    data: Data = None,
    split: Split = "eval",
    spotter: Spotter = SPOTTING,
    lexicon: Annotated[
        LexiconChoice, typer.Option(help="Whose words are looked for in an image: its own, or those of all images.")
    ] = "own",
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=0.9999,
            help="The least probability of a found word. Default: as chosen on training images, "
            f"{SPOTTING_LIMITS['own']:g} for own lexicons, {SPOTTING_LIMITS['full']:g} for the full one.",
            show_default=False,
        ),
    ] = None,
    results: Results = None,
    workers: Workers = None,
    ray: Ray = None,
    as_json: Json = False,
) -> None:
    """Find the words of lexicons in images, with their boxes (SVT's task): precision, recall, F."""
    threshold = SPOTTING_LIMITS[lexicon] if threshold is None else threshold
    dataset = load_data(data)
    from odits.core.pool import name_problems
    from odits.evaluation.reading_tasks import full_lexicon, spotting_quality
    from odits.models.registry import load

    records = dataset.split(split)
    others = other_spotters(results)
    reading = load(spotter, kind="spotting")
    with open_reporter() as report:
        phase = report.phase("reading", len(records))
        where, full = chosen_workers(workers, ray, 0), lexicon == "full"
        quality = spotting_quality(reading, records, threshold, phase, where, full)
    problems = report_problems(name_problems(records, quality.problems))
    readable = [record for place, record in enumerate(records) if place not in quality.problems]
    found: dict[str, Any] = {
        "model": reading.name,
        "data": dataset.name,
        "split": split,
        "images": len(readable),
        "lexicon": lexicon,
        "words": len(full_lexicon(records)) if lexicon == "full" else None,
        "threshold": threshold,
        **quality.values,
        "interval": quality.interval,
        "others": [
            {"model": other.name, **spotting_quality(other, readable, threshold, full=full).values} for other in others
        ],
        "problems": problems,
    }
    if as_json:
        print_json(found)
    else:
        compared = [found, *found["others"]]
        rows = [(one["model"], *(one[name] for name in quality.values)) for one in compared]
        print_table(("model", *quality.values), rows, f"Words of {WHOSE[lexicon]}, with their boxes")
    exit_after(problems)


def other_spotters(results: Path | None) -> list[ResultSpotter]:
    """Return the spotter that wrote a result file, named after it; none where there is no file."""
    if results is None:
        return []
    from odits.models.reading.result_files import read_results
    from odits.models.reading.spotter import ResultSpotter

    return [ResultSpotter(f"{results.stem} (result file)", read_results(results))]
