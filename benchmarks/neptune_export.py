"""Listing a Neptune export of many runs: seconds at first and from the index, and the peak of memory.

The export is made in a temporary folder: per run 28 single values, five series of 100 points, and a checkpoint without
an ending, as Neptune 2 leaves it. Each listing runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.reporting import parser, report
from tests.tracking.conftest import PROJECT, SCHEMA, START, row
from tests.tracking.exports import sanitised

_LIST = r"""
import json, re, sys, time
from pathlib import Path
start = time.perf_counter()
from odits.tracking.sources import open_store
runs = open_store(f"neptune-export:{sys.argv[1]}").list().runs
seconds = time.perf_counter() - start
checkpoints = sum(len(run.checkpoints) for run in runs)
peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps([seconds, peak, len(runs), checkpoints]))
"""


def make_export(folder: Path, runs: int) -> None:
    """Write an export of so many runs."""
    data = folder / "data" / sanitised(PROJECT)
    files = folder / "files" / sanitised(PROJECT)
    data.mkdir(parents=True)
    rows = [row("sys/name", "string", "run"), row("sys/creation_time", "datetime", START)]
    rows += [row("sys/failed", "bool", False), *(row(f"parameters/{k}", "float", k / 8) for k in range(25))]
    rows += [row(f"train/{k}", "float_series", 1.0 / (step + 1), step) for k in range(5) for step in range(100)]
    rows.append(row("checkpoints/best", "file", ""))
    pattern = pa.Table.from_pylist(rows, SCHEMA)
    weights = save({"weight": np.zeros(16, np.float32)})
    for number in range(runs):
        run, below = f"SIGN-{number}", f"{PROJECT}/SIGN-{number}/checkpoints/best"
        paths = pa.array([None] * (len(rows) - 1) + [{"path": below}], SCHEMA.field("file_value").type)
        table = pattern.set_column(1, "run_id", pa.array([run] * len(rows)))
        table = table.set_column(SCHEMA.get_field_index("file_value"), "file_value", paths)
        pq.write_table(table, data / f"{sanitised(run)}_part_0.parquet", compression="snappy")
        (files / below).parent.mkdir(parents=True)
        (files / below).write_bytes(weights)


def main() -> None:
    """Make the export, list it twice and report."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=10_000)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="odits-export-") as work:
        export = Path(work) / "exports"
        make_export(export, options.runs)
        environment = {
            **os.environ,
            "ODITS_HOME": str(Path(work) / "home"),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        command = [sys.executable, "-c", _LIST, str(export)]
        first, second = (
            json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
            for _ in range(2)
        )
    report(
        {
            "runs": first[2],
            "checkpoints": first[3],
            "first_seconds": first[0],
            "cached_seconds": second[0],
            "first_peak_mib": first[1],
            "cached_peak_mib": second[1],
        },
        options.json,
    )


if __name__ == "__main__":
    main()
