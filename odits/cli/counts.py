"""`odits counts`: how many objects the images of a split hold, and how those counts are distributed."""

from __future__ import annotations

from typing import Annotated

import typer

from odits.cli.common import Data, Device, Json, Segmenter, load_data, print_json, print_table, say, track


def counts(
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which images: train, eval or all.")] = "train",
    segmenter: Segmenter = "embedded",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Object counts of a split with Anderson-Darling tests (thesis, 3.3.1). Counted images are kept: it resumes."""
    from odits.models.segmenters import load_segmenter
    from odits.object_store import stored_count
    from odits.statistics import anderson_darling, describe_counts

    records = load_data(data).split(split)
    finder = load_segmenter(segmenter, device=device)
    counted = [stored_count(record.path, finder) for record in track(records, "counting objects")]
    described = describe_counts(counted)
    tests = {name: anderson_darling(counted, name) for name in ("norm", "expon")}
    if as_json:
        print_json(
            {
                "segmenter": finder.name,
                "split": split,
                "images": [record.name for record in records],
                **described.as_dict(),
                "anderson": {name: test.as_dict() for name, test in tests.items()},
            }
        )
        return
    say(f"{len(counted)} images, segmented by {finder.name}")
    described_rows = [(name, float(getattr(described, name))) for name in ("mean", "median", "mode", "std")]
    print_table(("statistic", "value"), described_rows, "Objects in an image")
    rows = [(name, t.statistic, t.critical_value, t.p_text, "yes" if t.rejected else "no") for name, t in tests.items()]
    print_table(("distribution", "A²", "critical value (5 %)", "p", "rejected"), rows, "Anderson-Darling")
