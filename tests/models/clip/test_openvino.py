"""CLIP's image encoder by OpenVINO: the same embeddings, only where it was found so, and PyTorch's else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from odits.core.inventory import take_inventory
from odits.data.vocabulary import Vocabulary
from odits.models.clip import image_encoder
from odits.models.clip.image_encoder import ENCODERS, OPENVINO, PYTORCH, TRIALS
from odits.models.clip.loading import load_clip
from odits.models.clip.model import ClipModel
from odits.models.prepacked import plainly

CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 600, "width": 64, "heads": 1, "layers": 1},
}
WORDS = Vocabulary(("BAR", "CAFE", "HOTEL"), "three words")


def tiny_model() -> ClipModel:
    """Make a small ViT with random weights, always the same."""
    torch.manual_seed(0)
    network = open_clip.CLIP(**CONFIG)
    preprocess = open_clip.image_transform(network.visual.image_size, is_train=False)
    return ClipModel(network, lambda texts: torch.ones(len(texts), 16).long(), preprocess, "tiny", "tiny-0")


def pictures(count: int) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)) for _ in range(count)]


def pytorch_alone(model: ClipModel, images: list[Image.Image]) -> torch.Tensor:
    with plainly():
        found = model.encode_images(images)
    assert model.engine == ""
    return found


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODITS_HOME", str(tmp_path))
    monkeypatch.delenv("ODITS_FAST", raising=False)
    image_encoder._core.cache_clear()


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed (requirements-fast.txt)")
    monkeypatch.setenv("ODITS_FAST", "1")


Compiled = Callable[[np.ndarray], list[np.ndarray]]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Something in OpenVINO's place that computes with a copy of the weights; the sizes of batches that it encoded."""
    batches: list[int] = []

    def compile_encoder(model: Any) -> Any:
        copy = open_clip.CLIP(**CONFIG).eval()
        copy.load_state_dict(model.state_dict())

        class Copy:
            def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
                batches.append(len(pixels))
                with torch.no_grad():
                    return [copy.encode_image(torch.from_numpy(pixels), normalize=True).numpy()]

            def export_model(self) -> Any:
                return SimpleNamespace(getvalue=lambda: b"compiled")

        return Copy()

    monkeypatch.setattr(image_encoder, "compile_encoder", compile_encoder)
    monkeypatch.setattr(image_encoder, "machine", dict)
    monkeypatch.setenv("ODITS_FAST", "1")
    return batches


@pytest.mark.usefixtures("real")
def test_openvino_gives_the_same_embeddings_and_probabilities() -> None:
    model, images = tiny_model(), pictures(11)
    expected = pytorch_alone(model, images)
    found = model.encode_images(images)
    assert model.engine == OPENVINO and model.predict(images[0], WORDS).engine == OPENVINO
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(model.encode_images(images[:1]), expected[:1], atol=1e-6, rtol=0)
    with plainly():
        probabilities = model.probabilities(images, WORDS)
    np.testing.assert_allclose(model.probabilities(images, WORDS), probabilities, atol=1e-5)


