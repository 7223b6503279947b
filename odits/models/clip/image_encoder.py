"""CLIP's image encoder on the processor, by OpenVINO where that was tried, says the same and is faster.

OpenVINO is optional (requirements-fast.txt). It computes in float32, always, so that embeddings are PyTorch's to
rounding: the keys of stored results say nothing of who computed them, and need not. Whatever fails on the way, or
differs, leaves the encoder to PyTorch, with the weights that `odits.models.prepacked` lays out.

The embedded model's tower finds words first and reads as many as there are: a recorded run of it would be another
model's with the next picture. It stays with PyTorch.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from statistics import median
from typing import Any

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from odits.core.device import cores
from odits.core.errors import WriteError
from odits.core.files import sha256_of
from odits.core.store import JSON, FunctionCodec, Store, make_key
from odits.models.clip.sign_tower import SignTower
from odits.models.prepacked import is_plain, plainly, release

PYTORCH, OPENVINO = "PyTorch", "OpenVINO"

TOLERANCE = 2e-6
"""How far the numbers of normalised embeddings may lie from PyTorch's."""

TRIAL_AFTER = 32
"""Images that PyTorch encodes before the trial: preparing OpenVINO takes seconds, too many for a picture or two."""

LARGE = 20_000_000
"""Weights of the smallest tower for which it pays."""

GAIN = 0.9
"""What share of PyTorch's time OpenVINO may take at most to be used."""

_DIGEST = 64  # hexadecimal digits in front of a compiled encoder


def _pack(compiled: bytes) -> bytes:
    return sha256_of(compiled).encode() + compiled


def _unpack(data: bytes) -> bytes:
    # OpenVINO is not made to be given damaged bytes
    digest, compiled = data[:_DIGEST], data[_DIGEST:]
    if sha256_of(compiled).encode() != digest:
        raise ValueError("its digest is another")
    return compiled


ENCODERS: Store[bytes] = Store("image-encoders", FunctionCodec(".openvino", _pack, _unpack))
"""Image encoders as OpenVINO compiled them, keyed on weights, versions and processor."""

TRIALS: Store[dict[str, float]] = Store("image-encoder-trials", JSON)
"""Seconds that each way took, keyed on the tower's shape, versions and processor."""


class ImageEncoder:
    """The image encoder of a CLIP model, computed by PyTorch or OpenVINO; not safe to share between threads.

    ODITS_FAST=0 turns OpenVINO off; ODITS_FAST=1 uses it from the first image on, untimed, wherever it says the same.
    Else it is tried once PyTorch has encoded `TRIAL_AFTER` images by a tower of `LARGE` weights. Where weights change
    after the encoder was made, as in training, PyTorch computes from then on.

    Args:
        model: the open_clip model, in evaluation mode.

    Attributes:
        engine: what encoded the last images, where it was not PyTorch itself: `OPENVINO`; else "".

    Example:
        >>> from odits.models.clip.embedded import new_model
        >>> encoder = ImageEncoder(new_model().eval())
        >>> with torch.inference_mode():
        ...     embeddings = encoder(torch.zeros(1, 3, 32, 128))
        >>> encoder.engine, tuple(embeddings.shape)
        ('', (1, 256))
    """

    def __init__(self, model: Any) -> None:
        self.engine = ""
        self._model = model
        self._weights = _versions(model.visual)
        self._compiled: Any = None
        self._tried = False
        self._encoded = 0

    def __call__(self, pixels: Tensor) -> Tensor:
        """Embed preprocessed images (B, 3, H, W) as normalised float32 (B, d)."""
        if self._by_openvino(pixels):
            try:
                found = torch.from_numpy(self._compiled(pixels.numpy())[0])
            except Exception:  # of whatever kind, such as memory: PyTorch may need less
                self._compiled = None
            else:
                self.engine = OPENVINO
                return found
        self.engine = ""
        self._encoded += len(pixels)
        embeddings: Tensor = self._model.encode_image(pixels, normalize=True)
        return embeddings.float()

    def _by_openvino(self, pixels: Tensor) -> bool:
        """Return whether OpenVINO is to encode these images; try it when it is time to."""
        setting = os.environ.get("ODITS_FAST", "")
        given_up = self._tried and self._compiled is None
        if setting == "0" or given_up or is_plain() or not _is_convertible(self._model, pixels):
            return False
        if self._weights is None or self._weights != _versions(self._model.visual):
            self._weights = self._compiled = None
            return False
        forced = setting == "1"
        if not self._tried and (forced or (self._encoded >= TRIAL_AFTER and _size(self._model.visual) >= LARGE)):
            self._tried = True
            self._compiled = choose(self._model, forced)
        return self._compiled is not None


def choose(model: Any, forced: bool = False) -> Callable[..., Any] | None:
    """Return a CLIP model's image encoder as OpenVINO compiled it; None where PyTorch is to compute.

    Args:
        model: the open_clip model, on the processor.
        forced: do without the trial of time.
    """
    try:
        with torch.inference_mode(False), torch.no_grad():
            compiled = _choose(model, forced)
    except Exception:  # not installed, an operator it lacks, no memory: PyTorch does it all
        return None
    if compiled is not None:
        release(model.visual)
    return compiled


