"""How every benchmark reports: a table for people, one JSON document with --json."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from odits.core.errors import OditsError
from odits.core.files import temporary_folder
from odits.data import Dataset, find_data_folder, read_dataset


def parser(description: str) -> argparse.ArgumentParser:
    """Make an argument parser with --json."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else there")
    return found


def add_data(arguments: argparse.ArgumentParser) -> None:
    """Add --data to a parser."""
    arguments.add_argument("--data", type=Path, help="SVT's folder; default $ODITS_DATA")


def needed_data(options: argparse.Namespace) -> Dataset:
    """Read SVT, for a benchmark that needs it.

    Raises:
        OditsError: it is not here.
    """
    folder = find_data_folder(options.data)
    if folder is None:
        raise OditsError("This benchmark needs SVT: name its folder with --data or in ODITS_DATA.")
    return read_dataset(folder)


def report(figures: dict[str, Any], as_json: bool) -> None:
    """Print the figures."""
    if as_json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        sys.stdout.write(
            f"{name:<{width}}  {value:.4g}\n" if isinstance(value, float) else f"{name:<{width}}  {value}\n"
        )


def peak_megabytes() -> float:
    """Measure the most memory that this process has held; where there is /proc, without what it was started from."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


@contextmanager
def home_at(folder: Path) -> Iterator[None]:
    """Make a folder the ODITS_HOME for a block."""
    before = os.environ.get("ODITS_HOME")
    os.environ["ODITS_HOME"] = str(folder)
    try:
        yield
    finally:
        del os.environ["ODITS_HOME"]
        if before is not None:
            os.environ["ODITS_HOME"] = before


@contextmanager
def own_home() -> Iterator[None]:
    """Give the block an ODITS_HOME of its own: nothing that it asks for is stored already, and nothing of it stays."""
    with temporary_folder("benchmark") as folder, home_at(folder):
        yield
