"""Paths that a data set names, and that must not lead out of it."""

from __future__ import annotations

from pathlib import Path


def inside(root: Path, named: str) -> Path | None:
    """The path that `named` means below `root`, links followed; None where it leads out of it or is no path at all."""
    try:
        resolved = (root / named).resolve()
        return resolved if resolved.is_relative_to(root.resolve()) else None
    except (OSError, ValueError, RuntimeError):
        # a NUL in the name, a name that is too long, links in a circle
        return None
