"""Objects of pictures by the embedded segmenter: `odits precompute` with one process and with two, from nothing.

The pictures are SVT's where they are at hand, else the demo ones, each several times with a pixel changed. Both ways
run in turn, each with a home of its own; seconds are those of the whole command.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from benchmarks.reporting import add_data, own_home, parser, report  # noqa: E402
from odits.core.errors import OditsError  # noqa: E402
from odits.core.files import temporary_folder  # noqa: E402
from odits.data import find_data_folder, open_image, read_dataset  # noqa: E402

DEMO = ROOT / "assets" / "demo"
WAYS = (1, 2)


def main() -> None:
    """Find the objects by one process and by two, and report seconds for a hundred pictures."""
    arguments = parser(__doc__.splitlines()[0])
    add_data(arguments)
    arguments.add_argument("--images", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=1)
    options = arguments.parse_args()
    seconds: dict[int, list[float]] = {workers: [] for workers in WAYS}
    with temporary_folder("objects") as folder:
        copy_pictures(options.data, folder, options.images)
        for _ in range(options.rounds):
            for workers in WAYS:
                with own_home():
                    seconds[workers].append(found_in(folder, workers, options.images))
    one, two = (float(np.median(seconds[workers])) for workers in WAYS)
    report(
        {
            "images": options.images,
            "rounds": options.rounds,
            "one_process_seconds": one,
            "two_processes_seconds": two,
            "ratio": two / one,
            "one_process_seconds_per_100": 100 * one / options.images,
            "two_processes_seconds_per_100": 100 * two / options.images,
        },
        options.json,
    )


def copy_pictures(data: Path | None, folder: Path, count: int) -> None:
    """Copy SVT's first pictures to a folder, or write as many demo ones, no two alike."""
    found = find_data_folder(data)
    if found is not None:
        for record in read_dataset(found).records[:count]:
            shutil.copy(record.path, folder)
        return
    demo = sorted(DEMO.glob("*.jpg"))
    for number in range(count):
        image = open_image(demo[number % len(demo)])
        image.putpixel((0, 0), (number % 256, number // 256, 0))
        image.save(folder / f"{number}.png")


def found_in(folder: Path, workers: int, images: int) -> float:
    """Return the seconds of finding the objects of a folder's pictures.

    Raises:
        OditsError: not all pictures have objects afterwards.
    """
    command = [sys.executable, "-m", "odits", "precompute", "--folder", str(folder), "--workers", str(workers)]
    start = time.perf_counter()
    run = subprocess.run([*command, "--json"], cwd=ROOT, check=True, capture_output=True, text=True)
    took = time.perf_counter() - start
    if json.loads(run.stdout)["computed"] != images:
        raise OditsError(f"Objects of {images} pictures were asked for, and not all were found.")
    return took


if __name__ == "__main__":
    main()
