"""The networks that rapidocr's wheel carries: where they lie, and what tells them from others.

Light: neither rapidocr nor its runtime is imported to find or to name them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from odits.core.errors import OditsError
from odits.core.files import file_digest

Part = Literal["det", "rec"]
"""The detector of lines, or their recogniser."""

KNOWN: dict[Part, str] = {
    "det": "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    "rec": "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
}
"""SHA-256 of PP-OCRv6-small's files, with which the calibration was measured; keys of results mean these."""
NOT_INSTALLED = "Finding text needs rapidocr: pip install rapidocr onnxruntime."


def packaged_model(part: Part) -> Path:
    """Return the file of a network in rapidocr's wheel.

    Raises:
        OditsError: rapidocr is not installed, or without its models.
    """
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise OditsError(NOT_INSTALLED)
    found = sorted((Path(spec.origin).parent / "models").glob(f"*_{part}_*.onnx"))
    if not found:
        raise OditsError("rapidocr is installed without its models: install it again (pip install rapidocr).")
    return found[-1]


def other_models(*parts: Part) -> str:
    """Return what keys of results add where the installed networks are not the known ones: their digests, else nothing.

    Example:
        >>> other_models("det") == "" or len(other_models("det")) == 17
        True
    """
    added = ""
    for part in parts:
        try:
            digest = file_digest(packaged_model(part))
        except (OditsError, OSError):
            continue  # whoever needs the network says so
        added += "" if digest == KNOWN[part] else f" {part}={digest[:12]}"
    return added
