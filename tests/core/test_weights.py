"""Files of weights by their content, whole or in parts; and nothing of a pickle is loaded in this process."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

from odits.core.errors import OditsError
from odits.core.formats import foreign_format
from odits.core.limits import LIMITS
from odits.core.model_folders import is_whole, weights_at
from odits.core.ray import _put_file
from odits.core.weights import as_safetensors, read_tensors, require_finite, tensor_shapes, weights_digest

ROOT = Path(__file__).parents[2]
STATE = {f"layer.{number}": torch.full((8, 8), float(number)) for number in range(6)}


def in_parts(folder: Path, safe: bool = True) -> Path:
    save_torch_state_dict(STATE, folder, max_shard_size=600, safe_serialization=safe)
    index = weights_at(folder, pickles=True)
    assert index is not None and index.name.endswith(".index.json")
    return index


@pytest.mark.parametrize("safe", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_weights_in_several_files(tmp_path: Path, safe: bool) -> None:
    index = in_parts(tmp_path, safe)
    found = read_tensors(index)
    assert found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)
    assert tensor_shapes(index) == {name: (8, 8) for name in STATE}


def test_the_digest_is_of_all_parts(tmp_path: Path) -> None:
    index = in_parts(tmp_path)
    before, part = weights_digest(index), tmp_path / "model-00002-of-00003.safetensors"
    save_file({"layer.2": torch.zeros(8, 8), "layer.3": torch.zeros(8, 8)}, part)
    assert weights_digest(index) != before and len(before) == 64
    part.unlink()
    assert not is_whole(index)
    for use in (read_tensors, weights_digest, tensor_shapes):
        with pytest.raises(OditsError, match=r"A part of the weights is missing in .*: model-00002-of-00003"):
            use(index)


def test_a_cluster_gets_one_file(tmp_path: Path) -> None:
    with pytest.raises(OditsError, match="lie in several files: save them as one for a cluster"):
        _put_file(None, in_parts(tmp_path))


@pytest.mark.parametrize(
    "names",
    [
        *(["../secret.safetensors"], ["/etc/passwd"], ["a/b.safetensors"], [""], [3], []),
        *(["model.safetensors.index.json"], ["x" * 300], ["\ud800"], ["a\0b"]),
    ],
)
def test_parts_lie_beside_their_index(tmp_path: Path, names: list[object]) -> None:
    save_file(STATE, tmp_path / "secret.safetensors")
    folder = tmp_path / "model"
    folder.mkdir()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict(zip(STATE, names, strict=False))}))
    with pytest.raises(OditsError, match=r"model.safetensors.index.json is damaged|part of the weights is missing"):
        read_tensors(index)


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"weight_map": 3}', "[" * 100_000])
def test_a_damaged_index_is_one_sentence(tmp_path: Path, text: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    with pytest.raises(OditsError, match=r"model.safetensors.index.json is damaged: it should name the files"):
        read_tensors(index)


def test_two_parts_with_one_tensor(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({"same": torch.zeros(1)}, tmp_path / f"{name}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}))
    with pytest.raises(OditsError, match="names files that both hold same"):
        read_tensors(index)


FOREIGN = {
    "a.onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.6.0" + bytes(40), "an ONNX model"),
    "model.gguf": (b"GGUF\x03\x00\x00\x00" + bytes(40), "llama.cpp"),
    "pointer.safetensors": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git lfs pull"),
    "pointer.pt": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git lfs pull"),
    "keras.h5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
    "page.pt": (b"<!DOCTYPE html><html>401</html>", "a web page"),
    "error.bin": (b'{"error": "gated"}', "JSON"),
    "empty.safetensors": (b"", "empty"),
    "empty.pt": (b"", "empty"),
    "photo.pt": (b"\x89PNG\r\n\x1a\n" + bytes(40), "a picture"),
    "packed.pt": (b"\x1f\x8b\x08" + bytes(40), "a compressed archive"),
    "array.pt": (b"\x93NUMPY\x01\x00" + bytes(40), "an array of NumPy"),
    "noise.pt": (bytes(range(200, 250)), "neither safetensors nor a pickle"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_file_of_weights_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    content, said = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    for use in (as_safetensors, read_tensors, tensor_shapes):
        with pytest.raises(OditsError, match=rf"{name} is no file of weights: it is .*{said}") as found:
            use(tmp_path / name)
        assert "\n" not in str(found.value)
    assert foreign_format(b"\x00\x01") == ""


@pytest.mark.slow
def test_an_ending_that_lies(tmp_path: Path) -> None:
    """huggingface/safetensors#474 and the like: a pickle that somebody called .safetensors, and the other way round."""
    torch.save(STATE, tmp_path / "pickle.safetensors")
    save_file(STATE, tmp_path / "safe.pt")
    for name in ("pickle.safetensors", "safe.pt"):
        assert read_tensors(tmp_path / name).keys() == STATE.keys()


@pytest.mark.parametrize("claimed", [LIMITS.weights_header_bytes + 1, 1 << 40, (1 << 64) - 1])
def test_a_header_that_claims_too_much_is_not_read(tmp_path: Path, claimed: int) -> None:
    """The library's own limit is three times as far, and it parses all of it."""
    with (tmp_path / "a.safetensors").open("wb") as file:
        file.write(claimed.to_bytes(8, "little") + b'{"a":')
        file.truncate(LIMITS.weights_header_bytes + 100)  # a hole
    for read in (read_tensors, tensor_shapes):
        with pytest.raises(OditsError, match=r"^a\.safetensors is damaged, or does not fit into memory\.$"):
            read(tmp_path / "a.safetensors")


def test_numbers_that_are_none(tmp_path: Path) -> None:
    state = STATE | {"count": torch.tensor([1, 2]), "half": torch.tensor([1.0, float("inf")]).half()}
    with pytest.raises(OditsError, match=r"a\.pt is refused: half holds NaN or Inf\."):
        require_finite(state, "a.pt")
    require_finite(STATE, "a.pt")


# One rule in the house.

LOADERS = {
    *("torch.load", "torch.jit.load", "torch.hub.load", "pickle.load", "pickle.loads", "pickle.Unpickler"),
    *("joblib.load", "pd.read_pickle", "allow_pickle=True", "weights_only=False", "pretrained=True"),
}
OURS = {
    "odits/core/pickle_child.py": "the child itself",
    "odits/core/pool.py": "what its own workers send through a pipe",
    "odits/training/run.py": "the state that a run of this program wrote, tensors and plain values only",
    "odits/models/classification/eye.py": "a file of a package that is installed, of a pinned digest, tensors only",
}


def loads_pickles(source: str) -> list[str]:
    """What a module calls that loads pickles."""
    parts = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute | ast.keyword)]
    return [text for text in map(ast.unparse, parts) if text in LOADERS]


@pytest.mark.parametrize(
    "source",
    ["torch.load(a)", "x = pickle.load", "np.load(a, allow_pickle=True)", "pd.read_pickle(a)", "f(pretrained=True)"],
)
def test_what_loads_pickles_is_noticed(source: str) -> None:
    assert len(loads_pickles(source)) == 1


def test_pickles_are_loaded_in_the_child_only() -> None:
    files = [ROOT / "app.py", *(ROOT / "odits").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    found = {str(file.relative_to(ROOT)): loads_pickles(file.read_text(encoding="utf-8")) for file in files}
    assert {name for name, what in found.items() if what} == set(OURS)
    for name in ("odits/training/run.py", "odits/models/classification/eye.py"):
        assert "weights_only=True" in (ROOT / name).read_text(encoding="utf-8")
