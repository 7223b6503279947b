"""`odits retrieval` and `odits spot`: how well words are found in a split's images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import Checkpoint, Data, Device, Json, load_data, print_json, print_table
from odits.core.progress import open_reporter

if TYPE_CHECKING:
    import numpy as np

    from odits.data.predictions import WordModel
    from odits.models.reading.spotter import ResultSpotter

THRESHOLD = 0.8

Results = Annotated[
    Path | None,
    typer.Option(
        help="A result file of another spotter (DeepSolo, ESTextSpotter) to compare with.", show_default=False
    ),
]
Split = Annotated[str, typer.Option(help="Which images: train, eval or all.")]


def retrieval(
    data: Data = None,
    split: Split = "eval",
    checkpoint: Checkpoint = "embedded",
    odits: Annotated[Path | None, typer.Option(help="An ODITS checkpoint to compare with.", show_default=False)] = None,
    results: Results = None,
    save_scores: Annotated[Path | None, typer.Option(help="Write the spotter's scores to this .npz.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Mean average precision of images ranked for each boxed word: by reading, by CLIP, by ODITS, and by both."""
    dataset = load_data(data)
    from odits.evaluation import retrieval as task_of
    from odits.models.clip.loading import load_word_model
    from odits.models.reading.spotter import WordSpotter

    others = other_spotters(results)
    task = task_of.retrieval_task(dataset.split(split))
    spotter, clip = WordSpotter(), load_word_model(checkpoint, device)
    seeing: list[tuple[str, WordModel]] = [(f"{clip.name}, whole image", clip)]
    if odits is not None:
        from odits.models.fusion.model import load_odits

        with_objects = load_odits(odits, device)
        seeing.append((with_objects.name, with_objects))
    with open_reporter() as report:
        spotted = task_of.spotting_scores(spotter, task, report.phase("reading", len(task.records)).advance)
        if save_scores is not None:
            task_of.save_scores(save_scores, spotted, task)
        seen: dict[str, np.ndarray] = {}
        for name, model in seeing:
            advance = report.phase(f"comparing: {name}", len(task.records)).advance
            seen[name] = task_of.embedding_scores(model, task, advance)
    rows = {
        spotter.name: spotted,
        **seen,
        **{f"{spotter.name} + {name}": task_of.fused_scores(spotted, scores) for name, scores in seen.items()},
        **{other.name: task_of.spotting_scores(other, task) for other in others},
    }
    maps = {name: task_of.mean_average_precision(scores, task.relevant) for name, scores in rows.items()}
    found: dict[str, Any] = {
        "data": dataset.name,
        "split": split,
        "images": len(task.records),
        "queries": len(task.queries),
        "map": maps[spotter.name],
        "models": [{"name": name, "map": value} for name, value in maps.items()],
    }
    if as_json:
        print_json(found)
    else:
        title = f"{len(task.queries)} words as queries, {len(task.records)} images"
        print_table(("model", "MAP"), maps.items(), title)


def spot(
    data: Data = None,
    split: Split = "eval",
    threshold: Annotated[
        float,
        typer.Option(min=0.01, max=0.99, help="The least probability of a found word; chosen on training images."),
    ] = THRESHOLD,
    results: Results = None,
    as_json: Json = False,
) -> None:
    """Words of each image's own lexicon, found with their boxes (SVT's task): precision, recall, F."""
    dataset = load_data(data)
    from odits.evaluation.reading_tasks import spotting_quality
    from odits.models.reading.spotter import WordSpotter

    records = dataset.split(split)
    others = other_spotters(results)
    spotter = WordSpotter()
    with open_reporter() as report:
        quality = spotting_quality(spotter, records, threshold, report.phase("reading", len(records)).advance)
    found: dict[str, Any] = {
        "model": spotter.name,
        "data": dataset.name,
        "split": split,
        "images": len(records),
        "threshold": threshold,
        **quality,
        "others": [{"model": other.name, **spotting_quality(other, records, threshold)} for other in others],
    }
    if as_json:
        print_json(found)
        return
    compared = [found, *found["others"]]
    rows = [(one["model"], *(one[name] for name in quality)) for one in compared]
    print_table(("model", *quality), rows, "Words of the images' own lexicons, with their boxes")


def other_spotters(results: Path | None) -> list[ResultSpotter]:
    """The spotter that wrote a result file, named after it; none where there is no file."""
    if results is None:
        return []
    from odits.models.reading.result_files import read_results
    from odits.models.reading.spotter import ResultSpotter

    return [ResultSpotter(f"{results.stem} (result file)", read_results(results))]
