"""One reference: what it stands for, which ones there are, and the same sentence for a wrong one everywhere."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from odits.core.errors import OditsError
from odits.core.files import file_digest
from odits.models.clip.embedded import ARCHITECTURE, new_model
from odits.models.clip.model import ClipModel
from odits.models.fusion.model import OditsModel
from odits.models.reference import (
    EMBEDDED_WEIGHTS,
    architectures,
    from_settings,
    pulled_path,
    to_settings,
)
from odits.models.registry import (
    DEFAULT_MODEL,
    DEFAULT_SEGMENTER,
    WORD_MODELS,
    NotPulledError,
    available,
    fetch,
    is_here,
    load,
    parse,
)
from odits.models.segmentation.regions import RegionSegmenter


def checkpoint(path: Path, **header: str) -> Path:
    """A safetensors file with one tensor and this header: enough for a reference, not for a model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.zeros(3)}, path, header)
    return path


def test_the_defaults() -> None:
    assert (DEFAULT_MODEL, DEFAULT_SEGMENTER) == ("street", "embedded")
    assert isinstance(load(), OditsModel)


def test_embedded_is_a_clip_model_unless_a_segmenter_is_wanted() -> None:
    clip = parse("embedded")
    assert (clip.kind, clip.architecture, clip.path, clip.reference) == (
        "clip",
        ARCHITECTURE,
        EMBEDDED_WEIGHTS,
        "embedded",
    )
    assert clip.digest == file_digest(EMBEDDED_WEIGHTS) and clip.header["architecture"] == ARCHITECTURE
    segmenter = parse("embedded", "segmenter")
    assert (segmenter.kind, segmenter.path, segmenter.ready, segmenter.is_sam) == ("segmenter", None, True, False)
    assert parse("embedded", "segmenter", "clip").kind == "clip"


def test_spotting() -> None:
    assert parse(" spotting ").kind == "spotting" and parse("spotting").note
    own = parse("spotting:vitstr:~/w.pt")
    assert (own.kind, own.architecture, own.path) == ("spotting", "vitstr", Path("~/w.pt").expanduser())
    assert parse("spotting:vitstr").path is None


def test_open_clips_names(tmp_path: Path) -> None:
    named = parse("ViT-B-32/openai")
    assert (named.kind, named.architecture, named.tag, named.path, named.digest) == (
        "clip",
        "ViT-B-32",
        "openai",
        None,
        "",
    )
    assert not named.ready
    file = tmp_path / "mine.pt"
    file.write_bytes(b"x")
    own = parse(f"ViT-B-32@{file}")
    assert (own.architecture, own.path, own.tag, own.stem) == ("ViT-B-32", file, "", "mine")
    assert own.digest == file_digest(file)
    assert named.stem == "ViT-B-32/openai" and parse("embedded").stem == "embedded"


def test_a_checkpoint_is_what_its_header_says(tmp_path: Path) -> None:
    clip = parse(checkpoint(tmp_path / "a.safetensors", architecture=ARCHITECTURE, name="Mine", epoch="3"))
    assert (clip.kind, clip.name, clip.architecture, clip.header["epoch"]) == ("clip", "Mine", ARCHITECTURE, "3")
    odits = parse(checkpoint(tmp_path / "b.safetensors", kind="odits", architecture=ARCHITECTURE))
    assert (odits.kind, odits.name) == ("odits", "b")
    assert odits.reference == str(tmp_path / "b.safetensors")
    # ODITS adds what its objects are found with; a CLIP model's checkpoint is its file's digest, all of it
    assert odits.describes(odits.digest[:40] + "0" * 24) and not odits.describes("0" * 64)
    assert clip.describes(clip.digest) and not clip.describes(clip.digest[:40] + "0" * 24)
    assert not parse("spotting").describes("")


