"""`odits precompute`: the objects of many images, by several processes or on a Ray cluster, before they are needed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from odits.cli.common import (
    Data,
    Device,
    Json,
    Ray,
    SamValues,
    Segmenter,
    Texts,
    Workers,
    exit_after,
    load_data,
    precompute_shown,
    print_json,
    sam_parameters,
    say,
)
from odits.core.errors import OditsError
from odits.models.reference import DEFAULT_SEGMENTER


def precompute(
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which of the data set's images: train, eval or all.")] = "all",
    folder: Annotated[
        Path | None, typer.Option(help="A folder of images, in place of a data set.", show_default=False)
    ] = None,
    segmenter: Segmenter = DEFAULT_SEGMENTER,
    sam: SamValues = None,
    text: Texts = None,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="SAM's masks at loose thresholds, which `counts --tune` filters.")
    ] = False,
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find the objects of all images once; stored ones are skipped, so a stopped run resumes."""
    from odits.data.records import collection_of_dataset, collection_of_folder
    from odits.models.segmentation.batch import ObjectsRequest

    if folder is not None and data is not None:
        raise OditsError("Name a data set with --data or a folder with --folder, not both.")
    if candidates and (text or not ObjectsRequest(segmenter).has_candidates):
        raise OditsError("Candidates are what SAM finds by points: choose a SAM with --segmenter, and no --text.")
    found = collection_of_folder(folder) if folder else collection_of_dataset(load_data(data), split)
    request = ObjectsRequest(
        segmenter, sam_parameters(sam, segmenter, text), device, "candidates" if candidates else "objects"
    )
    began = time.perf_counter()
    done, problems = precompute_shown(found.records, request, workers, ray)
    if as_json:
        print_json(
            {
                "images": len(found.records),
                "segmenter": done.segmenter.name,
                "kind": request.kind,
                "computed": done.computed,
                "kept_from_before": done.stored,
                "problems": [{**problem, "why": problem["problem"]} for problem in problems],
                "seconds": time.perf_counter() - began,
            }
        )
    else:
        say(
            f"{found.title}: {done.computed:,} of {len(found.records):,} images computed by {done.segmenter.name}, "
            f"{done.stored:,} were there already."
        )
    exit_after(problems)
