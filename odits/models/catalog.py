"""Which checkpoints are at hand on this machine: found by their headers, without loading a weight."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from safetensors import SafetensorError, safe_open

from odits.errors import OditsError
from odits.files import cache_home

EMBEDDED = "embedded"
"""Reference of the checkpoint that lies in the repository."""

EMBEDDED_WEIGHTS = Path(__file__).parents[2] / "assets" / "odits-signs" / "model.safetensors"
SHIPPED_NAME = "ODITS Signs (embedded)"


@dataclass(frozen=True)
class CheckpointInfo:
    """One checkpoint: what it is called, what it is, and where it lies.

    Attributes:
        reference: what `--checkpoint` and the pages' links take.
        name: as shown to users.
        architecture: an open_clip architecture.
        digest: SHA-256 of the file, hexadecimal.
        path: the safetensors file.
        metadata: how it was made, from the file's header.
    """

    reference: str
    name: str
    architecture: str
    digest: str
    path: Path
    metadata: dict[str, str] = field(default_factory=dict)


def find_checkpoints() -> list[CheckpointInfo]:
    """The embedded checkpoint, where it is there, then every readable one in ODITS_HOME/checkpoints, by name."""
    embedded = [describe_checkpoint(EMBEDDED)] if EMBEDDED_WEIGHTS.is_file() else []
    return [*embedded, *_local_checkpoints()]


def _local_checkpoints() -> Iterator[CheckpointInfo]:
    for path in sorted((cache_home() / "checkpoints").glob("**/*.safetensors")):
        try:
            yield describe_checkpoint(str(path))
        except OditsError:
            continue  # an unreadable file is named when it is asked for; it must not hide the others


def describe_checkpoint(reference: str) -> CheckpointInfo:
    """What a reference to a safetensors file (or "embedded") stands for.

    Raises:
        OditsError: there is no such file, or it is no safetensors file.
    """
    path = EMBEDDED_WEIGHTS if reference == EMBEDDED else Path(reference).expanduser()
    if not path.is_file():
        raise OditsError(f"There is no checkpoint '{reference}'.")
    metadata = read_metadata(path)
    name = SHIPPED_NAME if reference == EMBEDDED else metadata.get("name", path.stem)
    return CheckpointInfo(reference, name, metadata.get("architecture", ""), file_digest(path), path, metadata)


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata in a safetensors file's header.

    Raises:
        OditsError: the file is no safetensors file.
    """
    try:
        with safe_open(path, framework="numpy") as tensors:
            return dict(tensors.metadata() or {})
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise OditsError(f"{path.name} is not a safetensors checkpoint, or it is damaged.") from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; remembered as long as its size and time of change stay the same."""
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _digest(path: Path, _size: int, _modified: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