def test_segmenters(home: Path, tmp_path: Path) -> None:
    largest = parse("sam:vit_h")
    assert (largest.kind, largest.megabytes, largest.is_sam, largest.ready) == ("segmenter", 2564, True, False)
    assert largest.path == home / "weights" / "sam_vit_h_4b8939.pth"
    largest.path.parent.mkdir()
    largest.path.write_bytes(b"x")
    assert largest.ready
    file = tmp_path / "sam.pth"
    file.write_bytes(b"x")
    assert parse(f"sam:{file}").weights == file
    with pytest.raises(OditsError, match="no file of weights"):
        _ = parse("embedded", "segmenter").weights


def test_what_a_store_lists_is_found_once_it_was_pulled(home: Path) -> None:
    run, name = "0123456789abcdef0123456789abcdef", "checkpoints/epoch-003.safetensors"
    with pytest.raises(NotPulledError, match="checkpoints pull"):
        parse(f"{run}/{name}")
    path = checkpoint(pulled_path("mlflow", run, name), architecture=ARCHITECTURE)
    for reference in (f"{run}/{name}", f"runs:/{run}/{name}"):
        found = parse(reference, "clip")
        assert (found.path, found.reference, found.store) == (path, str(path), reference)
    export = checkpoint(pulled_path("neptune-export:x", "me/project/SVT-12", "model/w.pt"), architecture=ARCHITECTURE)
    assert parse("me/project/SVT-12/model/w.pt").path == export
    checkpoint(pulled_path("mlflow:elsewhere", run, name), architecture=ARCHITECTURE)
    with pytest.raises(OditsError, match="several stores"):
        parse(f"{run}/{name}")
    for reference in ("models:/signs@best", "runs:/abc/model", "SVT-3/model"):
        with pytest.raises(NotPulledError):
            parse(reference)


def test_what_there_is_is_accepted(home: Path) -> None:
    checkpoint(home / "checkpoints" / "b.safetensors", architecture=ARCHITECTURE)
    checkpoint(home / "checkpoints" / "run" / "a.safetensors", kind="odits", architecture=ARCHITECTURE)
    (home / "checkpoints" / "broken.safetensors").write_bytes(b"no")
    found = available()
    words = [ref for ref in found if ref.kind in WORD_MODELS]
    assert words[0].reference == DEFAULT_MODEL and words[0].kind == "odits"
    assert [ref.name for ref in available("clip")] == ["ODITS Signs (embedded)", "b"]
    assert [ref.name for ref in available("odits")] == ["ODITS Street", "a"]
    segmenters = [ref.reference for ref in available("segmenter")]
    assert segmenters[:4] == ["embedded", "sam:vit_b", "sam:vit_l", "sam:vit_h"]
    assert segmenters[4:] == ["sam2:tiny", "sam2:small", "sam2:base-plus", "sam2:large", "sam3"]
    for ref in found:
        assert parse(ref.reference, ref.kind) == ref
        assert pickle.loads(pickle.dumps(ref)) == ref


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("nowhere", "There is no checkpoint 'nowhere': name street"),
        ("", "There is no checkpoint ''"),
        ("spotting:oracle", "There is no checkpoint 'spotting:oracle'"),
        ("absent.safetensors", "There is no checkpoint 'absent.safetensors'"),
        ("~nobody/x.safetensors", "There is no checkpoint"),
        ("nul\0.safetensors", r"There is no checkpoint 'nul\?"),
        ("x" * 5000, "There is no checkpoint 'x{200}…'"),
        ("sam:", "There is no segmenter 'sam:': use embedded, sam:vit_b"),
        ("sam:absent.pth", "There is no segmenter 'sam:absent.pth'"),
        ("ViT-B-32/nothing", "open_clip knows no weights 'nothing' for ViT-B-32; it knows openai"),
        ("ViT-B-32@absent.pt", "There is no file 'absent.pt'"),
    ],
)
def test_a_wrong_reference_is_one_sentence(reference: str, sentence: str) -> None:
    with pytest.raises(OditsError, match=sentence) as found:
        parse(reference)
    assert "\n" not in str(found.value)


