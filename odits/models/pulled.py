"""Which pulled file a reference of MLflow's registry stood for last: a file is named by its run, not by that."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from odits.core.files import cache_home, sha256_of, write_atomically

REGISTERED = "models:/"
_FIXED = re.compile(r"models:/(m-[0-9a-f]{32}|[^/@]+/\d+)(/.*)?")


class Pulled(NamedTuple):
    """A pulled checkpoint: its file, and the reference of the store that it came from."""

    path: Path
    source: str


def may_move(reference: str) -> bool:
    """Return whether a reference can stand for another checkpoint tomorrow: an alias, a stage, or the latest version.

    Examples:
        >>> may_move("models:/signs@champion"), may_move("models:/signs/latest"), may_move("models:/signs/3")
        (True, True, False)
    """
    return reference.startswith(REGISTERED) and _FIXED.fullmatch(reference) is None


def remember(reference: str, source: str, path: Path) -> None:
    """Remember the file that a reference of the registry stands for; every other reference names its file itself."""
    if reference.startswith(REGISTERED):
        record = {"reference": reference, "source": source, "file": path.name}
        write_atomically(_record(reference), json.dumps(record).encode())


def recall(reference: str) -> Pulled | None:
    """Return what was pulled by the reference last; None where nothing was, or it is no longer there."""
    if not reference.startswith(REGISTERED):
        return None
    try:
        record = json.loads(_record(reference).read_bytes())
        path = cache_home() / "checkpoints" / Path(record["file"]).name
        return Pulled(path, str(record["source"])) if path.is_file() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record(reference: str) -> Path:
    return cache_home() / "checkpoints" / "references" / f"{sha256_of(reference)[:16]}.json"
