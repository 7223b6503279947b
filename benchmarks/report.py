"""How every benchmark reports: a table for people, one JSON document with --json."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def parser(description: str) -> argparse.ArgumentParser:
    """An argument parser with --json."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else there")
    return found


def report(figures: dict[str, Any], as_json: bool) -> None:
    """Prints the figures."""
    if as_json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        sys.stdout.write(
            f"{name:<{width}}  {value:.4g}\n" if isinstance(value, float) else f"{name:<{width}}  {value}\n"
        )
