"""Model cards: what a pushed checkpoint is, and how plain open_clip loads it, with the files that this needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open

from odits.core.errors import OditsError
from odits.models.reference import EMBEDDED_ARCHITECTURE, architectures, parse, read_metadata
from odits.tracking.store import StoredCheckpoint

CARD = "README.md"
METRIC = "eval/"
"""How those of a checkpoint's metadata begin that are metrics."""
PLAIN = "open_clip"
"""Metadata of a pushed checkpoint: whether its tensors have open_clip's names, "yes" or "no"."""

_SHOWN = 160  # characters of a value
_OWN_ROWS = ("architecture", "name", "kind", "data", "data_digest", "parent", "license", "format", PLAIN)
_TRANSFORM = {"mean": "image_mean", "std": "image_std", "interpolation": "image_interpolation"}
_TRANSFORM |= {"resize_mode": "image_resize_mode"}
_MERGES = "characters.txt.gz"


def has_plain_names(path: Path) -> bool:
    """Return whether the tensors of a safetensors file are called as in open_clip's models."""
    try:
        with safe_open(path, framework="numpy") as tensors:
            names = set(tensors.keys())
    except (SafetensorError, OSError):
        return False
    return "logit_scale" in names and any(name.startswith("visual.") for name in names)


def describe_weights(path: Path, metrics: Mapping[str, float]) -> dict[str, str]:
    """Return the metadata with which a file of weights is pushed: its own, what else is known of it, and its metrics.

    Args:
        path: a safetensors file.
        metrics: measured with it.

    Raises:
        OditsError: it is no safetensors file.
    """
    metadata = read_metadata(path)
    with suppress(OditsError):  # an architecture that nobody knows is no reason to refuse it
        found = parse(path, "clip", "odits")
        metadata = {"architecture": found.architecture, **found.header, **metadata}
    metadata[PLAIN] = "yes" if has_plain_names(path) else "no"
    return metadata | {f"{METRIC}{name}": f"{value:.6g}" for name, value in metrics.items()}


