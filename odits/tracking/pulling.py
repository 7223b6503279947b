"""Bringing a checkpoint from a store to this machine: checked before it gets its name.

Pickles are made into safetensors in a child process under limits, or refused by name.
"""

from __future__ import annotations

from pathlib import Path

from odits.core.errors import OditsError, StoreError
from odits.core.files import file_digest, move_into_place, temporary_folder
from odits.core.formats import WEIGHTS, file_format
from odits.core.pickles import ConversionLimits, convert_pickle
from odits.core.progress import Progress, no_progress
from odits.core.store import work_lock
from odits.models.clip_references import computed_architecture
from odits.models.reference import pulled_path, read_metadata
from odits.tracking.store import CheckpointStore, StoredCheckpoint


def local_path(checkpoint: StoredCheckpoint) -> Path:
    """Return where the checkpoint lies on this machine once pulled: always the same place, a different one for each."""
    return pulled_path(checkpoint.source, checkpoint.run, checkpoint.name)


def is_here(checkpoint: StoredCheckpoint) -> bool:
    """Return whether the checkpoint has been pulled, and is still what the store has."""
    path = local_path(checkpoint)
    if not path.is_file():
        return False
    return checkpoint.digest is None or file_digest(path) == checkpoint.digest


def pull(
    store: CheckpointStore,
    checkpoint: StoredCheckpoint,
    progress: Progress = no_progress,
    limits: ConversionLimits | None = None,
    architecture: str = "",
) -> Path:
    """Bring a checkpoint here, as a safetensors file under ODITS_HOME/checkpoints, where the registry finds it.

    The bytes go to a folder of their own first; size, digest and format are checked there, a pickle is converted
    there, and only then is the file renamed into place. A pull that was interrupted starts over.

    Args:
        store: where the checkpoint lies.
        checkpoint: which.
        progress: called with (bytes so far, bytes in all); an OditsError that it raises ends the pull.
        limits: for pickles.
        architecture: written into a converted pickle's header, since pickles name none.

    Raises:
        StoreError: the store fails, the bytes are not what they should be, or a pickle is refused.
    """
    target = local_path(checkpoint)
    if checkpoint.digest is not None and is_here(checkpoint):
        progress(target.stat().st_size, target.stat().st_size)
        return target
    sentence = f"{checkpoint.name} is already being pulled; please wait for it to end."
    with work_lock(f"pull-{target.stem}", sentence), temporary_folder("pull") as work:
        try:
            found = store.fetch(checkpoint, work, progress)
            _check(found, checkpoint)
            ready = _as_safetensors(found, checkpoint, limits, architecture)
            move_into_place(ready, target)
        except OditsError:
            raise
        except OSError as error:
            why = error.strerror or error
            raise StoreError(f"{checkpoint.name} can't be stored in {target.parent}: {why}.") from error
    return target


def _check(found: Path, checkpoint: StoredCheckpoint) -> None:
    size = found.stat().st_size
    if checkpoint.size is not None and size != checkpoint.size:
        raise StoreError(
            f"{checkpoint.name} arrived damaged: {size:,} bytes instead of {checkpoint.size:,}; please pull it again."
        )
    if checkpoint.digest is not None and file_digest(found) != checkpoint.digest:
        raise StoreError(
            f"{checkpoint.name} is not what was logged: its SHA-256 should begin with {checkpoint.digest[:12]}."
        )


def _as_safetensors(
    found: Path, checkpoint: StoredCheckpoint, limits: ConversionLimits | None, architecture: str
) -> Path:
    """Return the fetched file itself where it is safetensors by its content, else what the child process made of it."""
    name = Path(checkpoint.name).name
    kind = file_format(found)
    if kind == "safetensors" or (found.suffix.lower() == ".safetensors" and kind not in WEIGHTS):
        read_metadata(found)  # raises by name where it is none
        return found
    ready = found.with_name(f"{found.stem}.converted.safetensors")
    header = {"name": f"{Path(name).stem} ({checkpoint.run.rpartition('/')[2]})", "source": name}
    header |= {"architecture": computed_architecture(architecture, found)} if architecture else {}
    convert_pickle(found, ready, name, header, limits)
    read_metadata(ready)
    return ready
