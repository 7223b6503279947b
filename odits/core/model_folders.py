"""Models as the Hugging Face hub lays them out: small JSON files beside the weights, in a folder or the hub's cache."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from odits.core.documents import parse_json
from odits.core.errors import OditsError
from odits.core.files import expand_home

WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"
PICKLE_SHARDS = "pytorch_model.bin.index.json"
CONFIG = "config.json"
CONFIGS = (CONFIG, "preprocessor_config.json", "processor_config.json")
"""The small files that say how a model is built and how it is shown an image."""

_MOST_BYTES = 4 << 20  # of a small file
_INDEX_BYTES = 64 << 20  # of an index, which names every tensor
_LONGEST_NAME = 255  # bytes of the name of a file
_COUNTED = ("layers", "blocks", "depth", "heads")
_MOST_COUNTED, _MOST = 1024, 1 << 31
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_repository(name: str) -> bool:
    """Return whether this is how the hub names a model: OWNER/NAME, and not how a file of weights is called.

    Example:
        >>> is_repository("facebook/sam2.1-hiera-tiny"), is_repository("./a/folder")
        (True, False)
    """
    file = name.endswith((".pth", ".pt", ".bin", ".safetensors", ".ckpt"))
    return len(name) <= 200 and ".." not in name and not file and _REPOSITORY.fullmatch(name) is not None


def weight_names(pickles: bool = False) -> tuple[str, ...]:
    """Return what a model's weights, or the index of their parts, may be called; the preferred one first."""
    return (WEIGHTS, SHARDS, PICKLE, PICKLE_SHARDS) if pickles else (WEIGHTS, SHARDS)


def weights_at(place: str | Path, pickles: bool = False) -> Path | None:
    """Find a model's weights: those in a folder, or the file itself.

    Args:
        place: a folder in the hub's layout, or a file of weights.
        pickles: whether a pickle will do, too.

    Returns:
        The file, or the index of its parts; None where there is none.
    """
    try:
        path = expand_home(place)
        if path.is_file():
            return path
        names = weight_names(pickles)
        return next((path / name for name in names if (path / name).is_file()), None)
    except (OSError, ValueError):  # a name too long, or a NUL in it
        return None


def part_names(weights: Path) -> list[str]:
    """Return the names of the files beside an index that hold the tensors; nothing where it is no index.

    Raises:
        OditsError: the index is damaged.
    """
    if not weights.name.endswith(".index.json"):
        return []
    try:
        if weights.stat().st_size > _INDEX_BYTES:
            raise ValueError("too large")
        names = sorted(set(parse_json(weights.read_bytes())["weight_map"].values()))
        if not names or not all(map(_is_part, names)):
            raise ValueError("no names of files beside it")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OditsError(f"{weights.name} is damaged: it should name the files of the weights beside it.") from error
    return names


def _is_part(name: str) -> bool:
    """Whether an index may name this: a file beside it and not a path that climbs out, nor another index."""
    is_name = name not in ("", ".", "..") and len(name.encode()) <= _LONGEST_NAME
    return is_name and Path(name).name == name and not name.endswith(".json")


def parts_of(weights: Path) -> list[Path]:
    """Return the files that hold a model's tensors: the file itself, or all parts that its index names.

    Raises:
        OditsError: the index is damaged, or a part is missing.
    """
    parts = [weights.with_name(name) for name in part_names(weights)]
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise OditsError(f"A part of the weights is missing in {weights.parent.name}: {missing[0]}.")
    return parts or [weights]


def is_whole(weights: Path) -> bool:
    """Return whether a file of weights is here, and where it is an index, all parts that it names."""
    try:
        return all(part.is_file() for part in parts_of(weights))
    except OditsError:
        return False


def configs_beside(weights: Path) -> dict[str, str]:
    """Return the small files beside a model's weights, by name: only those that are there and are JSON documents."""
    found = {}
    for name in CONFIGS:
        with suppress(OSError, ValueError, RecursionError):
            path = weights.with_name(name)
            if path.stat().st_size <= _MOST_BYTES:
                text = path.read_text("utf-8")
                if isinstance(json.loads(text), dict):
                    found[name] = text
    return found


def read_config(configs: dict[str, str], name: str = CONFIG) -> dict[str, Any]:
    """Return the document of one of the files of `configs_beside`; empty where it isn't there."""
    document: dict[str, Any] = json.loads(configs.get(name, "{}"))
    return document


def implausible(config: Any, name: str = "") -> str:
    """Return which number of a configuration no model has, such as the layers that would fill all memory.

    Args:
        config: a JSON document.
        name: of the field that it stands in.

    Returns:
        The field's name and its value; "" where all are plausible.

    Example:
        >>> implausible({"vision_config": {"num_hidden_layers": 1000000}})
        'num_hidden_layers is 1000000'
    """
    if isinstance(config, dict | list):
        inner = config.items() if isinstance(config, dict) else ((name, value) for value in config)
        return next((found for key, value in inner if (found := implausible(value, str(key)))), "")
    if isinstance(config, bool) or not isinstance(config, int | float):
        return ""
    most = _MOST_COUNTED if any(word in name for word in _COUNTED) else _MOST
    return "" if abs(config) <= most else f"{name[:40]} is {str(config)[:20]}"  # NaN is no number up to that, either


def cached_file(hub: str, name: str) -> Path | None:
    """Return a file of a repository in the hub's cache; None where it is not there.

    Args:
        hub: the repository, with "@REVISION" where it is not the main one.
        name: of the file.

    Raises:
        HFValidationError: no repository can be called that.
    """
    from huggingface_hub import try_to_load_from_cache  # deferred: it reads its settings when it is imported

    repository, _, revision = hub.partition("@")
    found = try_to_load_from_cache(repository, name, revision=revision or None)
    return Path(found) if isinstance(found, str) and Path(found).is_file() else None


def cached_weights(repository: str, pickles: bool = False) -> Path | None:
    """Return where the hub's cache has a model's weights with its config.json; None where a download is needed."""
    from huggingface_hub.errors import HFValidationError

    try:
        config = cached_file(repository, CONFIG)
    except HFValidationError:
        return None
    found = weights_at(config.parent, pickles) if config else None
    return found if found is not None and is_whole(found) else None
