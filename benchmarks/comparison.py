"""Minutes that `odits compare` takes on SVT from nothing: objects, readings, features and trainings are made anew."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.reporting import add_data, needed_data, own_home, parser, report  # noqa: E402


def main() -> None:
    """Compare in a home of its own and report the minutes."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--only", nargs="+", default=[], metavar="ROW", help="these trained rows alone")
    options = arguments.parse_args()
    root = needed_data(options).root
    command = [sys.executable, "-m", "odits", "compare", "--json", "--data", str(root)]
    command += ["--seeds", str(options.seeds), "--workers", str(options.workers)]
    for row in options.only:
        command += ["--only", row]
    with own_home():
        start = time.perf_counter()
        run = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - start
    report(
        {
            "seeds": options.seeds,
            "workers": options.workers,
            "minutes": seconds / 60,
            "rows": len(json.loads(run.stdout)["rows"]),
        },
        options.json,
    )


if __name__ == "__main__":
    main()
