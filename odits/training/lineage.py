"""What a fine-tuned checkpoint inherits from the one it started from."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import open_clip
from open_clip.pretrained import get_pretrained_cfg

from odits.models.clip.embedded import ARCHITECTURE, register_architecture
from odits.models.registry import EMBEDDED, read_metadata

PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


def inherited_metadata(reference: str) -> dict[str, str]:
    """What a reference to a word model hands on: "architecture" and, where known, "preprocess" (JSON).

    References are those of `odits.models.clip.loading.load_word_model`, which has accepted this one.
    """
    register_architecture()
    if reference == EMBEDDED:
        return {"architecture": ARCHITECTURE}
    architecture, separator, _ = reference.partition("@")
    if separator and architecture in open_clip.list_models():
        return {"architecture": architecture}
    architecture, separator, tag = reference.partition("/")
    if separator and architecture in open_clip.list_models():
        options = get_pretrained_cfg(architecture, tag)
        if options.get("quick_gelu") and f"{architecture}-quickgelu" in open_clip.list_models():
            architecture += "-quickgelu"  # the same weights mean something else with the other activation
        settings = {key: options[key] for key in PREPROCESSING if options.get(key)}
        return {"architecture": architecture, "preprocess": json.dumps(settings, sort_keys=True)}
    metadata = read_metadata(Path(reference).expanduser())
    return {key: metadata[key] for key in ("architecture", "preprocess") if key in metadata}


def code_version() -> str:
    """The commit of the running code, with "-dirty" where files were changed since; "unknown" outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
