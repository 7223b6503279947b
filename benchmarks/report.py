"""The table of speed from one command: each benchmark in a process of its own, its figure beside its goal.

With --quick everything within ten minutes on two cores, at small sizes. A benchmark that fails, or misses its data,
is a row with a sentence. With --out each one's document is kept when it is done, and --resume takes them up. --growth
adds how costs grow with sizes, --write puts the tables into a Markdown file, between their markers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._report.bounds import bound, encoder_gflop, vocabulary_tokens
from benchmarks._report.curves import FIGURE, figure_file
from benchmarks._report.curves import markdown as growth_markdown
from benchmarks._report.machine import higher, machine, peaks
from benchmarks._report.paper import markdown, markers, text_table, write_section
from benchmarks._report.rates import markdown as rates_markdown
from benchmarks._report.rates import rates
from benchmarks._report.rows import ROWS, RUNS, Row, Run, is_met, value_at
from benchmarks._report.running import Result, do_run, stored_result
from benchmarks.reporting import add_data, parser
from benchmarks.vocabulary import vocabulary_words
from odits.core.errors import OditsError
from odits.core.files import write_atomically

QUICK_S = 570.0
"""Seconds of a whole quick run."""
GROWTH = Run("growth", "growth.py", quick=("--quick",))
MACHINE = "machine.json"


def main() -> None:
    """Run what is asked for and print one document or table."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    names = [run.name for run in RUNS]
    arguments.add_argument("--quick", action="store_true", help="small sizes: within ten minutes on two cores")
    arguments.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    arguments.add_argument("--out", type=Path, metavar="FOLDER", help="keep each benchmark's document there")
    arguments.add_argument("--resume", action="store_true", help="what --out holds is not run again; problems are")
    arguments.add_argument("--growth", action="store_true", help="growth.py too: costs against sizes (minutes)")
    arguments.add_argument(
        "--write", type=Path, nargs="+", default=[], metavar="FILE", help="put the tables between the markers of files"
    )
    options = arguments.parse_args()
    if options.resume and options.out is None:
        raise SystemExit("--resume needs --out FOLDER.")
    if options.data:
        os.environ["ODITS_DATA"] = str(options.data.absolute())  # for the benchmarks; no command names a folder
    runs = [run for run in RUNS if (run.name in options.only if options.only else options.quick or not run.named_only)]
    document = measure(runs, options)
    for path in options.write:
        write_sections(path, document)
    sys.stdout.write(json.dumps(document, indent=2) + "\n" if options.json else text_table(document))


def write_sections(path: Path, document: Mapping[str, Any]) -> None:
    """Write those of the tables into a file that it has markers for, and the figure of growth beside it.

    Raises:
        OditsError: it has markers for none.
    """
    texts = {"speed": markdown(document), "rates": rates_markdown(document)}
    if "growth" in document:
        texts["growth"] = growth_markdown(document["growth"])
    there = path.read_text("utf-8")
    named = [name for name in texts if markers(name)[0] in there]
    if not named:
        raise OditsError(f"{path.name} has no place for any of the tables.")
    for name in named:
        write_section(path, name, texts[name])
    if "growth" in named and document["growth"]["rows"]:
        write_atomically(path.with_name(FIGURE), figure_file(document["growth"], "svg"))


def measure(runs: Sequence[Run], options: Namespace) -> dict[str, Any]:
    """Do the runs and return the one document."""
    start, about = time.monotonic(), stored_machine(options)
    results: dict[str, Result] = {}
    wanted = [*runs, *([GROWTH] if options.growth else [])]
    for number, run in enumerate(wanted, 1):
        result = stored_result(options.out, run, options.quick) if options.resume else None
        if result is None:
            say(f"{run.name} ({number} of {len(wanted)})")
            # growth comes on top of the table's ten minutes
            left = QUICK_S - (time.monotonic() - start) if options.quick and run is not GROWTH else None
            result = do_run(run, options.quick, options.out, left if left is None else max(left, 1.0))
            say(f"  {result.problem or 'done'}, {result.seconds:.0f} s")
        results[run.name] = result
    about["peaks"] = higher(peaks(), about["peaks"])
    keep_machine(options, about)
    gflop = about["encoder_gflop"] | {"tokens": float(about["tokens"])}
    document: dict[str, Any] = {
        "quick": options.quick,
        "date": max((result.date for result in results.values()), default=""),
        "machine": about,
        "seconds": sum(result.seconds for name, result in results.items() if name != GROWTH.name),
        "rates": rates({name: result.document for name, result in results.items()}, about["cores"]),
        "rows": table_rows(results, options.quick, about["peaks"], gflop),
    }
    if (growth := results.get(GROWTH.name)) is not None:
        document["growth"] = growth.document or {"problem": growth.problem, "rows": []}
    return document


def table_rows(
    results: Mapping[str, Result], quick: bool, best: Mapping[str, float], gflop: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Make the table's rows from the results of the runs.

    Args:
        results: by the runs' names; rows of other runs are left out.
        quick: whether the runs have their quick sizes.
        best: the machine's peaks.
        gflop: of the encoders, as `bounds.bound` takes them.
    """
    documents = {name: result.document for name, result in results.items() if result.document}
    rows = []
    for row in ROWS:
        if row.run in results:
            found = one_row(row, results[row.run], quick)
            limits = bound(row.run, documents, best, gflop)
            rows.append(found | ({"bound": limits} if limits and row.bounded and not found.get("problem") else {}))
    return rows


def one_row(row: Row, result: Result, quick: bool) -> dict[str, Any]:
    """Make a row of the result of its run."""
    measured = value_at(result.document, row.key)
    problem = result.problem
    if not problem and not isinstance(measured, int | float):
        problem = "Not measured at the sizes of --quick." if quick else f"Its document has no “{row.key}”."
    found: dict[str, Any] = {
        "name": row.name,
        "command": result.command,
        "measured": None if problem else measured * row.scale,
        "unit": row.unit,
        "full_size": not (quick and row.sized),
        "against": row.against,
        "goal": row.goal_text,
        "met": None if problem else is_met(row, result.document, quick),
        "seconds": round(result.seconds, 1),
        "date": result.date,
    }
    if problem:
        return found | {"problem": problem}
    return found | {"extra": {key: value_at(result.document, key) for key in row.extra}}


def stored_machine(options: Namespace) -> dict[str, Any]:
    """Return the machine with its peaks, and what the encoders have to do; taken up with --resume where it is stored.

    Raises:
        OditsError: what is stored is of another machine.
    """
    about = machine()
    if options.resume and (options.out / MACHINE).is_file():
        known: dict[str, Any] = json.loads((options.out / MACHINE).read_text("utf-8"))
        if known["processor"] != about["processor"] or known["cores"] != about["cores"]:
            raise OditsError(f"{options.out.name} holds figures of another machine: {known['processor']}.")
        return known
    say("the machine's peaks")
    about["peaks"] = peaks()
    about["encoder_gflop"] = encoder_gflop()
    about["tokens"] = vocabulary_tokens(vocabulary_words(None))
    return about


def keep_machine(options: Namespace, about: Mapping[str, Any]) -> None:
    """Store the machine where documents are stored."""
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out / MACHINE, json.dumps(about, indent=2).encode())


def say(sentence: str) -> None:
    """Tell the progress."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
