"""References of CLIP models: by architecture, file or folder, or of the Hugging Face hub."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from odits.core.errors import OditsError
from odits.core.files import expand_home
from odits.core.formats import file_format
from odits.core.model_folders import cached_file, is_whole
from odits.core.weights import tensor_shapes
from odits.models.folders import read_folder
from odits.models.layouts import (
    HF_CONFIG,
    NAMED,
    OPEN_CLIP_CONFIG,
    WEIGHT_FILES,
    canonical,
    foreign_weights,
    matching_architectures,
    script_activation,
)
from odits.models.model_ref import ModelRef, architectures, checkpoint_reference, find_file, read_metadata, shortened

HUB = "hf-hub:"
LOCAL = "local-dir:"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?")
_OPENAI = re.compile(r"ViT-(B/32|B/16|L/14|L/14@336px)")


def by_architecture(text: str) -> ModelRef | None:
    """Parse ARCHITECTURE@FILE and ARCHITECTURE/TAG."""
    if _OPENAI.fullmatch(text):
        text = f"{text.replace('/', '-').replace('@336px', '-336')}/openai"
    architecture, separator, file = text.partition("@")
    if separator and architecture in architectures():
        path = find_file(file)
        if path is None:
            raise OditsError(f"There is no file '{shortened(file)}'.")
        return _with_architecture(text, architecture, path)
    architecture, separator, tag = text.partition("/")
    if not separator or architecture not in architectures():
        return None
    import open_clip  # deferred: seconds

    known = open_clip.list_pretrained_tags_by_model(architecture)
    if tag not in known:
        raise OditsError(
            f"open_clip knows no weights '{tag}' for {architecture}; it knows {', '.join(known) or 'none'}."
        )
    return ModelRef(text, "clip", text, architecture, tag=tag)


def _with_architecture(text: str, named: str, path: Path) -> ModelRef:
    """Return the reference of a file whose architecture was given."""
    architecture = computed_architecture(named, path)
    note = "QuickGELU, as the archive's own code computes it." if architecture != named else ""
    return ModelRef(text, "clip", f"{architecture} ({path.name})", architecture, path, note=note)


def computed_architecture(architecture: str, path: Path) -> str:
    """Return the architecture of a file: a TorchScript archive, such as OpenAI's, shows its activation by its code.

    Args:
        architecture: as the user names it.
        path: its file.

    Returns:
        The same, or the one with QuickGELU.
    """
    quick = f"{architecture}-quickgelu"
    if quick in architectures() and _format(path) == "torchscript" and script_activation(path) == "quick_gelu":
        return quick
    return architecture


def by_file(text: str) -> ModelRef | None:
    """Parse the path of a checkpoint."""
    path = find_file(text)
    if path is None:
        return None
    if path.suffix == ".safetensors" or _format(path) == "safetensors":
        ref = checkpoint_reference(text, path)
    else:
        ref = ModelRef(text, "clip", path.stem, path=path)
    if ref.kind == "clip" and not ref.architecture and path.name in WEIGHT_FILES and _is_described(path.parent):
        return _described(text, path.parent)
    return known_architecture(ref)


def _format(path: Path) -> str:
    try:
        return file_format(path)
    except OSError:
        return ""


def known_architecture(ref: ModelRef) -> ModelRef:
    """Find the architecture of a CLIP checkpoint that names none by the shapes of its weights.

    Raises:
        OditsError: they fit none, or several, which are named; or the file is none of weights.
    """
    if ref.kind != "clip" or ref.architecture in architectures() or "model_cfg" in ref.header:
        return ref
    name, shapes = ref.weights.name, {} if ref.architecture else tensor_shapes(ref.weights)
    fitting = matching_architectures(shapes)
    note = "Its architecture was found by the shapes of its weights."
    if len(fitting) > 1 and _format(ref.weights) == "torchscript":
        quick = script_activation(ref.weights) == "quick_gelu"
        fitting = [one for one in fitting if one.endswith("-quickgelu") == quick] or fitting
        note = "Its architecture was found by the shapes of its weights and the archive's own code."
    if len(fitting) == 1:
        return replace(ref, architecture=fitting[0], note=note)
    if fitting:
        shown = ", ".join(fitting[:NAMED]) if len(fitting) > NAMED else " and ".join(_but_last(fitting))
        more = f" and {len(fitting) - NAMED} others" if len(fitting) > NAMED else ""
        why = "differ in what weights do not show, such as QuickGELU or the size of images"
        raise OditsError(f"{name} fits {shown}{more}, which {why}: write one in front, as in {fitting[0]}@{name}.")
    what = foreign_weights(shapes)
    if what:
        raise OditsError(f"{name} is no CLIP model: it holds {what}.")
    few = ", ".join(list(shapes)[:NAMED])
    why = f"names no architecture, and its weights ({few}) have the shapes of none" if few else "names no architecture"
    raise OditsError(f"{name} {why}: write it in front, as in ViT-B-32@{name}.")


def _but_last(names: list[str]) -> tuple[str, str]:
    return ", ".join(names[:-1]), names[-1]


def find_folder(text: str) -> Path | None:
    """Find the folder of that name."""
    try:
        path = expand_home(text)
        return path if text and path.is_dir() else None
    except (OSError, ValueError):
        return None


def by_folder(text: str) -> ModelRef | None:
    """Parse the path of a folder in open_clip's layout or in transformers'."""
    local = text.startswith(LOCAL)
    folder = find_folder(text.removeprefix(LOCAL))
    if folder is not None and (local or _is_described(folder)):
        return _described(text, folder)
    if local:
        raise OditsError(f"There is no folder '{shortened(text.removeprefix(LOCAL))}'.")
    return None


def _is_described(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (OPEN_CLIP_CONFIG, HF_CONFIG))


def _described(text: str, folder: Path, hub: str = "") -> ModelRef:
    """Return the reference of a folder whose configuration describes a CLIP model."""
    layout = read_folder(folder, hub or folder.name)
    header = read_metadata(layout.weights) if layout.weights.suffix == ".safetensors" else {}
    header.setdefault("preprocess", json.dumps(dict(layout.preprocess), sort_keys=True))
    architecture = header.get("architecture", "")
    if architecture not in architectures():
        architecture = layout.architecture
        header |= {"model_cfg": canonical(layout.config)} if layout.config else {}
    name = header.get("name", hub or folder.name)
    return ModelRef(text, "clip", name, architecture, layout.weights, hub=hub, header=header)


def by_hub(text: str) -> ModelRef:
    """Parse hf-hub:ORG/NAME: what lies in the hub's cache is read there, what does not is to be downloaded."""
    named = text.removeprefix(HUB)
    if not _REPOSITORY.fullmatch(named) or ".." in named:
        raise OditsError(f"'{shortened(text)}' names no repository: write {HUB}ORG/NAME.")
    folder = cached_snapshot(named)
    if folder is not None and any((folder / name).is_file() and is_whole(folder / name) for name in WEIGHT_FILES):
        return _described(text, folder, named)
    return ModelRef(text, "clip", named, hub=named, note="From the Hugging Face hub, downloaded once.")


def cached_snapshot(hub: str) -> Path | None:
    """Return the folder in the hub's cache that holds a repository's configuration.

    Args:
        hub: the repository, with "@REVISION" where it is not the main one.
    """
    found = next((path for name in (OPEN_CLIP_CONFIG, HF_CONFIG) if (path := cached_file(hub, name))), None)
    return found.parent if found else None
