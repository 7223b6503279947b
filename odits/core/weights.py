"""Files of weights: their tensors, whoever saved them, in one file or in the parts that an index names.

Nothing of a pickle is loaded in this process (`odits.core.pickles`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from odits.core.errors import OditsError
from odits.core.files import file_digest, sha256_of
from odits.core.formats import file_format, foreign_format
from odits.core.model_folders import parts_of
from odits.core.pickles import converted

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_POSITIONS = 1 << 24  # parameters by which a model of another resolution may be larger


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file of weights as they are.

    A pickle is converted in a child process first, once; nothing in it is run.

    Args:
        path: safetensors, what torch.save or torch.jit.save wrote, or the index of several such files.

    Raises:
        OditsError: the file is absent, damaged, or holds code or anything but one model's weights.
    """
    from safetensors.torch import load_file  # deferred: with torch, seconds

    state: dict[str, Tensor] = {}
    for part in _parts(path):
        safe = as_safetensors(part)
        try:
            tensors = load_file(safe)
        except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
            raise OditsError(_damaged(part)) from error
        twice = next((name for name in tensors if name in state), None)
        if twice is not None:
            raise OditsError(f"{path.name} names files that both hold {twice}.")
        state |= tensors
    if not state:
        raise OditsError(f"{path.name} holds no weights.")
    return state


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes of a file's tensors; a pickle is converted first, once.

    Args:
        path: as `read_tensors` takes it.

    Raises:
        OditsError: as `read_tensors`.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for part in _parts(path):
        safe = as_safetensors(part)
        try:
            with safe_open(safe, framework="numpy") as tensors:
                shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            raise OditsError(_damaged(part)) from error
    return shapes


def as_safetensors(path: Path) -> Path:
    """Return the safetensors file with a file's tensors: itself, or what a pickle was converted into.

    Raises:
        OditsError: it is neither, which is said; or the pickle is refused.
    """
    try:
        kind = file_format(path)
        if kind in ("", "zip", "other-pickle"):
            with path.open("rb") as file:
                what = "a ZIP of something else" if kind == "zip" else foreign_format(file.read(512))
            if not what and path.suffix == ".safetensors":
                raise OditsError(_damaged(path))
            what = what or "neither safetensors nor a pickle of tensors, or it is damaged"
            raise OditsError(f"{path.name} is no file of weights: it is {what}.")
        return path if kind == "safetensors" else converted(path)
    except OSError as error:
        raise OditsError(f"{path.name} can't be read: {error.strerror or error}.") from error


def weights_digest(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file of weights; of an index, one that changes with each of its parts.

    Raises:
        OditsError: a part is missing.
        OSError: it can't be read.
    """
    parts = parts_of(path)
    return file_digest(path) if parts == [path] else sha256_of(*map(file_digest, (path, *parts)))


def require_finite(state: Mapping[str, Tensor], name: str) -> None:
    """Refuse weights that are no numbers.

    Args:
        state: the tensors.
        name: how the file is called in the refusal.

    Raises:
        OditsError: a tensor holds NaN or Inf; it is named.
    """
    hurt = not_finite(state)
    if hurt:
        raise OditsError(f"{name} is refused: {hurt} holds NaN or Inf.")


def not_finite(state: Mapping[str, Tensor]) -> str:
    """Return the name of the first tensor that holds NaN or Inf; "" where none does."""
    import torch

    floating = ((name, value) for name, value in state.items() if value.is_floating_point())
    return next((name for name, value in floating if not bool(torch.isfinite(value).all())), "")


def excess(described: Module, state: Mapping[str, Tensor]) -> str:
    """Return what a configuration describes where it is of a far larger model than the weights are of; else "".

    Asked before memory is taken for it.

    Args:
        described: the model that the configuration describes, on the meta device.
        state: the weights.

    Returns:
        A clause with both numbers of parameters.
    """
    parameters = sum(value.numel() for value in described.parameters())
    held = sum(value.numel() for value in state.values())
    if parameters <= 2 * held + _POSITIONS:
        return ""
    return f"its configuration describes {parameters:,} parameters, and there are {held:,}"


def _parts(path: Path) -> list[Path]:
    if not path.is_file():
        raise OditsError(f"There is no file {path}.")
    return parts_of(path)


def _damaged(path: Path) -> str:
    return f"{path.name} is damaged, or does not fit into memory."
