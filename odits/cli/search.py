"""`odits search`: the images of a collection that show words, or look like a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    Data,
    Device,
    Json,
    Ray,
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
from odits.core.progress import Phase, open_reporter
from odits.models.reference import CLIP_FORMS

if TYPE_CHECKING:
    from odits.core.pool import Workers as PoolWorkers
    from odits.data.records import Collection
    from odits.search.index import Index
    from odits.search.ranking import Hit


def search(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words that an image must all show.", show_default=False)
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="A picture, in place of words: the images most like it."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"With --like: compare embeddings of a CLIP model ({CLIP_FORMS}); EfficientNet-Lite2's by default.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    folder: Annotated[
        Path | None, typer.Option(help="A folder of images, in place of a data set.", show_default=False)
    ] = None,
    split: Annotated[str, typer.Option(help="Which of the data set's images: train, eval or all.")] = "all",
    top: Annotated[int, typer.Option(min=1, help="How many images.")] = 20,
    part: Annotated[bool, typer.Option("--part", help="The words may be parts of longer ones.")] = False,
    tolerance: Annotated[int, typer.Option(help="How many letters of a word may be wrong: 0, 1 or 2.")] = 0,
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find images that show words, or that look like a picture; images are read, or looked at, once."""
    from odits.core.pool import Problem

    if bool(words) == (like is not None):
        raise OditsError("Name words to look for, or a picture with --like.")
    if like is not None:
        where = chosen_workers(workers, ray, 0)
        _search_like(like, _collection(data, folder, split), top, model, where, device, as_json)
        return
    if model is not None:
        raise OditsError("--model says which embeddings are compared with --like; words are read.")
    from odits.search.query import parse_query
    from odits.search.ranking import Searcher
    from odits.search.ranking import search as search_images

    query = parse_query(" ".join(words or ()), part, tolerance)
    collection = _collection(data, folder, split)
    index = _index(collection, chosen_workers(workers, ray))
    problems = report_problems(Problem(entry.name, entry.problem) for entry in index.problems)
    hits = search_images(Searcher(index), query, top)
    if as_json:
        print_json(
            {
                "collection": collection.title,
                "images": len(index.images),
                "unreadable": [{"image": entry.name, "why": entry.problem} for entry in index.problems],
                "problems": problems,
                "words": query.words,
                "part": part,
                "tolerance": tolerance,
                "results": [_document(hit) for hit in hits],
            }
        )
    else:
        _print(hits, f"{collection.title}: {len(index.images):,} images", query.words)
    exit_after(problems)


def _search_like(
    picture: Path,
    collection: Collection,
    top: int,
    model: str | None,
    workers: PoolWorkers,
    device: str,
    as_json: bool,
) -> None:
    """Print the images of a collection that are most like a picture."""
    from odits.data.records import ImageRecord
    from odits.models.classification.eye import PhotoNetwork
    from odits.search.embeddings import ClipEmbedder, Embedder
    from odits.search.likeness import embed_records, most_alike

    with open_reporter() as report:
        embedder: Embedder = PhotoNetwork(device)
        reference = ""
        if model is not None:
            from odits.models.registry import load

            ref = find_model(model, report, "clip")
            reference = ref.reference
            embedder = ClipEmbedder(load(ref, device, download_progress(report), kind="clip"))
        asked = embed_records([ImageRecord(picture.name, picture)], embedder=embedder)
        phase = report.phase("looking at images", len(collection.records))
        likeness = embed_records(collection.records, workers, phase, device, embedder, reference)
    problems = report_problems(likeness.problems)
    found = most_alike(likeness, asked.table[0], top)
    if as_json:
        print_json(
            {
                "collection": collection.title,
                "images": len(likeness.records),
                "problems": problems,
                "like": str(picture),
                "model": embedder.name,
                "results": [
                    {"image": one.record.name, "path": str(one.record.path), "similarity": one.similarity}
                    for one in found
                ],
            }
        )
    else:
        rows = [(rank, one.record.name, one.similarity) for rank, one in enumerate(found, start=1)]
        title = f"{collection.title}: {len(likeness.records):,} images, by {embedder.name}"
        print_table(("rank", "image", "similarity"), rows, title)
    exit_after(problems)


def _print(hits: list[Hit], title: str, words: tuple[str, ...]) -> None:
    if not hits:
        say(f"{title}: none shows {' and '.join(words)}.")
        return
    rows = [
        (rank, hit.image.name, hit.probability, "; ".join(match.why for match in hit.matches))
        for rank, hit in enumerate(hits, start=1)
    ]
    print_table(("rank", "image", "probability", "why"), rows, title)


def _collection(data: Path | None, folder: Path | None, split: str) -> Collection:
    from odits.data.records import collection_of_dataset, collection_of_folder

    if folder is None:
        return collection_of_dataset(load_data(data), split)
    if data is not None:
        raise OditsError("Name a data set with --data or a folder with --folder, not both.")
    return collection_of_folder(folder)


def _index(collection: Collection, workers: PoolWorkers) -> Index:
    """Return the index, made or brought up to date, showing how far it is."""
    from odits.search.index import build_index

    with open_reporter() as report:
        phases: dict[str, Phase] = {}

        def progress(what: str, done: int, of: int) -> None:
            if what not in phases:
                phases[what] = report.phase(what.lower(), of)
            phases[what](done, of)

        return build_index(collection, workers, progress)


def _document(hit: Hit) -> dict[str, Any]:
    return {
        "image": hit.image.name,
        "path": hit.image.path,
        "probability": hit.probability,
        "log_odds": hit.score,
        "words": [
            {
                "word": match.word,
                "probability": match.probability,
                "read": match.text,
                "why": match.why,
                "corners": match.corners.astype(float).round(1).tolist(),
            }
            for match in hit.matches
        ],
    }
