"""Processor seconds for ten million numbers from each generator, against NumPy's own MT19937, in turn in one run."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.reporting import parser, report
from odits.models.fusion.random_streams import GENERATORS, random_stream


def main() -> None:
    """Run NumPy and every generator in turn and report medians and their ratios to NumPy's."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument("--numbers", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in ("numpy", *GENERATORS)}
    for seed in range(options.rounds):
        for name, spent in seconds.items():
            start = time.process_time()
            if name == "numpy":
                np.random.Generator(np.random.MT19937(seed)).random(options.numbers)
            else:
                random_stream(name, seed).uniform(options.numbers)
            spent.append(time.process_time() - start)
    medians = {name: float(np.median(spent)) for name, spent in seconds.items()}
    figures: dict[str, Any] = {"numbers": options.numbers, "rounds": options.rounds}
    figures |= {f"{name}_seconds": median for name, median in medians.items()}
    figures |= {f"{name}_ratio": medians[name] / medians["numpy"] for name in GENERATORS}
    report(figures, options.json)


if __name__ == "__main__":
    main()
