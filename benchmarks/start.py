"""Seconds of starting: `odits --help` and `odits words PICTURE` beside `python -c "import torch"`, in turn in one run.

The picture is read anew at each time (a pixel differs, and the home is the benchmark's own), the disk is warm, and the
answer is word spotting's. Medians; a ratio is that of medians.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.reporting import own_home, parser, report  # noqa: E402
from odits.core.files import temporary_folder  # noqa: E402
from odits.data import open_image  # noqa: E402

DEMO = ROOT / "assets" / "demo" / "cafe.jpg"


def main() -> None:
    """Start each in turn and report the medians."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=9)
    options = arguments.parse_args()
    odits = [sys.executable, "-m", "odits"]
    seconds: dict[str, list[float]] = {"import_torch": [], "help": [], "words": []}
    with temporary_folder("start") as folder, own_home():
        for number in range(options.rounds + 1):  # the first one warms the disk
            picture = folder / f"{number}.png"
            image = open_image(DEMO)
            image.putpixel((0, 0), (number, 0, 0))
            image.save(picture)
            commands = {
                "import_torch": [sys.executable, "-c", "import torch"],
                "help": [*odits, "--help"],
                "words": [*odits, "words", str(picture), "--checkpoint", "spotting"],
            }
            for name, command in commands.items():
                took = started(command)
                if number:
                    seconds[name].append(took)
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    report(
        {
            "rounds": options.rounds,
            **{f"{name}_seconds": median for name, median in medians.items()},
            "help_against_import": medians["help"] / medians["import_torch"],
            "words_against_import": medians["words"] / medians["import_torch"],
        },
        options.json,
    )


def started(command: list[str]) -> float:
    """Return the seconds that a command takes, its interpreter's start among them."""
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
