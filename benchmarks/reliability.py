"""Faults on purpose: how many were tried, how many lost something or were let in, and the worst cost of one.

All of its traffic goes to loopback, all of its files lie in temporary folders, and it stops by itself: with --quick
within eight minutes on two cores. A violation is named with what runs it again; the exit status is 1 then.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._reliability.part import Kept, Part, RunPart, document, joined, table
from benchmarks.reporting import parser, report

PARTS = ("pictures", "parsers", "hostile", "kills", "faults", "several", "links", "sessions", "memory", "training")
"""The modules of `benchmarks/_reliability/`, in the order in which they run."""

SEEDS_APART = 1_000_000
"""By how much the seeds of a part's slices differ."""


def main() -> None:
    """Run the parts, report, and end with exit status 1 where anything was violated."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="few faults of each kind: eight minutes on two cores")
    arguments.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS)
    )
    arguments.add_argument("--seed", type=int, default=0, help="the same seed draws the same faults")
    arguments.add_argument(
        "--resume", type=Path, metavar="FILE", help="keep each part's figures there; what it holds is not run again"
    )
    options = arguments.parse_args()
    kept = Kept(options.resume, options.quick, options.seed)
    found: list[Part] = []
    seconds: dict[str, float] = {}
    for name in PARTS:
        if name in options.only and importlib.util.find_spec(f"benchmarks._reliability.{name}") is not None:
            part, took = kept.part(name) or run_slices(name, options.quick, options.seed, kept)
            seconds[part.name] = took
            kept.keep(name, part, took)
            found.append(part)
    figures = document(found, options.quick, options.seed, seconds)
    if options.json:
        report(figures, as_json=True)
    else:
        sys.stdout.write(table(found))
    raise SystemExit(0 if figures["held"] else 1)


def run_slices(name: str, quick: bool, seed: int, kept: Kept) -> tuple[Part, float]:
    """Run a part, a long one in slices that are kept one by one; return it with the seconds that all of it took."""
    module = importlib.import_module(f"benchmarks._reliability.{name}")
    count = 1 if quick else getattr(module, "SLICES", 1)
    slices: list[tuple[Part, float]] = []
    for number in range(count):
        key = name if count == 1 else f"{name} {number + 1} of {count}"
        held = kept.part(key)
        if held is None:
            began = time.monotonic()
            held = run_part(name, quick, seed + SEEDS_APART * number), time.monotonic() - began
            kept.keep(key, *held)
        slices.append(held)
    return joined([part for part, _ in slices]), sum(seconds for _, seconds in slices)


def run_part(name: str, quick: bool, seed: int) -> Part:
    """Run one part; one that fails itself is reported as crashed and never ends the others."""
    shown = -1

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if (percent := 100 * done // max(total, 1)) // 10 != shown // 10:
            shown = percent
            sys.stderr.write(f"{name}: {done:,} of {total:,}\n")
            sys.stderr.flush()

    try:
        run: RunPart = importlib.import_module(f"benchmarks._reliability.{name}").run
        return run(quick, seed, progress)
    except Exception as error:
        traceback.print_exc()  # a fault of the harness, for those who mend it
        return Part(name, 0, crashed=1, notes=(f"the part itself failed: {type(error).__name__}: {error}",))


if __name__ == "__main__":
    main()
