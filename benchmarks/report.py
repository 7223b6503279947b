"""How every benchmark reports: a table for people, one JSON document with --json."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from odits.core.errors import OditsError
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
