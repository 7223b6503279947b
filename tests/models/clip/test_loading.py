"""Checkpoints in, word models out; what is wrong with a file is said in one sentence."""

import socket
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from odits.core.device import resolve_device
from odits.core.errors import OditsError
from odits.core.store import make_key
from odits.data import Vocabulary
from odits.models.clip.embedded import ARCHITECTURE, new_model
from odits.models.clip.loading import load_clip, read_state
from odits.models.clip.model import TEXT_EMBEDDINGS
from odits.models.clip.text import encode_vocabulary
from odits.models.registry import available, from_settings, parse, to_settings
from odits.training.saving import save_model

WORDS = Vocabulary.from_words(["BAR", "HOTEL", "CAFE", "street lamp"], "test")


@pytest.fixture
def saved(home: Path) -> Path:
    torch.manual_seed(0)
    path = home / "checkpoints" / "mine.safetensors"
    path.parent.mkdir()
    save_model(new_model(), path, {"name": "Mine", "steps": "0"})
    return path


def test_a_saved_model_comes_back(saved: Path) -> None:
    torch.manual_seed(0)
    state = new_model().state_dict()
    model = load_clip(str(saved), "cpu")
    assert model.name == "Mine"
    assert all(torch.equal(value, state[name]) for name, value in model.model.state_dict().items())
    ref = parse(str(saved))
    assert (ref.kind, ref.architecture, ref.digest) == ("clip", ARCHITECTURE, model.checkpoint)
    assert ref.header["steps"] == "0" and ref.describes(model.checkpoint)


def test_local_checkpoints_are_found(saved: Path) -> None:
    (saved.parent / "broken.safetensors").write_bytes(b"no")
    found = available("clip")
    assert [ref.name for ref in found] == ["ODITS Signs (embedded)", "Mine"]
    assert found[1].path == saved


def test_probabilities_are_distributions(saved: Path) -> None:
    model = load_clip(str(saved), "cpu")
    images = [Image.new("RGB", size, (90, 20, 200)) for size in ((300, 200), (40, 90), (2000, 500))]
    found = model.probabilities(images, WORDS)
    assert found.shape == (3, 4)
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    alone = model.predict(images[2], WORDS)
    assert np.allclose(alone.probabilities, found[2], atol=1e-5)
    top = alone.top(2)
    assert [word.probability for word in top] == sorted(alone.probabilities.tolist(), reverse=True)[:2]


def test_vocabulary_embeddings_are_kept_and_survive_damage(saved: Path, home: Path) -> None:
    first = load_clip(str(saved), "cpu").encode_vocabulary(WORDS)
    file = next(path for path in home.rglob("*.safetensors") if "text-embeddings" in path.parts)
    stamp = file.stat().st_mtime_ns
    assert torch.equal(load_clip(str(saved), "cpu").encode_vocabulary(WORDS), first)
    assert file.stat().st_mtime_ns == stamp
    file.write_bytes(b"damaged")
    assert torch.equal(load_clip(str(saved), "cpu").encode_vocabulary(WORDS), first)


def test_another_architecture_by_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": {f"module.{k}": v for k, v in new_model().state_dict().items()}}, path)
    model = load_clip(f"{ARCHITECTURE}@{path}", "cpu")
    assert model.predict(Image.new("RGB", (64, 64)), WORDS).top(1)
    # the same weights in another architecture are another model, whose results are others
    names = (ARCHITECTURE, "ViT-B-32", "ViT-B-32-quickgelu")
    refs = [parse(f"{name}@{path}") for name in names]
    assert [ref.describes(model.checkpoint) for ref in refs] == [True, False, False]
    assert len({ref.clip_checkpoint(ref.digest) for ref in refs}) == 3
    # a worker gets the same model by the same name, wherever its file lies
    there = from_settings(**to_settings(refs[0]))
    assert load_clip(there, "cpu").checkpoint == model.checkpoint


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.safetensors", b"not tensors", "not a safetensors checkpoint"),
        ("a.pt", b"not a pickle", "is no file of weights"),
        ("absent.safetensors", None, "There is no checkpoint"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OditsError, match=said):
        load_clip(str(path), "cpu")


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(OditsError, match="names no architecture"):
        load_clip(str(path), "cpu")
    with pytest.raises(OditsError, match="does not hold weights of"):
        load_clip(f"{ARCHITECTURE}@{path}", "cpu")


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"weight": Path("x")}, path)
    with pytest.raises(OditsError, match="more than weights"):
        read_state(path)


def test_unknown_names_and_devices() -> None:
    with pytest.raises(OditsError, match="open_clip knows no weights 'nothing'"):
        load_clip("ViT-B-32/nothing", "cpu")
    with pytest.raises(OditsError, match="no device"):
        resolve_device("tpu")


def test_the_hub_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import constants

    with socket.socket() as taken:  # a port nobody answers on
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(OditsError, match="could not be downloaded"):
            load_clip("ViT-B-32/laion2b_s34b_b79k", "cpu")


def test_open_clip_knows_the_embedded_architecture() -> None:
    new_model()
    assert ARCHITECTURE in open_clip.list_models()


def test_words_read_in_a_picture_are_embedded_beside_their_list_which_alone_is_stored(home: Path) -> None:
    model = load_clip("embedded", "cpu")
    base = Vocabulary.from_words(["HOTEL", "BAR"], "a list for this test")
    pictured = base.with_read(["Kranzler", "Brûlée"], "and two more")
    found = model.encode_vocabulary(pictured)
    expected = encode_vocabulary(model.model, model.tokenize, pictured.words)
    assert torch.allclose(found, expected, atol=1e-6)
    keys = [make_key(checkpoint=model.checkpoint, vocabulary=one.digest) for one in (base, pictured)]
    assert [TEXT_EMBEDDINGS.path(key).is_file() for key in keys] == [True, False]
