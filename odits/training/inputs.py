"""What the trained part of a model sees of each image, computed once and kept on disk: no image is decoded twice."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from odits.core.files import WriteError, cache_home
from odits.data import ImageRecord, open_image
from odits.models.clip.model import ClipModel
from odits.training.lexicon_data import images_digest
from odits.training.parts import Part
from odits.training.processes import Processes

BATCH = 4  # scenes at a time
FILES_KEPT = 6  # some hundred megabytes each


def kept_inputs(
    clip: ClipModel,
    part: Part,
    records: Sequence[ImageRecord],
    processes: Processes | None = None,
    advance: Callable[[int, int], None] = lambda _, __: None,
) -> np.ndarray:
    """float32 (m, ...): `part.prepare` of each image, as a read-only view of a file, so that memory stays flat.

    Args:
        clip: the model with the weights it starts from; the file's name tells weights, part and images.
        processes: where several train together, the first computes and the others wait.
        advance: called with (images done, images in all).

    Raises:
        ImageError: an image can't be read.
        WriteError: the disk is full, or writing is not allowed.
    """
    processes = processes or Processes()
    key = hashlib.sha256(f"1 {part.name} {clip.checkpoint} {images_digest(records)}".encode()).hexdigest()
    path = cache_home() / "inputs" / f"{key[:32]}.npy"
    if processes.first and not path.exists():
        _compute(clip, part, records, path, advance)
    processes.wait()
    with suppress(OSError):
        os.utime(path)  # used now: the last to be forgotten
    found: np.ndarray = np.load(path, mmap_mode="r")
    return found


def _compute(
    clip: ClipModel, part: Part, records: Sequence[ImageRecord], path: Path, advance: Callable[[int, int], None]
) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        table = None
        for start in range(0, len(records), BATCH):
            images = [open_image(record.path) for record in records[start : start + BATCH]]
            pixels = torch.stack([clip.transforms["scene"](image) for image in images])
            with torch.no_grad():
                rows = part.prepare(pixels.to(clip.device)).float().cpu().numpy()
            if table is None:
                shape = (len(records), *rows.shape[1:])
                table = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
            table[start : start + len(rows)] = rows
            advance(start + len(rows), len(records))
        if table is not None:
            table.flush()
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise WriteError(f"{path} can't be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    _forget_oldest(path.parent)


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[FILES_KEPT:]:
        with suppress(OSError):  # in use elsewhere, on Windows
            file.unlink()