def companions(metadata: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files that open_clip needs beside the weights, by name: for architectures that it doesn't have itself.

    Args:
        metadata: of the checkpoint.
    """
    architecture = metadata.get("architecture", "")
    if architecture == EMBEDDED_ARCHITECTURE:
        from odits.models.clip import embedded, sign_tower
        from odits.models.layouts import CLIP_CONFIGS

        name = f"{architecture}.json"
        tower = Path(sign_tower.__file__)
        return {
            name: (CLIP_CONFIGS / name).read_bytes(),
            tower.name: tower.read_bytes(),
            _MERGES: embedded.MERGES,
        }
    if "model_cfg" in metadata and re.fullmatch(r"[\w.-]+", architecture):
        return {f"{architecture}.json": metadata["model_cfg"].encode()}
    return {}


def model_card(title: str, checkpoints: Sequence[StoredCheckpoint], metrics: Mapping[str, float]) -> str:
    """Write the card of a run's checkpoints, as Markdown with the header that Hugging Face reads.

    Args:
        title: the run's name.
        checkpoints: with their metadata.
        metrics: the run's last ones.
    """
    licences = {licence_of(item.metadata)[0] for item in checkpoints}
    header = ["---", f"license: {licences.pop() if len(licences) == 1 else 'other'}", "library_name: open_clip"]
    header += ["pipeline_tag: zero-shot-image-classification", "tags: [clip, odits]", "---"]
    lines = [*header, f"# {_plain(title)}", ""]
    for item in checkpoints:
        lines += _section(item)
    if metrics:
        rows = [(name, f"{value:.6g}") for name, value in sorted(metrics.items()) if not name.startswith("system/")]
        lines += ["## The run's last metrics", "", *_table(rows[:40]), ""]
    return "\n".join(lines)


def licence_of(metadata: Mapping[str, str]) -> tuple[str, str]:
    """Return the licence's name for the header, and a sentence for the reader."""
    if named := metadata.get("license"):
        return _plain(named), f"{_plain(named)}, as the file says."
    if metadata.get("architecture") == EMBEDDED_ARCHITECTURE:
        return "apache-2.0", "apache-2.0, as ODITS Signs, which it comes from."
    if parent := metadata.get("parent"):
        return "other", f"not stated in the file; that of the weights it was trained from ({_plain(parent)}) holds."
    return "other", "not stated in the file; whoever made it knows."


def loading_lines(file: str, metadata: Mapping[str, str]) -> list[str]:
    """Return the lines of Python that load a checkpoint in plain open_clip, from the folder that holds its files.

    Args:
        file: the weights' name.
        metadata: of the checkpoint.

    Examples:
        >>> for line in loading_lines("best.safetensors", {"architecture": "ViT-B-32"}):
        ...     print(line)
        import open_clip
        model, _, preprocess = open_clip.create_model_and_transforms('ViT-B-32', pretrained='best.safetensors')
        tokenizer = open_clip.get_tokenizer('ViT-B-32')
    """
    architecture = metadata.get("architecture", "")
    first, transform, merges = "import open_clip", dict[str, object](), ""
    if beside := companions(metadata):
        embedded = architecture == EMBEDDED_ARCHITECTURE
        module = ", sign_tower" if embedded else ""
        config = next(name for name in beside if name.endswith(".json"))
        first = f"import open_clip{module}; open_clip.add_model_config({config!r})"
        if embedded:
            transform = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
            merges = f", bpe_path={_MERGES!r}"
    try:
        recorded = json.loads(metadata.get("preprocess", "{}"))
        transform |= {_TRANSFORM[key]: recorded[key] for key in _TRANSFORM if recorded.get(key)}
    except (ValueError, TypeError, AttributeError):
        pass  # somebody else's "preprocess"
    options = "".join(f", {name}={value!r}" for name, value in transform.items())
    return [
        first,
        f"model, _, preprocess = open_clip.create_model_and_transforms({architecture!r}, pretrained={file!r}{options})",
        f"tokenizer = open_clip.get_tokenizer({architecture!r}{merges})",
    ]


def _section(item: StoredCheckpoint) -> list[str]:
    metadata, file = item.metadata, item.name.rpartition("/")[2]
    rows = [
        ("file", f"{file} ({item.size:,} bytes)" if item.size is not None else file),
        ("SHA-256", item.digest or "unknown"),
        ("architecture", metadata.get("architecture", "not named in the file")),
        ("data", " ".join(metadata[key] for key in ("data", "data_digest") if metadata.get(key)) or "not named in it"),
        ("trained from", metadata.get("parent") or "not named in it"),
        ("licence", licence_of(metadata)[1]),
    ]
    metrics = [(key.removeprefix(METRIC), value) for key, value in metadata.items() if key.startswith(METRIC)]
    losses = [(key, value) for key, value in metadata.items() if key.endswith("loss")]
    rest = [
        (key, value)
        for key, value in sorted(metadata.items())
        if key not in (*_OWN_ROWS, *dict(losses), "model_cfg") and not key.startswith(METRIC) and len(value) <= _SHOWN
    ]
    lines = [f"## {_plain(metadata.get('name') or file)}", "", *_table(rows), ""]
    lines += ["### Metrics", "", *(_table(metrics + losses) or ["None were measured before it was pushed."]), ""]
    lines += ["### Loading", "", *_loading(file, metadata), ""]
    return [*lines, "### What the file says of itself", "", *_table(rest), ""] if rest else lines


def _loading(file: str, metadata: Mapping[str, str]) -> list[str]:
    architecture = metadata.get("architecture", "")
    if metadata.get("kind") == "odits":
        return [f'It is an ODITS model, not CLIP alone: `odits.load_model("{_plain(file)}")` loads it.']
    if metadata.get(PLAIN) == "no" or not (architecture in architectures() or companions(metadata)):
        known = f"an architecture in front, as in `ViT-B-32@{_plain(file)}`" if not architecture else "this name"
        return [f"Its tensors are not open_clip's as they stand: `odits.load_model` loads it, with {known}."]
    lines = ["With [open_clip](https://github.com/mlfoundations/open_clip), in the folder of these files:", ""]
    lines += ["```python", *loading_lines(file, metadata), "```"]
    if architecture == EMBEDDED_ARCHITECTURE:
        lines += ["", "odits pads a scene to 768x512 pixels with grey; open_clip's `preprocess` crops it."]
    return lines


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    return ["| | |", "|---|---|", *(f"| {_plain(name)} | {_plain(value)} |" for name, value in rows)]


def _plain(text: str) -> str:
    """Return text from outside as it stands, on one line and without a meaning in Markdown."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:_SHOWN]
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", line)
