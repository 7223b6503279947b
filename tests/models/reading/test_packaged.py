"""rapidocr's networks as they are installed, and what keys say of others."""

from __future__ import annotations

import importlib.util
import shutil
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.models.reading import packaged
from odits.models.reading.packaged import KNOWN, other_models, packaged_model
from odits.models.reading.reader import TextReader
from odits.models.segmentation.parameters import RegionParameters


def use(package: Path, patch: pytest.MonkeyPatch) -> None:
    spec = ModuleSpec("rapidocr", None, origin=str(package / "__init__.py"))
    patch.setattr(packaged, "find_spec", lambda _name: spec)


def test_other_networks_have_other_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = TextReader().key, RegionParameters().key, RegionParameters(text=False).key
    models = tmp_path / "models"
    models.mkdir()
    for part in ("det", "rec"):
        shutil.copy(packaged_model(part), models)
    use(tmp_path, monkeypatch)
    assert (TextReader().key, RegionParameters().key, RegionParameters(text=False).key) == before
    (models / "PP-OCRv9_rec_small.onnx").write_bytes(b"another recogniser")
    assert TextReader().key != before[0] and RegionParameters().key == before[1]
    (models / "PP-OCRv9_det_small.onnx").write_bytes(b"another detector")
    assert packaged_model("det").name == "PP-OCRv9_det_small.onnx"
    assert other_models("det").startswith(" det=") and len(other_models("det")) == len(" det=") + 12
    assert RegionParameters().key != before[1] and RegionParameters(text=False).key == before[2]


def test_the_known_networks_are_installed() -> None:
    assert other_models(*KNOWN) == "", "rapidocr ships other networks: calibrate anew, then pin their digests"


def test_missing_networks_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path, monkeypatch)
    with pytest.raises(OditsError, match="without its models"):
        packaged_model("det")
    assert other_models("det", "rec") == ""
    monkeypatch.setattr(packaged, "find_spec", lambda _name: None)
    with pytest.raises(OditsError, match="needs rapidocr"):
        packaged_model("rec")
    assert importlib.util.find_spec("rapidocr") is not None