def test_a_wrong_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"no")
    with pytest.raises(OditsError, match=r"a\.safetensors is not a safetensors checkpoint, or it is damaged"):
        parse(tmp_path / "a.safetensors")
    (tmp_path / "a.pt").write_bytes(b"no")
    with pytest.raises(OditsError, match=r"a\.pt is no file of weights: it is neither safetensors nor a pickle"):
        parse(tmp_path / "a.pt")
    for file in (checkpoint(tmp_path / "b.safetensors"), checkpoint(tmp_path / "c.safetensors")):
        with pytest.raises(OditsError, match=r"names no architecture, .*: write it in front"):
            parse(file)
    assert parse(f"{ARCHITECTURE}@{tmp_path / 'b.safetensors'}").kind == "clip"


@pytest.mark.parametrize(
    ("reference", "kinds", "sentence"),
    [
        ("spotting", ("clip",), "'spotting' is not a CLIP model: it is word spotting."),
        ("embedded", ("odits",), "'embedded' is not an ODITS checkpoint: it is a CLIP model."),
        ("sam:vit_b", WORD_MODELS, "it is a segmenter."),
        ("spotting", ("segmenter",), "'spotting' is not a segmenter: it is word spotting."),
        ("nowhere", ("segmenter",), "There is no segmenter 'nowhere'"),
    ],
)
def test_another_kind_is_one_sentence(reference: str, kinds: tuple, sentence: str) -> None:
    with pytest.raises(OditsError, match=sentence):
        parse(reference, *kinds)


def test_a_parsed_reference_is_checked_again() -> None:
    ref = parse("embedded")
    assert parse(ref, "clip") is ref
    with pytest.raises(OditsError, match="is not a segmenter"):
        load(ref, kind="segmenter")


def test_loading(home: Path) -> None:
    clip = load("embedded", "cpu", kind="clip")
    assert isinstance(clip, ClipModel) and parse("embedded").describes(clip.checkpoint)
    assert isinstance(load("embedded", kind="segmenter", threads=1), RegionSegmenter)
    assert load(parse("embedded"), "cpu").checkpoint == clip.checkpoint
    with pytest.raises(OditsError, match="no device 'tpu' here"):
        load("embedded", "tpu")


def test_weights_that_are_here_are_not_fetched() -> None:
    assert fetch("embedded") == EMBEDDED_WEIGHTS and fetch("spotting") is None
    assert is_here("embedded") and is_here("spotting") and not is_here("sam:vit_b")
    assert not is_here("ViT-B-32/laion2b_s34b_b79k")


def test_a_reference_travels(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.safetensors", architecture=ARCHITECTURE, name="Mine")
    for reference, kind in (("embedded", "clip"), ("embedded", "segmenter"), ("spotting", "spotting")):
        settings = to_settings(parse(reference, kind))
        assert "weights" not in settings and from_settings(**settings) == parse(reference, kind)
    ref = parse(path)
    there = from_settings(**to_settings(ref) | {"weights": "/elsewhere/a.safetensors"})
    assert (there.kind, there.name, there.header) == ("clip", "Mine", ref.header)
    assert there.path == Path("/elsewhere/a.safetensors")


def test_architectures_are_known_without_open_clip() -> None:
    new_model()
    import open_clip

    assert architectures() >= set(open_clip.list_models()) >= {ARCHITECTURE, "ViT-B-32"}


def test_parsing_is_light() -> None:
    """A command that fails on its reference has not waited for torch; nor has `--help`."""
    code = (
        "import sys\n"
        "from odits.models.registry import parse, available\n"
        "for reference in ('embedded', 'spotting', 'sam:vit_b', 'spotting:vitstr'): parse(reference)\n"
        "available()\n"
        "print([name for name in ('torch', 'open_clip', 'scipy', 'pandas', 'timm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_digests_follow_the_file(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.safetensors", architecture=ARCHITECTURE)
    ref = parse(path)
    before = ref.digest
    save_file({"weight": torch.ones(4)}, path, {"architecture": ARCHITECTURE})
    assert ref.digest == file_digest(path) != before
    path.unlink()
    assert ref.digest == "" and not ref.ready and np.bool_(not ref.describes(""))
