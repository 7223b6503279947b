"""CLIP models from their references: weights fetched once, read, and made a model."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import open_clip
import torch
from open_clip.pretrained import get_pretrained_cfg
from safetensors import SafetensorError
from safetensors.torch import load_file

from odits.core.device import resolve_device
from odits.core.errors import OditsError
from odits.core.files import file_digest
from odits.core.progress import Progress
from odits.models.clip.embedded import ARCHITECTURE, create_untrained, new_model, register_architecture, tokenizer
from odits.models.clip.model import ClipModel
from odits.models.reference import ModelRef, parse

WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TIMEOUT = 3.0  # seconds: nobody waits longer for a network that is not there


def cached_pretrained(architecture: str, tag: str) -> Path | None:
    """Return the file of open_clip's weights in the hub's cache; None where they have to be downloaded.

    Raises:
        OditsError: open_clip names no place to get them from.
    """
    from huggingface_hub import hf_hub_download  # deferred: reads its settings from the environment when imported

    repository = _hub_repository(architecture, tag)
    found = (_attempt(hf_hub_download, repository, name, local_files_only=True) for name in WEIGHT_FILES)
    return next((path for path in found if path is not None), None)


def _hub_repository(architecture: str, tag: str) -> str:
    repository = str(get_pretrained_cfg(architecture, tag).get("hf_hub", "")).rstrip("/")
    if not repository:
        raise OditsError(
            f"open_clip names no hub for {architecture}/{tag}: download its file and use {architecture}@FILE."
        )
    return repository


def fetch_pretrained(architecture: str, tag: str, progress: Progress | None = None) -> Path:
    """Return the local file of open_clip's weights, downloaded into the hub's cache if need be.

    Args:
        architecture: of open_clip, such as "ViT-B-32".
        tag: which of its weights, such as "openai".
        progress: called with (bytes here, bytes in all) during the download.

    Raises:
        OditsError: they are neither in the cache nor to be had.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    cached = cached_pretrained(architecture, tag)
    if cached is not None:
        return cached
    if hub_answers():
        from huggingface_hub import hf_hub_download

        repository = _hub_repository(architecture, tag)
        bar = _reporting_bar(progress)
        for name in WEIGHT_FILES:
            found = _attempt(hf_hub_download, repository, name, etag_timeout=TIMEOUT, tqdm_class=bar)
            if found is not None:
                return found
    raise OditsError(
        f"The weights {architecture}/{tag} are not on this machine and could not be downloaded: check the network, "
        f"or name a file as {architecture}@FILE."
    )


def hub_answers() -> bool:
    """Return whether the hub can be reached at all: the library itself would try for most of a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        with urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=TIMEOUT):
            return True
    except HTTPError:
        return True  # an answer, if not a friendly one
    except (OSError, ValueError):
        return False


def _attempt(download: Callable[..., str], repository: str, name: str, **options: Any) -> Path | None:
    """Try a download: None where the file is not there, not reachable, or does not fit on the disk."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(download(repository, name, **options))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError, RuntimeError):
        return None


def _reporting_bar(progress: Progress | None) -> type:
    """Make a tqdm class that also tells `progress` how far the download is."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):  # type: ignore[misc, valid-type]
        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if progress is not None and self.total:
                progress(int(self.n), int(self.total))
            return shown

    return Bar


def load_clip(reference: ModelRef | str | Path, device: str = "auto", progress: Progress | None = None) -> ClipModel:
    """Load the CLIP model that a reference stands for, on the device and ready to predict.

    Args:
        reference: "embedded"; "ARCHITECTURE/TAG" of open_clip, such as "ViT-B-32/openai" (downloaded once); a
            safetensors file that names its architecture; or "ARCHITECTURE@FILE" for one that does not.
        device: "auto", "cpu", "cuda" or "mps".
        progress: called with (bytes so far, bytes in all) during a download.

    Raises:
        OditsError: no such checkpoint, a damaged or foreign file, or a network that is not there.
    """
    ref = parse(reference, "clip")
    if ref.tag:
        path, options = (
            fetch_pretrained(ref.architecture, ref.tag, progress),
            get_pretrained_cfg(ref.architecture, ref.tag),
        )
    else:
        path, options = ref.weights, recorded_preprocessing(ref.header)
    try:
        checkpoint = ref.clip_checkpoint(file_digest(path))
        return clip_from_state(read_state(path), ref.architecture, ref.name, checkpoint, device, options)
    except ValueError as error:
        raise OditsError(f"{path.name} does not hold weights of {ref.architecture}.") from error


def recorded_preprocessing(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read the preprocessing that a fine-tuned checkpoint's header hands on: nothing where it is unusable."""
    try:
        recorded = json.loads(metadata.get("preprocess", "{}"))
    except ValueError:
        return {}
    return recorded if isinstance(recorded, dict) else {}


def clip_from_state(
    state: Mapping[str, torch.Tensor],
    architecture: str,
    name: str,
    checkpoint: str,
    device: str,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> ClipModel:
    """Make a CLIP model of its weights, on the device and ready to predict.

    Args:
        state: the weights by name.
        architecture: open_clip's, or the embedded one.
        name: as shown to users.
        checkpoint: hexadecimal digest that results key on (`ModelRef.clip_checkpoint`).
        device: "auto", "cpu", "cuda" or "mps".
        options: preprocessing: mean, std, interpolation, resize_mode, quick_gelu.

    Raises:
        ValueError: the weights are not that architecture's.
    """
    register_architecture()
    target = resolve_device(device)
    if architecture == ARCHITECTURE:
        model, tokenize = new_model(), tokenizer()
    elif architecture in open_clip.list_models():
        model = create_untrained(architecture, force_quick_gelu=bool(options.get("quick_gelu")), pretrained_text=False)
        tokenize = open_clip.get_tokenizer(architecture)
    else:
        raise ValueError(f"open_clip knows no architecture {architecture!r}")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    settings = {key: options[key] for key in ("mean", "std", "interpolation", "resize_mode") if options.get(key)}
    size = {"size": model.visual.image_size}
    preprocess = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**size, **settings), is_train=False
    )
    return ClipModel(model.to(target), tokenize, preprocess, name, checkpoint)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a safetensors file, or of a pickle that holds nothing but tensors.

    Raises:
        OditsError: the file is absent, damaged, or a pickle with code in it.
    """
    if not path.is_file():
        raise OditsError(f"There is no file {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise OditsError(f"{path.name} is damaged, or holds more than weights; use safetensors.") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise OditsError(f"{path.name} does not hold the weights of one model.")
    return {key.removeprefix("module."): value for key, value in state.items()}
