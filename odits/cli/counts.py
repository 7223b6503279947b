"""`odits counts`: how many objects the images of a split hold, and how those counts are distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    Data,
    Device,
    Json,
    Ray,
    SamValues,
    Segmenter,
    Split,
    Texts,
    Workers,
    exit_after,
    load_data,
    precompute_shown,
    print_json,
    print_table,
    sam_parameters,
    say,
)
from odits.cli.figures import FigureFile, FigureTheme, check_figure, write_figure
from odits.core.progress import open_reporter
from odits.models.reference import DEFAULT_SEGMENTER

if TYPE_CHECKING:
    from odits.counting.tuning import Setting, Tunable
    from odits.data import ImageRecord
    from odits.models.segmentation.batch import ObjectsRequest


def counts(
    data: Data = None,
    split: Split = "train",
    segmenter: Segmenter = DEFAULT_SEGMENTER,
    sam: SamValues = None,
    text: Texts = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Search the segmenter's filters for counts closest to --distribution.")
    ] = False,
    distribution: Annotated[
        str, typer.Option(help="What --tune aims at: norm, expon, lognorm, weibull_min or gumbel_r.")
    ] = "norm",
    workers: Workers = None,
    ray: Ray = None,
    figure: FigureFile = None,
    figure_theme: FigureTheme = "light",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Count the objects of a split and test the counts (Anderson-Darling; thesis, 3.3.1); resumes where it stopped."""
    check_figure(figure, figure_theme)
    from odits.counting.statistics import SUMMARY, describe_counts, stored_tests
    from odits.models.segmentation.batch import ObjectsRequest
    from odits.objects.codec import stored_count

    records = load_data(data).split(split)
    request = ObjectsRequest(segmenter, sam_parameters(sam, segmenter, text), device)
    done, problems = precompute_shown(records, request, workers, ray, must_store=False)
    readable = [record for place, record in enumerate(records) if place not in done.problems]
    found = [(record, stored_count(record.source, done.segmenter.key)) for record in readable]
    counted = [(record, count) for record, count in found if count is not None]
    described = describe_counts([count for _, count in counted])
    if figure is not None:
        from odits.figures.static_counts import counts_figure

        write_figure(figure, lambda theme: counts_figure(described.counts, theme), figure_theme)
    tests, reason = stored_tests(described.counts)
    tuned = _tune([record for record, _ in counted], request, distribution, workers, ray) if tune else None
    if as_json:
        print_json(
            {
                "segmenter": done.segmenter.name,
                "split": split,
                "images": [record.name for record, _ in counted],
                **described.as_dict(),
                "anderson": {name: test.as_dict() for name, test in tests.items()},
                "note": reason,
                "problems": problems,
                **({"tuning": _tuning_document(tuned, distribution)} if tuned else {}),
            }
        )
        exit_after(problems)
        return
    say(f"{len(counted)} images, segmented by {done.segmenter.name}")
    described_rows = [(name, float(getattr(described, name))) for name in SUMMARY]
    print_table(("statistic", "value"), described_rows, "Objects in an image")
    if reason:
        say(reason)
    else:
        rows = [
            (name, t.statistic, t.critical_value, t.p_text, "yes" if t.rejected else "no") for name, t in tests.items()
        ]
        print_table(("distribution", "A²", "critical value (5 %)", "p", "rejected"), rows, "Anderson-Darling")
    if tuned:
        _print_tuning(*tuned)
    exit_after(problems)


def _tune(
    records: list[ImageRecord], request: ObjectsRequest, distribution: str, workers: int | None, ray: str | None
) -> tuple[Setting, list[Setting]]:
    """Return the setting as it is, and all that were tried, the best first."""
    from odits.counting.tuning import search, try_filters

    tunable = _tunable(records, request, workers, ray)
    before = try_filters(tunable.images, tunable.start, distribution)
    with open_reporter() as report:
        found = search(tunable, distribution, report.phase("trying filters", len(tunable.settings)))
    return before, found


def _tunable(records: list[ImageRecord], request: ObjectsRequest, workers: int | None, ray: str | None) -> Tunable:
    """Return the images with filters to be tried over them; SAM's candidates are computed where they are missing."""
    from dataclasses import replace

    from odits.counting.tuning import tunable_candidates, tunable_objects
    from odits.models.segmentation.candidates import stored_candidates
    from odits.models.segmentation.parameters import SamParameters
    from odits.objects.filters import stored_boxes

    if not request.has_candidates:
        return tunable_objects(stored_boxes((record.path for record in records), request.identity().key))
    loose, _ = precompute_shown(records, replace(request, kind="candidates"), workers, ray, must_store=False)
    stored = [stored_candidates(record.path, loose.segmenter.key) for record in records]
    return tunable_candidates([item for item in stored if item is not None], request.parameters or SamParameters())


def _tuning_document(tuned: tuple[Setting, list[Setting]], distribution: str) -> dict[str, Any]:
    from odits.counting.tuning import NOTE

    before, found = tuned
    return {
        "distribution": distribution,
        "tried": len(found),
        "before": before.as_dict(),
        "best": found[0].as_dict(),
        "note": NOTE,
        "settings": [
            {
                "filters": item.filters._asdict(),
                "statistic": item.test.statistic if item.test else None,
                "why": item.reason,
            }
            for item in found
        ],
    }


def _print_tuning(before: Setting, found: list[Setting]) -> None:
    from odits.counting.tuning import NOTE

    rows = []
    for what, item in (("as it is", before), *((f"{place}.", item) for place, item in enumerate(found[:5], start=1))):
        values = ", ".join(f"{name} {value:g}" for name, value in item.filters._asdict().items())
        mean = sum(item.counts) / len(item.counts)
        test = item.test
        rows.append((what, values, f"{mean:.1f}", *((f"{test.statistic:.3f}", test.p_text) if test else ("", ""))))
    print_table(("place", "filters", "mean", "A²", "p"), rows, f"{len(found)} settings tried")
    say(NOTE)
