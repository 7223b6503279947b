"""What a fine-tuned checkpoint inherits from the one it started from."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import open_clip
from open_clip.pretrained import get_pretrained_cfg

from odits.models.registry import ModelRef, parse

PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


def inherited_metadata(reference: ModelRef | str) -> dict[str, str]:
    """Return what a CLIP model hands on to one trained from it: "architecture" and, where known, "preprocess" (JSON).

    Raises:
        OditsError: the reference is none of a CLIP model.
    """
    ref = parse(reference, "clip")
    if not ref.tag:
        preprocess = {key: value for key, value in ref.header.items() if key == "preprocess"}
        return {"architecture": ref.architecture, **preprocess}
    options = get_pretrained_cfg(ref.architecture, ref.tag)
    architecture = ref.architecture
    if options.get("quick_gelu") and f"{architecture}-quickgelu" in open_clip.list_models():
        architecture += "-quickgelu"  # the same weights mean something else with the other activation
    settings = {key: options[key] for key in PREPROCESSING if options.get(key)}
    return {"architecture": architecture, "preprocess": json.dumps(settings, sort_keys=True)}


def code_version() -> str:
    """The commit of the running code, with "-dirty" where files were changed since; "unknown" outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
