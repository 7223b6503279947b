"""Which checkpoints are at hand on this machine: found by their headers, without loading a weight."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from odits.core.errors import OditsError
from odits.core.files import asset, cache_home, file_digest
from odits.data.predictions import WordModel

if TYPE_CHECKING:
    from odits.models.clip.loading import Progress


EMBEDDED = "embedded"
"""Reference of the checkpoint that lies in the repository."""

EMBEDDED_WEIGHTS = asset("odits-signs/model.safetensors")
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


# Every word model behind one reference: CLIP checkpoints that see, and the spotter that reads.


SPOTTING = "spotting"
"""Reference of the model that reads words in the picture."""
VITSTR = f"{SPOTTING}:vitstr"
"""Reference of the same with docTR's ViTSTR as recogniser; a colon and a weights file may follow."""


def load_any(reference: str, device: str = "auto", progress: Progress | None = None) -> WordModel:
    """The word model of a reference.

    Args:
        reference: "spotting", "spotting:vitstr", the same with a colon and a weights file, an ODITS checkpoint's path,
            or what `load_word_model` takes.
        device: for models that see.
        progress: called with (bytes here, bytes in all) during a download.

    Raises:
        OditsError: there is no such model, or its weights can't be had.
    """
    if reference == SPOTTING:
        from odits.models.reading.spotter import WordSpotter

        return WordSpotter()
    if reference == VITSTR or reference.startswith(f"{VITSTR}:"):
        from odits.models.reading.reader import TextReader
        from odits.models.reading.spotter import WordSpotter
        from odits.models.reading.vitstr import Vitstr

        file = reference[len(VITSTR) + 1 :]
        return WordSpotter(TextReader(recogniser=Vitstr(Path(file).expanduser() if file else None)))
    if is_odits(reference):
        from odits.models.fusion.model import load_odits

        return load_odits(Path(reference).expanduser(), device)
    from odits.models.clip.loading import load_word_model

    return load_word_model(reference, device, progress)


def is_odits(reference: str) -> bool:
    """Whether a reference is the path of an ODITS checkpoint."""
    pass

    path = Path(reference).expanduser()
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        return read_metadata(path).get("kind") == "odits"
    except OditsError:
        return False