def _choose(model: Any, forced: bool) -> Callable[..., Any] | None:
    visual = model.visual
    here = machine()
    trial = make_key(tower={name: list(weight.shape) for name, weight in visual.state_dict().items()}, **here)
    seconds = None if forced else TRIALS.get(trial)
    if seconds is not None and not _pays(seconds):
        return None
    weights = {name: sha256_of(weight.numpy().tobytes()) for name, weight in visual.state_dict().items()}
    key = make_key(weights=weights, layers=repr(visual), **here)
    stored = ENCODERS.get(key)
    compiled = compile_encoder(model) if stored is None else _load(stored)
    pixels = torch.randn(3, 3, *image_size(visual), generator=torch.Generator().manual_seed(0))
    difference = (torch.from_numpy(compiled(pixels.numpy())[0]) - model.encode_image(pixels, normalize=True)).abs()
    if not difference.max() <= TOLERANCE:  # not a number counts as different
        return None
    if seconds is None and not forced:
        seconds = _time(model, compiled, pixels[:2])
        with suppress(WriteError):
            TRIALS.put(trial, seconds)
        if not _pays(seconds):
            return None
    if stored is None:
        with suppress(WriteError):  # costs time in the next process
            ENCODERS.put(key, compiled.export_model().getvalue())
    return compiled


def compile_encoder(model: Any) -> Any:
    """Convert the image encoder of a CLIP model, normalisation included, and compile it for this processor."""
    import openvino  # deferred: optional, and takes half a second

    example = torch.randn(2, 3, *image_size(model.visual))
    with warnings.catch_warnings(), plainly():
        warnings.simplefilter("ignore")  # of tracing: the comparison says whether it went well
        traced = torch.jit.trace(_Normalised(model), example, check_trace=False)
        converted = openvino.convert_model(traced, example_input=example)
    converted.reshape([-1, *example.shape[1:]])
    return _core().compile_model(converted, "CPU", _settings())


def machine() -> dict[str, Any]:
    """Return what a compiled encoder and its speed depend on beside the model."""
    import openvino  # deferred: optional

    processor = _core().get_property("CPU", "FULL_DEVICE_NAME")
    return {"openvino": openvino.__version__, "torch": torch.__version__, "cpu": processor, "threads": _threads()}


def image_size(visual: Any) -> tuple[int, int]:
    """Return the height and width of a tower's input in pixels."""
    size = visual.image_size
    return (size, size) if isinstance(size, int) else tuple(size)


class _Normalised(nn.Module):
    """What `ClipModel` asks of an open_clip model, as a module that can be traced."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model.encode_image(pixels, normalize=True)  # type: ignore[operator]


def _load(stored: bytes) -> Any:
    return _core().import_model(stored, "CPU", _settings())


@cache
def _core() -> Any:
    import openvino  # deferred: optional

    return openvino.Core()


def _settings() -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the processor has it
        "INFERENCE_NUM_THREADS": _threads(),
        "ENABLE_CPU_PINNING": False,  # workers side by side would share the same cores
        "PERFORMANCE_HINT": "LATENCY",
    }


def _threads() -> int:
    # a worker of several is given fewer than all
    return min(cores(), torch.get_num_threads())


def _time(model: Any, compiled: Callable[..., Any], pixels: Tensor) -> dict[str, float]:
    """Measure both ways in turn, three times or for four seconds; return the medians of their seconds."""
    found: dict[str, list[float]] = {PYTORCH: [], OPENVINO: []}
    began = time.perf_counter()
    with torch.inference_mode():
        while len(found[OPENVINO]) < 3 and time.perf_counter() - began < 4:
            start = time.perf_counter()
            model.encode_image(pixels, normalize=True)
            middle = time.perf_counter()
            compiled(pixels.numpy())
            found[PYTORCH].append(middle - start)
            found[OPENVINO].append(time.perf_counter() - middle)
    return {engine: median(seconds) for engine, seconds in found.items()}


def _pays(seconds: dict[str, float]) -> bool:
    return seconds[OPENVINO] <= GAIN * seconds[PYTORCH]


def _is_convertible(model: Any, pixels: Tensor) -> bool:
    """Return whether a recorded run of the tower would stand for these images as well as for any others."""
    visual = model.visual
    known = isinstance(visual, VisionTransformer | ModifiedResNet | TimmModel)
    return (
        known
        and not isinstance(getattr(visual, "trunk", None), SignTower)
        and not visual.training
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and pixels.device.type == "cpu"
        and pixels.dtype == torch.float32
        and tuple(pixels.shape[-2:]) == image_size(visual)
        and all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in visual.parameters())
    )


def _versions(visual: nn.Module) -> list[tuple[int, int]] | None:
    """Return what tells whether a tensor of the tower was changed or replaced; None where they do not tell it."""
    tensors = [*visual.parameters(), *visual.buffers()]
    if any(tensor.is_inference() for tensor in tensors):
        return None
    return [(tensor.data_ptr(), tensor._version) for tensor in tensors]


def _size(visual: nn.Module) -> int:
    return sum(weight.numel() for weight in visual.parameters())
