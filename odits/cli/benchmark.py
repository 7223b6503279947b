"""`odits benchmark`: the shipped models' tables of any data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odits.cli.common import (
    Device,
    Json,
    Ray,
    Split,
    Workers,
    chosen_workers,
    exit_after,
    load_data,
    print_json,
    print_table,
    report_problems,
    say,
)
from odits.cli.spotting import Spotter
from odits.core.progress import open_reporter
from odits.models.reference import SPOTTING

if TYPE_CHECKING:
    from odits.evaluation.benchmark import TaskTable


def benchmark(
    data: Annotated[Path, typer.Argument(help="Folder of the data set, in any layout that `odits dataset` reads.")],
    split: Split = "eval",
    spotter: Spotter = SPOTTING,
    workers: Workers = None,
    ray: Ray = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure the shipped models on a data set in each task that its labels allow; resumes where it stopped.

    Words of an image, images of a word, words with their boxes (own and full lexicon), boxed words from their crops.
    """
    dataset = load_data(data)
    from odits.evaluation.benchmark import benchmark as measure

    with open_reporter() as report:
        found = measure(dataset, split, report, spotter, chosen_workers(workers, ray, 0), device)
    problems = report_problems(found["problems"])
    if as_json:
        print_json({**found, "tables": [asdict(table) for table in found["tables"]], "problems": problems})
    else:
        for table in found["tables"]:
            _print(table)
    exit_after(problems)


def _print(table: TaskTable) -> None:
    """Print a task's table, or why there is none."""
    if table.left_out:
        say(f"{table.task}: left out. {table.left_out}")
        return
    columns = list(dict.fromkeys(name for row in table.rows for name in row if name != "checkpoint"))
    cells = [[_cell(row.get(name)) for name in columns] for row in table.rows]
    heads = [name.replace("_interval", ", 95 %").replace("_", " ") for name in columns]
    print_table(heads, cells, f"{table.task} ({table.command})")


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return "{:.3f}–{:.3f}".format(*value)
    return "–" if value is None else value
