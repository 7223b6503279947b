"""Pickles of weights, made into safetensors in a child process under limits, or refused by name.

No pickle from outside is ever loaded in this process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from odits.core import pickle_child
from odits.core.bounded import Bounds, run_bounded
from odits.core.errors import StoreError
from odits.core.files import file_digest
from odits.core.limits import LIMITS
from odits.core.store import Entries, make_key

CONVERTED = Entries("converted", ".safetensors")
"""What pickles were made into, by the pickle's digest."""


@dataclass(frozen=True)
class ConversionLimits:
    """What a conversion may take.

    Attributes:
        file_bytes: the largest pickle that is converted.
        memory_bytes: memory beyond the libraries' own; None for a gibibyte and three times the file.
        seconds: wall-clock time.
    """

    file_bytes: int = LIMITS.pickle_bytes
    memory_bytes: int | None = None
    seconds: int = LIMITS.pickle_seconds


def convert_pickle(
    source: Path,
    target: Path,
    name: str,
    metadata: Mapping[str, str] | None = None,
    limits: ConversionLimits | None = None,
) -> None:
    """Write the tensors of the pickle `source` to the safetensors file `target`.

    The child loads with `weights_only=True`, and a TorchScript archive without its code, under limits on memory, time
    and what it writes, in an environment without credentials. Whatever happens to it, this process goes on.

    Args:
        source: the pickle.
        target: a path that is free.
        name: how the file is called in the refusal.
        metadata: what the header shall say, such as the architecture.
        limits: what the child may take.

    Raises:
        StoreError: refused, by name and with the reason.
    """
    bounds = limits or ConversionLimits()
    size = source.stat().st_size
    if size > bounds.file_bytes:
        raise StoreError(f"{name} is refused: with {size:,} bytes it is larger than the {bounds.file_bytes:,} allowed.")
    memory = bounds.memory_bytes if bounds.memory_bytes is not None else LIMITS.pickle_memory_bytes + 3 * size
    script = Path(pickle_child.__file__).absolute()
    header = json.dumps(dict(metadata or {}))
    child = run_bounded(
        script, [str(source), str(target), header], Bounds(memory, bounds.seconds, bounds.seconds, memory)
    )
    if not child.in_time:
        target.unlink(missing_ok=True)
        raise StoreError(f"{name} is refused: it was not read within {bounds.seconds} s.")
    if child.status == 0 and target.is_file():
        return
    target.unlink(missing_ok=True)
    output = child.output.decode("utf-8", "replace").strip().splitlines()
    refused = child.status == pickle_child.REFUSED and output
    why = output[-1] if refused else "reading it broke the process set to it"
    raise StoreError(f"{name} is refused: {why}.")


def converted(source: Path) -> Path:
    """Return the safetensors file that a pickle is made into, once for all processes.

    Args:
        source: the pickle.

    Raises:
        StoreError: refused, by name and with the reason.
        OSError: the file can't be read, or the disk is full.
    """
    key = make_key(file=file_digest(source))
    return CONVERTED.get_or_write(key, lambda path: convert_pickle(source, path, source.name))
