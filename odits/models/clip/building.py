"""CLIP models without their weights, and their tokenizers, built by open_clip; what is missing is a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor

from odits.core.errors import OditsError
from odits.core.files import temporary_folder
from odits.models.clip.embedded import ARCHITECTURE, create_untrained, new_model, register_architecture, tokenizer
from odits.models.layouts import OPEN_CLIP_CONFIG

Tokenizer = Callable[[list[str]], Tensor]


@dataclass(frozen=True)
class Checked:
    """Whether an architecture can be used here.

    Attributes:
        architecture: open_clip's name of it.
        parameters: how many it has; 0 where it can't be built.
        problem: what is missing, in a sentence; "" where nothing is.
    """

    architecture: str
    parameters: int
    problem: str


def build_model(
    architecture: str, config: Mapping[str, Any] | None = None, quick_gelu: bool = False, device: str = "cpu"
) -> Any:
    """Build an open_clip model with random weights.

    Args:
        architecture: open_clip's, or the embedded one.
        config: of a custom architecture, in open_clip's format.
        quick_gelu: whether to use QuickGELU whatever the architecture says.
        device: where it lies; "meta" for its shapes alone.

    Raises:
        ValueError: open_clip knows no such architecture.
        OditsError: a part of it has to come from the hub and is not here, or it can't be built.
    """
    register_architecture()
    options: dict[str, Any] = {"pretrained_text": False, "force_quick_gelu": quick_gelu, "device": device}
    if config:
        with _config_folder(config) as name, _explained(architecture, config):
            return create_untrained(name, load_weights=False, **options)
    if architecture == ARCHITECTURE:
        return new_model(device)
    if architecture not in open_clip.list_models():
        raise ValueError(f"open_clip knows no architecture {architecture!r}")
    with _explained(architecture, open_clip.get_model_config(architecture)):
        return create_untrained(architecture, **options)


def build_tokenizer(
    architecture: str, config: Mapping[str, Any] | None = None, folder: Path | None = None
) -> Tokenizer:
    """Build the tokenizer of an architecture: texts -> ids (B, context).

    Args:
        architecture: open_clip's, or the embedded one.
        config: of a custom architecture, in open_clip's format.
        folder: where the files of a custom architecture's tokenizer lie.

    Raises:
        OditsError: it has to come from the hub and is not here.
    """
    if architecture == ARCHITECTURE:
        return tokenizer()
    if not config:
        with _explained(architecture, open_clip.get_model_config(architecture), "tokenizer"):
            return open_clip.get_tokenizer(architecture)
    text = config["text_cfg"]
    with _explained(architecture, config, "tokenizer"):
        if text.get("hf_tokenizer_name") and folder is not None and (folder / OPEN_CLIP_CONFIG).is_file():
            return open_clip.get_tokenizer(f"local-dir:{folder}")
        if text.get("vocab_size", 49408) == 49408 or text.get("hf_tokenizer_name") or folder is None:
            with _config_folder(config, local=not text.get("hf_tokenizer_name")) as name:
                return open_clip.get_tokenizer(name) if name else open_clip.get_tokenizer(text["hf_tokenizer_name"])
        return open_clip.tokenizer.HFTokenizer(str(folder), context_length=text.get("context_length", 77))


def check_architecture(architecture: str) -> Checked:
    """Build an architecture without memory for its weights, and its tokenizer; nothing is raised."""
    try:
        with torch.device("meta"):
            model = build_model(architecture, device="meta")
    except (OditsError, ValueError) as error:
        return Checked(architecture, 0, str(error))
    count = sum(parameter.numel() for parameter in model.parameters())
    try:
        build_tokenizer(architecture)
    except OditsError as error:
        return Checked(architecture, count, str(error))
    return Checked(architecture, count, "")


@contextmanager
def _config_folder(config: Mapping[str, Any], local: bool = True) -> Iterator[str]:
    """Give the block open_clip's name of a configuration."""
    if not local:
        yield ""
        return
    with temporary_folder("config") as folder:
        (folder / OPEN_CLIP_CONFIG).write_text(json.dumps({"model_cfg": dict(config)}), encoding="utf-8")
        yield f"local-dir:{folder}"


@contextmanager
def _explained(architecture: str, config: Mapping[str, Any] | None, part: str = "text tower") -> Iterator[None]:
    """Say in a sentence what is missing, whatever a library raises over it."""
    text = (config or {}).get("text_cfg", {})
    named = text.get("hf_tokenizer_name" if part == "tokenizer" else "hf_model_name")
    try:
        yield
    except OditsError:
        raise
    except Exception as error:
        if named and isinstance(error, OSError | ValueError | RuntimeError):
            raise OditsError(
                f"The {part} of {architecture} is built from {named} of the Hugging Face hub, which is not on this "
                "machine and could not be downloaded."
            ) from error
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise OditsError(
            f"open_clip can't build the {part if named else 'model'} of {architecture} ({reason})."
        ) from error