@pytest.mark.usefixtures("real")
def test_a_compiled_encoder_is_stored_and_read_by_the_next_process(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(3)
    expected = tiny_model().encode_images(images)
    assert [item.kind for item in take_inventory()].count("image-encoders") == 1
    with monkeypatch.context() as patch:
        patch.setattr(image_encoder, "compile_encoder", lambda _: pytest.fail("it is stored"))
        model = tiny_model()
        torch.testing.assert_close(model.encode_images(images), expected, atol=1e-6, rtol=0)
        assert model.engine == OPENVINO
    (key,) = ENCODERS.all_keys()
    damaged = bytearray(ENCODERS.path(key).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    ENCODERS.path(key).write_bytes(damaged)
    model = tiny_model()
    torch.testing.assert_close(model.encode_images(images), expected, atol=1e-6, rtol=0)
    assert model.engine == OPENVINO


@pytest.mark.usefixtures("real")
def test_other_weights_have_an_encoder_of_their_own() -> None:
    images = pictures(2)
    first = tiny_model().encode_images(images)
    other = tiny_model()
    with torch.no_grad():
        other.model.visual.proj.mul_(torch.rand_like(other.model.visual.proj))
    changed = ClipModel(other.model, other.tokenize, other.transforms["scene"], "tiny", "tiny-0")
    found = changed.encode_images(images)
    assert changed.engine == OPENVINO and not torch.allclose(found, first, atol=1e-3)
    torch.testing.assert_close(found, pytorch_alone(changed, images), atol=1e-6, rtol=0)


@pytest.mark.usefixtures("real")
def test_the_embedded_model_stays_with_pytorch() -> None:
    model = load_clip("embedded", "cpu")
    with Image.open("assets/demo/cafe.jpg") as image:
        found = model.encode_images([image.convert("RGB")])
        assert model.engine == ""
        torch.testing.assert_close(found, pytorch_alone(model, [image.convert("RGB")]), atol=1e-5, rtol=0)


@pytest.mark.usefixtures("real")
def test_an_export_that_can_not_be_stored_costs_only_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ODITS_HOME", str(tmp_path / "file"))
    model = tiny_model()
    model.encode_images(pictures(1))
    assert model.engine == OPENVINO


def test_weights_that_change_are_never_served_stale(stand_in: list[int]) -> None:
    model, images = tiny_model(), pictures(2)
    before = model.encode_images(images)
    assert model.engine == OPENVINO and stand_in
    optimizer = torch.optim.SGD(model.model.visual.parameters(), lr=1.0)
    pixels = torch.stack([model.transforms["scene"](image) for image in images])
    model.model.encode_image(pixels).square().sum().backward()
    optimizer.step()
    stand_in.clear()
    after = model.encode_images(images)
    assert model.engine == "" and not stand_in and not torch.allclose(after, before, atol=1e-3)
    torch.testing.assert_close(after, pytorch_alone(model, images), atol=1e-6, rtol=0)
    model.encode_images(images)
    assert model.engine == "" and not stand_in


def test_weights_that_are_replaced_are_never_served_stale(stand_in: list[int]) -> None:
    model, images = tiny_model(), pictures(2)
    before = model.encode_images(images)
    projection = model.model.visual.proj
    projection.data = torch.rand_like(projection)
    assert not torch.allclose(model.encode_images(images), before, atol=1e-3)
    assert model.engine == "" and stand_in


@pytest.mark.parametrize("failure", [ImportError, RuntimeError, MemoryError, ValueError])
def test_whatever_fails_leaves_it_to_pytorch(
    failure: type[Exception], stand_in: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_encoder(_: Any) -> Any:
        raise failure("no")

    monkeypatch.setattr(image_encoder, "compile_encoder", compile_encoder)
    model, images = tiny_model(), pictures(2)
    torch.testing.assert_close(model.encode_images(images), pytorch_alone(model, images), atol=1e-6, rtol=0)
    assert model.engine == "" and not stand_in


def test_without_openvino_pytorch_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setenv("ODITS_FAST", "1")
    model = tiny_model()
    assert model.encode_images(pictures(2)).shape == (2, 24) and model.engine == ""


def test_an_encoder_that_fails_later_leaves_it_to_pytorch(stand_in: list[int]) -> None:
    model, images = tiny_model(), pictures(2)
    expected = model.encode_images(images)

    def fail(_: np.ndarray) -> None:
        raise RuntimeError("no memory")

    model._encode._compiled = fail
    torch.testing.assert_close(model.encode_images(images), expected, atol=1e-6, rtol=0)
    assert model.engine == "" and stand_in


@pytest.mark.parametrize("added", [1e-4, float("nan")])
def test_an_encoder_that_says_something_else_is_not_used(
    added: float, stand_in: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = image_encoder.compile_encoder

    def compile_encoder(model: Any) -> Any:
        compiled = right(model)
        return lambda pixels: [compiled(pixels)[0] + np.float32(added)]

    monkeypatch.setattr(image_encoder, "compile_encoder", compile_encoder)
    model, images = tiny_model(), pictures(2)
    torch.testing.assert_close(model.encode_images(images), pytorch_alone(model, images), atol=1e-6, rtol=0)
    assert stand_in == [3] and ENCODERS.all_keys() == []


def test_it_can_be_turned_off_at_any_time(stand_in: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODITS_FAST", "0")
    monkeypatch.setattr(image_encoder, "LARGE", 0)
    model = tiny_model()
    model.encode_images(pictures(40))
    assert model.engine == "" and not stand_in
    monkeypatch.setenv("ODITS_FAST", "1")
    model.encode_images(pictures(1))
    assert model.engine == OPENVINO
    monkeypatch.setenv("ODITS_FAST", "0")
    model.encode_images(pictures(1))
    assert model.engine == ""


@pytest.mark.parametrize(("seconds", "engine"), [(0.5, OPENVINO), (0.95, ""), (2.0, "")])
def test_the_faster_one_is_chosen_once_for_all_models_of_a_shape(
    seconds: float, engine: str, stand_in: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[int] = []

    def measure(*_: Any) -> dict[str, float]:
        timed.append(1)
        return {PYTORCH: 1.0, OPENVINO: seconds}

    monkeypatch.delenv("ODITS_FAST")
    monkeypatch.setattr(image_encoder, "LARGE", 0)
    monkeypatch.setattr(image_encoder, "_time", measure)
    monkeypatch.setattr(image_encoder, "_load", lambda _: image_encoder.compile_encoder(tiny_model().model))
    for _ in range(2):
        model = tiny_model()
        for _ in range(image_encoder.TRIAL_AFTER // 8):
            model.encode_images(pictures(8))
            assert model.engine == ""  # a few images do not pay for the trial
        model.encode_images(pictures(1))
        assert model.engine == engine
    assert timed == [1] and len(TRIALS.all_keys()) == 1
    assert len(ENCODERS.all_keys()) == (1 if engine else 0)  # hundreds of megabytes, where nobody would read them


def test_a_small_tower_is_not_tried(stand_in: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ODITS_FAST")
    model = tiny_model()
    for _ in range(5):
        model.encode_images(pictures(8))
    assert model.engine == "" and not stand_in


def test_the_trial_measures_both_ways() -> None:
    model, pixels = tiny_model().model, torch.zeros(2, 3, 32, 32)
    calls: list[int] = []
    found = image_encoder._time(model, lambda batch: calls.append(len(batch)), pixels)
    assert calls == [2, 2, 2] and found[PYTORCH] > found[OPENVINO] > 0


@pytest.mark.parametrize("how", ["training", "gradients", "half", "size"])
def test_only_inference_in_float32_goes_to_openvino(how: str, stand_in: list[int]) -> None:
    model = tiny_model()
    pixels = torch.zeros(1, 3, 32, 32)
    if how == "training":
        model.model.train()
    if how == "half":
        model.model.visual.bfloat16()
        pixels = pixels.bfloat16()
    if how == "size":
        pixels = torch.zeros(1, 3, 16, 32)
    with torch.set_grad_enabled(how == "gradients"):
        assert not model._encode._by_openvino(pixels)
    assert not stand_in
