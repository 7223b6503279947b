"""A SAM that is known by its file and loaded when it is first needed.

What was computed with it is found by the weights' digest, and a stored result must not wait for torch and a gigabyte
of weights: so the digest and the architecture of every file that was loaded once are kept beside the caches.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from odits.errors import OditsError
from odits.files import cache_home, write_atomically
from odits.models.sam_parameters import EXACT, SamParameters

DEVICES = ("auto", "cpu", "cuda", "mps")


class KnownSam:
    """The weights in a file: `digest` and `architecture` at once, `model` when it is asked for.

    Attributes:
        digest: the first 16 hexadecimal digits of the file's SHA-256.
        architecture: "vit_b", "vit_l", "vit_h" or a description.
        lock: held while the model works: two images at once would take twice the memory and no less time.

    Raises:
        OditsError: no such file, damaged, not a SAM, or an unknown device.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        if device not in DEVICES:
            raise OditsError(f"There is no device {device!r}: use {', '.join(DEVICES[:-1])} or {DEVICES[-1]}.")
        self._path, self._device = path, device
        self._model: Any = None
        self._loading = threading.Lock()
        self.lock = threading.Lock()
        kept = _remembered().get(_stamp(path), {})
        try:
            self.digest, self.architecture = str(kept["digest"]), str(kept["architecture"])
        except (KeyError, TypeError):
            self.digest = self.architecture = ""
            self._load()

    @property
    def model(self) -> Any:
        """segment-anything's `Sam`, loaded now if it was not.

        Raises:
            OditsError: the file has been changed or removed meanwhile, or there is no such device here.
        """
        with self._loading:
            if self._model is None:
                self._load()
            return self._model

    def identity(self, parameters: SamParameters) -> tuple[str, str]:
        """The name for users of this SAM with these parameters, and the key of what it finds."""
        how = "" if parameters.mode == EXACT else ", approximate"
        return f"SAM {self.architecture}{how}", f"sam-{self.digest}-{parameters.key}"

    def _load(self) -> None:
        from odits.models.sam_weights import load_sam

        loaded = load_sam(self._path, _torch_device(self._device))
        digest = loaded.digest[:16]
        if self.digest and digest != self.digest:
            raise OditsError(f"{self._path.name} was changed while it was in use: please start again.")
        self.digest, self.architecture, self._model = digest, loaded.architecture, loaded.model
        with suppress(OSError):  # where it cannot be kept, the file is loaded the next time
            known = _remembered() | {_stamp(self._path): {"digest": digest, "architecture": loaded.architecture}}
            write_atomically(_file(), json.dumps(known, indent=1).encode())


def _file() -> Path:
    return cache_home() / "weights" / "known-sam.json"


def _remembered() -> dict[str, Any]:
    try:
        kept = json.loads(_file().read_bytes())
        return kept if isinstance(kept, dict) else {}
    except (OSError, ValueError):
        return {}


def _stamp(path: Path) -> str:
    """Tells a file from what it was before a change; empty where there is none."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def _torch_device(name: str) -> str:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise OditsError("There is no CUDA device here: use auto or cpu.")
    return "cuda" if name in ("auto", "cuda") and torch.cuda.is_available() else "cpu"
